/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: operator delete of the same object twice.
 * expect: double free
 * function: operator delete|free
 */
#include "death.h"

static void
act(void)
{
    void (*del)(void *) = (void (*)(void *))look_up("_ZdlPv");
    void *(*create)(size_t) = (void *(*)(size_t))look_up("_Znwm");
    void *p = create(48);
    note(p);
    del(p);
    del(hide(p));
}
