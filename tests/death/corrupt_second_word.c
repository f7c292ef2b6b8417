/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: the second 8 bytes of a freed small block are written: may go unseen, may not do
 * harm.
 * expect: corrupted free list|none
 * function: malloc
 */
#include "death.h"

static void
act(void)
{
    unsigned char *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = obtain(SMALL);
    }
    for (int i = 0; i < 8; i++) {
        free(blocks[i]);
    }
    unsigned char *p = hide(blocks[4]);
    memset(p + 8, 0x41, 8);
    drain(SMALL, 20000);
}
