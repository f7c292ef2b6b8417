/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free_aligned_sized of static data.
 * expect: foreign pointer
 * function: free_aligned_sized|free
 */
#include "death.h"

static _Alignas(64) char block[256];

static void
act(void)
{
    void (*sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))look_up("free_aligned_sized");
    note(block);
    sized(hide(block), 64, 256);
}
