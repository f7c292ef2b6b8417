/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block is freed by its allocator, then by another thread.
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
    free_in_thread(hide(p));
}
