/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: malloc_usable_size of an interior pointer of a small block.
 * expect: interior pointer
 * function: malloc_usable_size
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + 16);
    if (malloc_usable_size(hide(p + 16)) != 0) {
        puts("a size was answered");
    }
    free(p);
}
