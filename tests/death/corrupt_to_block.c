/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: the first 8 bytes of a freed small block are made to point at a live block.
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
    memcpy(p, &live[1].p, sizeof live[1].p);
    drain(SMALL, 20000);
}
