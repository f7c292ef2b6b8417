/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer 16 bytes into an aligned block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = aligned_alloc(256, 1024);
    if (p == NULL) {
        exit(2);
    }
    note(p + 16);
    free(hide(p + 16));
    free(p);
}
