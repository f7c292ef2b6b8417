/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_sized with a size of another class.
 * expect: wrong size
 * function: free_sized
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))look_up("free_sized");
    void *p = obtain(100);
    note(p);
    sized(hide(p), 5000);
}
