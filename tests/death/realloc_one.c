/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc of address 1.
 * expect: foreign pointer
 * function: realloc
 */
#include "death.h"

static void
act(void)
{
    note((void *)1);
    if (realloc(hide((void *)1), 100) != NULL) {
        puts("realloc answered");
    }
}
