/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a freed small block is filled with zeroes, then its size is allocated.
 * expect: corrupted free list
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
    memset(p, 0, SMALL);
    drain(SMALL, 20000);
}
