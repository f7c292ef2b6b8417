/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block freed by another thread is overwritten, then its size is allocated.
 * expect: corrupted free list
 * function: malloc
 */
#include "death.h"

static void
act(void)
{
    unsigned char *p = obtain(SMALL);
    free_in_thread(p);
    p = hide(p);
    memset(p, 0x41, 8);
    drain(SMALL, 20000);
}
