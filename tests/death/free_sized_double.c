/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_sized of a freed block.
 * expect: double free
 * function: free_sized|free
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))look_up("free_sized");
    void *p = obtain(SMALL);
    note(p);
    sized(p, SMALL);
    sized(hide(p), SMALL);
}
