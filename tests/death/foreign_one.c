/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of address 1.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    note((void *)1);
    free(hide((void *)1));
}
