/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_sized with a much smaller size than was asked for.
 * expect: wrong size
 * function: free_sized
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))look_up("free_sized");
    void *p = obtain(5000);
    note(p);
    sized(hide(p), 16);
}
