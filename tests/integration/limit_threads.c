/* SPDX-License-Identifier: MIT */
/*
 * Under an address space limit, what one thread has freed is there for another one at once, though
 * the first keeps empty spans for itself and idles.
 * only: tide
 */
#include "check.h"
#include <pthread.h>

enum { WANTED = 160 << 20, BLOCKS = 62000, BYTES = 8192 };
static pthread_barrier_t freed, over;

static void *
free_much(void *arg)
{
    void **p = malloc(BLOCKS * sizeof *p);

    CHECK(p != NULL);
    for (size_t i = 0; i < BLOCKS; i++) {
        p[i] = malloc(BYTES);
        CHECK(p[i] != NULL);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        free(p[i]);
    }
    free(p);
    pthread_barrier_wait(&freed);
    pthread_barrier_wait(&over);
    return arg;
}

int
main(int argc, char **argv)
{
    pthread_attr_t small;
    pthread_t thread;
    void *p;

    (void)argc;
    reexec_limited(argv, RLIMIT_AS, 640);
    pthread_barrier_init(&freed, NULL, 2);
    pthread_barrier_init(&over, NULL, 2);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 18);
    CHECK(pthread_create(&thread, &small, free_much, NULL) == 0);
    pthread_barrier_wait(&freed);
    p = malloc(WANTED);
    CHECK(p != NULL, "%d MiB were freed by the other thread", BLOCKS / 1024 * BYTES / 1024);
    memset(p, 1, WANTED);
    free(p);
    pthread_barrier_wait(&over);
    pthread_join(thread, NULL);
    return 0;
}
