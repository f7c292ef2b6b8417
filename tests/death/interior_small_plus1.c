/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of an odd pointer, 1 byte into a small block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + 1);
    free(hide(p + 1));
    free(p);
}
