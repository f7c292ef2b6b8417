/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of static data.
 * expect: foreign pointer
 * function: free
 */
#include "death.h"

static _Alignas(16) char block[256];

static void
act(void)
{
    note(block);
    free(hide(block));
}
