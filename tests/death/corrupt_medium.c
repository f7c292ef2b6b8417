/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: the first 8 bytes of a freed medium block are written, then its size is allocated.
 * expect: corrupted free list
 * function: malloc
 */
#include "death.h"

static void
act(void)
{
    unsigned char *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = obtain(MEDIUM);
    }
    /* Most of its span stays in use: a span that is wholly free is given up, links and all. */
    free(blocks[3]);
    free(blocks[4]);
    unsigned char *p = hide(blocks[4]);
    memset(p, 0x41, 8);
    drain(MEDIUM, 2000);
}
