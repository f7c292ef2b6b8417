/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: byte 3 of a freed small block is flipped.
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
    p[3] ^= 0x01;
    drain(SMALL, 20000);
}
