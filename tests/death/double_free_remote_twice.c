/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: another thread frees the same small block twice.
 * expect: double free
 * function: free
 */
#include "death.h"

static void *
free_twice(void *p)
{
    free(p);
    free(hide(p));
    return NULL;
}

static void
act(void)
{
    void *p = obtain(SMALL);
    note(p);
    pthread_t t;
    if (pthread_create(&t, NULL, free_twice, p) != 0 || pthread_join(t, NULL) != 0) {
        exit(2);
    }
}
