/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: two other threads free the same small block, one after the other.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(SMALL);
    note(p);
    free_in_thread(p);
    free_in_thread(hide(p));
}
