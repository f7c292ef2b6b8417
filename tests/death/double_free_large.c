/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a large block is freed twice in a row.
 * expect: double free|not allocated
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(LARGE);
    note(p);
    free(p);
    free(hide(p));
}
