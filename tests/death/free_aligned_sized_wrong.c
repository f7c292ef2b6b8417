/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_aligned_sized with a wrong size.
 * expect: wrong size
 * function: free_aligned_sized
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))look_up("free_aligned_sized");
    void *p = aligned_alloc(64, 256);
    note(p);
    sized(hide(p), 64, 9000);
}
