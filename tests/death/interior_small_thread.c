/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: another thread frees the middle of a small block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + SMALL / 2);
    free_in_thread(hide(p + SMALL / 2));
    free(p);
}
