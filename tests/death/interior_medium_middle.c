/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer in the middle of a medium block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(MEDIUM);
    note(p + MEDIUM / 2);
    free(hide(p + MEDIUM / 2));
    memset(p, 0x5a, 4096 < MEDIUM ? 4096 : MEDIUM);
    free(p);
}
