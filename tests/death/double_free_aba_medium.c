/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a medium block is freed again after another one of its size.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *a = obtain(MEDIUM);
    void *b = obtain(MEDIUM);
    note(a);
    free(a);
    free(b);
    free(hide(a));
}
