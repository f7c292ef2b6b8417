/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block is freed twice in a row.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(SMALL);
    note(p);
    free(p);
    free(hide(p));
}
