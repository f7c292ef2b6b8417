/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: operator delete[] of the second element.
 * expect: interior pointer
 * function: operator delete|free
 */
#include "death.h"

static void
act(void)
{
    void (*del)(void *) = (void (*)(void *))look_up("_ZdaPv");
    char *(*create)(size_t) = (char *(*)(size_t))look_up("_Znam");
    char *p = create(480);
    note(p + 48);
    del(hide(p + 48));
    del(p);
}
