/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: malloc_usable_size of an array on the stack.
 * expect: foreign pointer
 * function: malloc_usable_size
 */
#include "death.h"

static void
act(void)
{
    _Alignas(16) char on_stack[64];
    memset(on_stack, 1, sizeof on_stack);
    note(on_stack);
    if (malloc_usable_size(hide(on_stack)) != 0) {
        puts("a size was answered");
    }
}
