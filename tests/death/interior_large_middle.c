/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer in the middle of a large block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    note(p + LARGE / 2);
    free(hide(p + LARGE / 2));
    memset(p, 0x5a, 4096 < LARGE ? 4096 : LARGE);
    free(p);
}
