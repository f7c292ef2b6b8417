/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a large block is freed by its allocator, then by another thread.
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
    free_in_thread(hide(p));
}
