/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a block of one byte is freed twice.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(1);
    note(p);
    free(p);
    free(hide(p));
}
