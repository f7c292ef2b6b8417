/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: free of a pointer in the middle of a huge block.
 * expect: interior pointer
 * function: free
 */
#include "death.h"

static void
act(void)
{
    char *p = obtain(HUGE);
    note(p + HUGE / 2);
    free(hide(p + HUGE / 2));
    memset(p, 0x5a, 4096 < HUGE ? 4096 : HUGE);
    free(p);
}
