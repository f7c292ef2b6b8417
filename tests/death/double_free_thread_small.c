/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block is freed by another thread, then by its allocator.
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
    free(hide(p));
}
