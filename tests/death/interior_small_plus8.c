/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer 8 bytes into a small block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + 8);
    free(hide(p + 8));
    memset(p, 0x5a, 4096 < SMALL ? 4096 : SMALL);
    free(p);
}
