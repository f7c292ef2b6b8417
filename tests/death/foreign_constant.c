/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a string constant.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = hide((char *)"a constant string");
    note(p);
    free(p);
}
