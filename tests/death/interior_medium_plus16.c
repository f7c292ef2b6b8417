/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer 16 bytes into a medium block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(MEDIUM);
    note(p + 16);
    free(hide(p + 16));
    memset(p, 0x5a, 4096 < MEDIUM ? 4096 : MEDIUM);
    free(p);
}
