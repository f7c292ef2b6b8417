/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a medium block is freed by its allocator, then by another thread.
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
    free_in_thread(hide(p));
}
