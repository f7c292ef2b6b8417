/* SPDX-License-Identifier: MIT */
/*
 * A SIGABRT handler which allocates, as crash reporters do: the report of a double free may hold
 * no lock while it aborts. The handler leaves with status 0 after allocating.
 * only: tide
 * report: expected
 */
#include "check.h"

static void
handler(int signal_number)
{
    (void)signal_number;
    for (int i = 0; i < 1000; i++) {
        void *p = malloc((size_t)i * 37);
        if (p == NULL) {
            _exit(2);
        }
        memset(p, 1, (size_t)i * 37);
        free(p);
    }
    void *p = malloc(5 << 20);
    free(p);
    _exit(0);
}

int
main(void)
{
    alarm(10);
    signal(SIGABRT, handler);
    void *p = hide(malloc(100));
    free(p);
    free(hide(p));
    CHECK(0, "the double free was not noticed");
}
