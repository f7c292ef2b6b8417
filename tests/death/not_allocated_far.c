/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of an address in the allocator's range where nothing was ever allocated.
 * expect: not allocated|foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(SMALL);
    char *far = (char *)(((uintptr_t)p + ((size_t)3 << 30)) & ~(uintptr_t)15);
    note(far);
    free(hide(far));
    free(p);
}
