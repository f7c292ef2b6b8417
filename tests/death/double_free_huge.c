/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a huge block is freed twice in a row.
 * expect: double free|not allocated
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(HUGE);
    note(p);
    free(p);
    free(hide(p));
}
