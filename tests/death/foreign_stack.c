/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of an array on the stack.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    _Alignas(16) char on_stack[256];
    memset(on_stack, 0x33, sizeof on_stack);
    note(on_stack);
    free(hide(on_stack));
    for (size_t i = 0; i < sizeof on_stack; i++) {
        if (on_stack[i] != 0x33) {
            exit(1);
        }
    }
}
