/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_sized of a large block with a small size.
 * expect: wrong size
 * function: free_sized
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))look_up("free_sized");
    void *p = obtain(LARGE);
    note(p);
    sized(hide(p), 64);
}
