/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: realloc of an array on the stack.
 * expect: foreign pointer
 * function: realloc
 */
#include "death.h"

static void
act(void)
{
    _Alignas(16) char on_stack[64];
    memset(on_stack, 1, sizeof on_stack);
    note(on_stack);
    if (realloc(hide(on_stack), 100) != NULL) {
        puts("realloc answered");
    }
}
