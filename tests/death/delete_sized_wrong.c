/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: sized operator delete with a size of another class.
 * expect: wrong size|none
 * function: operator delete|free
 */
#include "death.h"

static void
act(void)
{
    void (*del)(void *, size_t) = (void (*)(void *, size_t))look_up("_ZdlPvm");
    void *(*create)(size_t) = (void *(*)(size_t))look_up("_Znwm");
    void *p = create(48);
    note(p);
    del(hide(p), 4800);
}
