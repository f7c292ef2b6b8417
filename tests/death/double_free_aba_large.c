/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a large block is freed again after another one of its size.
 * expect: double free|not allocated
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *a = obtain(LARGE);
    void *b = obtain(LARGE);
    note(a);
    free(a);
    free(b);
    free(hide(a));
}
