/* SPDX-License-Identifier: MIT */
/*
 * Threads which only free. What they free comes back to the threads which allocate, also when those
 * have ended meanwhile, and to the system when the process idles.
 * args: alive | exits
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>

enum { COUNT = 16000, SIZE = 2000, ROUNDS = 25 };
static void *block[COUNT];
static sem_t filled, emptied;

static void
fill(void)
{
    for (int i = 0; i < COUNT; i++) {
        block[i] = malloc(SIZE);
        CHECK(block[i] != NULL);
        memset(block[i], 1, SIZE);
    }
}

static void *
allocate_only(void *arg)
{
    int rounds = (int)(intptr_t)arg;
    for (int i = 0; i < rounds; i++) {
        fill();
        sem_post(&filled);
        sem_wait(&emptied);
    }
    return NULL;
}

static void *
free_only(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        sem_wait(&filled);
        for (int k = 0; k < COUNT; k++) {
            free(block[k]);
        }
        sem_post(&emptied);
    }
    return arg;
}

int
main(int argc, char **argv)
{
    int exits = argc > 1 && strcmp(argv[1], "exits") == 0;
    sem_init(&filled, 0, 0);
    sem_init(&emptied, 0, 0);
    size_t before = rss_kib(), live = (size_t)COUNT * SIZE / 1024;
    pthread_t f, a;
    CHECK(pthread_create(&f, NULL, free_only, NULL) == 0);
    for (int i = 0; i < (exits ? ROUNDS : 1); i++) {
        CHECK(pthread_create(&a, NULL, allocate_only, (void *)(intptr_t)(exits ? 1 : ROUNDS)) == 0);
        pthread_join(a, NULL);
    }
    pthread_join(f, NULL);
    size_t peak = peak_rss_kib();
    CHECK(peak < before + live * 2 + 8192, "%zu KiB live at most, peak %zu", live, peak);
    if (getenv("LD_PRELOAD") != NULL) { /* the system malloc keeps memory */
        sleep_ms(2500);
        size_t idle = rss_kib();
        CHECK(idle < before + live / 3 + 8192, "%zu KiB idle, peak %zu", idle, peak);
    }
    return 0;
}
