/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of an address no user memory can have.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    void *p = hide((void *)0xffffffff80000000u);
    note(p);
    free(p);
}
