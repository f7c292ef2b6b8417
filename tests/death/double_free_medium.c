/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a medium block is freed twice in a row.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(MEDIUM);
    note(p);
    free(p);
    free(hide(p));
}
