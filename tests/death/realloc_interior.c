/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc of an interior pointer of a small block.
 * expect: interior pointer
 * function: realloc
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    note(p + 16);
    if (realloc(hide(p + 16), 100) != NULL) {
        puts("realloc answered");
    }
    free(p);
}
