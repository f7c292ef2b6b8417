/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc of an interior pointer of a large block.
 * expect: interior pointer
 * function: realloc
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(LARGE);
    note(p + 65536);
    if (realloc(hide(p + 65536), 100) != NULL) {
        puts("realloc answered");
    }
    free(p);
}
