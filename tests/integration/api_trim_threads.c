/* SPDX-License-Identifier: MIT */
/*
 * malloc_trim(0) is process-wide: it reaches what other threads freed into their own caches, also
 * while those threads sleep, allocate, or trim themselves.
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>

enum { THREADS = 4, COUNT = 8000, SIZE = 2000 };
static pthread_barrier_t freed, trimmed;
static volatile int stop;

static void *
fill_and_free(void *arg)
{
    (void)arg;
    void **p = malloc(COUNT * sizeof *p);
    CHECK(p != NULL);
    for (int i = 0; i < COUNT; i++) {
        p[i] = malloc(SIZE);
        CHECK(p[i] != NULL);
        memset(p[i], 1, SIZE);
    }
    for (int i = 0; i < COUNT; i++) {
        free(p[i]);
    }
    free(p);
    pthread_barrier_wait(&freed);
    pthread_barrier_wait(&trimmed);
    return NULL;
}

static void *
allocate_all_the_time(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    void *slot[100] = {NULL};
    while (!stop) {
        size_t k = rnd_below(&state, 100);
        free(slot[k]);
        size_t n = rnd_below(&state, 20000);
        slot[k] = malloc(n);
        CHECK(slot[k] != NULL);
        memset(slot[k], 1, n);
    }
    for (int k = 0; k < 100; k++) {
        free(slot[k]);
    }
    return NULL;
}

int
main(void)
{
    pthread_t t[THREADS];
    pthread_barrier_init(&freed, NULL, THREADS + 1);
    pthread_barrier_init(&trimmed, NULL, THREADS + 1);
    size_t before = rss_kib();
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&t[i], NULL, fill_and_free, NULL) == 0);
    }
    pthread_barrier_wait(&freed);
    size_t peak = peak_rss_kib();
    malloc_trim(0);
    size_t after = rss_kib();
    CHECK(after < before + (peak - before) / 5, "%zu KiB before, %zu peak, %zu after malloc_trim",
          before, peak, after);
    pthread_barrier_wait(&trimmed);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    for (intptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&t[i], NULL, allocate_all_the_time, (void *)i) == 0);
    }
    double end = now_seconds() + 0.7;
    while (now_seconds() < end) {
        malloc_trim(0);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    return 0;
}
