/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer 4096 bytes into a large block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    note(p + 4096);
    free(hide(p + 4096));
    memset(p, 0x5a, 4096 < LARGE ? 4096 : LARGE);
    free(p);
}
