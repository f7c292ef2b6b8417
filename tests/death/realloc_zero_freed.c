/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc(p, 0) of a freed block.
 * expect: double free
 * function: realloc|free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p);
    free(p);
    if (realloc(hide(p), 0) != NULL) {
        puts("realloc answered");
    }
}
