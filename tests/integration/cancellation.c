/* SPDX-License-Identifier: MIT */
/*
 * No call of the malloc family is a cancellation point, however much it must ask of the system.
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>

static volatile int survived;
static pthread_barrier_t begin;

static void *
allocate_while_cancelled(void *arg)
{
    pthread_barrier_wait(&begin);
    for (size_t n = 1; n < 64 << 20; n = n * 2) {
        void *p[4] = {malloc(n), calloc(1, n), realloc(malloc(n), n * 3), aligned_alloc(4096, n)};
        for (int i = 0; i < 4; i++) {
            CHECK(p[i] != NULL);
            free(p[i]);
        }
        malloc_trim(0);
    }
    survived = 1;
    pthread_testcancel();
    return arg;
}

int
main(void)
{
    for (int i = 0; i < 5; i++) {
        pthread_t t;
        void *result = NULL;
        survived = 0;
        pthread_barrier_init(&begin, NULL, 2);
        CHECK(pthread_create(&t, NULL, allocate_while_cancelled, NULL) == 0);
        CHECK(pthread_cancel(t) == 0);
        pthread_barrier_wait(&begin);
        pthread_join(t, &result);
        CHECK(survived && result == PTHREAD_CANCELED);
    }
    return 0;
}
