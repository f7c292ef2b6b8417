/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block is freed again after another one of its size.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *a = obtain(SMALL);
    void *b = obtain(SMALL);
    note(a);
    free(a);
    free(b);
    free(hide(a));
}
