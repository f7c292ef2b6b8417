/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer 32 bytes into the program's own mmap (zeroes before it).
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        exit(2);
    }
    note(p + 32);
    free(hide(p + 32));
    munmap(p, 1 << 20);
}
