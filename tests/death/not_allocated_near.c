/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a block of a live size class which was never handed out.
 * expect: not allocated|double free
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(13000);
    size_t step = malloc_usable_size(p);
    note(p + step);
    free(hide(p + step));
    drain(13000, 200);
    free(p);
}
