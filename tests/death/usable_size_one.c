/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: malloc_usable_size of address 1.
 * expect: foreign pointer
 * function: malloc_usable_size
 */
#include "death.h"

static void
act(void)
{
    note((void *)1);
    if (malloc_usable_size(hide((void *)1)) != 0) {
        puts("a size was answered");
    }
}
