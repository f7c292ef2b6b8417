/* SPDX-License-Identifier: MIT */
/*
 * Illegal act: a block is freed again that waits in another thread's bin while its span is cold.
 * expect: double free
 * function: free
 */
#include "death.h"

enum { BLOCKS = 60000, SPANS = 60, IN_SPAN = 512, FROM = 40000, MANY = 500 };
static void *blocks[BLOCKS];
static pthread_barrier_t step;

static void *
other(void *arg)
{
    for (size_t i = 1; i < SPANS; i++) { /* it keeps other threads' blocks from now on */
        free(blocks[i * IN_SPAN]);
    }
    for (size_t i = FROM; i < FROM + MANY; i++) {
        free(blocks[i]);
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step); /* never comes back */
    return arg;
}

static void
act(void)
{
    pthread_t thread;

    pthread_barrier_init(&step, NULL, 2);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = obtain(64);
    }
    pthread_create(&thread, NULL, other, NULL);
    pthread_barrier_wait(&step);
    malloc_trim(0);
    note(blocks[FROM + MANY - 1]);
    free(hide(blocks[FROM + MANY - 1]));
}
