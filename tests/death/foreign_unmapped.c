/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of an address where nothing is mapped.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 1 << 20);
    note((char *)p + 4096);
    free(hide((char *)p + 4096));
}
