/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer in the middle of a small block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + SMALL / 2);
    free(hide(p + SMALL / 2));
    memset(p, 0x5a, 4096 < SMALL ? 4096 : SMALL);
    free(p);
}
