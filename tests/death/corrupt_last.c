/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: the only freed block of its size is overwritten (end of a list).
 * expect: corrupted free list
 * function: malloc
 */
#include "death.h"

static void
act(void)
{
    unsigned char *p = obtain(SMALL);
    free(p);
    p = hide(p);
    memset(p, 0x41, 8);
    drain(SMALL, 20000);
}
