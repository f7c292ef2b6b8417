/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc of a freed small block.
 * expect: double free|not allocated
 * function: realloc
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p);
    free(p);
    if (realloc(hide(p), 100) != NULL) {
        puts("realloc answered");
    }
}
