/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of memory from the program's own mmap.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        exit(2);
    }
    note(p);
    free(hide(p));
    *(volatile char *)p = 1;
    munmap(p, 1 << 20);
}
