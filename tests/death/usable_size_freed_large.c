/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: malloc_usable_size of a freed large block.
 * expect: double free|not allocated
 * function: malloc_usable_size
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    note(p);
    free(p);
    if (malloc_usable_size(hide(p)) != 0) {
        puts("a size was answered");
    }
}
