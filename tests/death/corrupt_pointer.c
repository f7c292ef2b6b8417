/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: the first 8 bytes of a freed small block are made to point at other memory.
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
    void *victim = &live[1];
    memcpy(p, &victim, sizeof victim);
    drain(SMALL, 20000);
}
