/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a freed small block is written behind its first 16 bytes: may go unseen, may not do
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
    memset(p + 16, 0x41, SMALL - 16);
    drain(SMALL, 20000);
}
