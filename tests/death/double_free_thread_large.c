/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a large block is freed by another thread, then by its allocator.
 * expect: double free|not allocated
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = obtain(LARGE);
    note(p);
    free_in_thread(p);
    free(hide(p));
}
