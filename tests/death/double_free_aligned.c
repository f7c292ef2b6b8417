/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a block of posix_memalign (align 4096) is freed twice.
 * expect: double free|not allocated
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, 100) != 0) {
        exit(2);
    }
    note(p);
    free(p);
    free(hide(p));
}
