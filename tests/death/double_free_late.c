/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a small block is freed again after a thousand other frees of its size.
 * expect: double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *others[1000];
    for (int i = 0; i < 1000; i++) {
        others[i] = obtain(SMALL);
    }
    void *p = others[500];
    note(p);
    for (int i = 0; i < 1000; i++) {
        free(others[i]);
    }
    free(hide(p));
}
