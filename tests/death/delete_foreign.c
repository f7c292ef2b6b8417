/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: operator delete of static data.
 * expect: foreign pointer
 * function: operator delete|free
 */
#include "death.h"

static _Alignas(16) char block[64];

static void
act(void)
{
    void (*del)(void *) = (void (*)(void *))look_up("_ZdlPv");
    note(block);
    del(hide(block));
}
