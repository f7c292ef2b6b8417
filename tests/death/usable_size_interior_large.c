/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: malloc_usable_size of an interior pointer of a large block.
 * expect: interior pointer
 * function: malloc_usable_size
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    note(p + 65536);
    if (malloc_usable_size(hide(p + 65536)) != 0) {
        puts("a size was answered");
    }
    free(p);
}
