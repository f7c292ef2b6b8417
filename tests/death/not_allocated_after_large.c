/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a middle of a large block which has been freed.
 * expect: not allocated|double free|interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    char *q = obtain(LARGE);
    free(p);
    note(p + LARGE / 2);
    free(hide(p + LARGE / 2));
    free(q);
}
