/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_aligned_sized with an alignment the block does not have.
 * expect: wrong size|wrong alignment|none
 * function: free_aligned_sized
 */
#include "death.h"

static void
act(void)
{
    void (*sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))look_up("free_aligned_sized");
    void *p = aligned_alloc(64, 256);
    while (((uintptr_t)p & 4095) == 0) {
        p = aligned_alloc(64, 256);
    }
    note(p);
    sized(hide(p), 4096, 256);
}
