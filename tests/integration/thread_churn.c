/* SPDX-License-Identifier: MIT */
/*
 * 10,000 short threads, eight at a time, each with allocations of its own, some blocks handed to
 * the next ones: memory may not grow with the number of threads that were. The gate proves itself:
 * with "leak" each thread loses 4 KiB, and the gate must trip.
 * args: honest | leak
 */
#include "check.h"
#include <pthread.h>

enum {
    THREADS = 10000,
    AT_ONCE = 8,
    WARM_UP = 1000,
    BLOCKS = 100,
    HANDED = 64,
    GATE_KIB = 6 << 10,
    LEAK = 4 << 10
};
static void *handed[HANDED];
static int leaking;

static void *
short_life(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg * 7919 + 1;
    unsigned char *p[BLOCKS];
    size_t size[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        size[i] = rnd_below(&state, (size_t)1 << (4 + rnd_below(&state, 10)));
        p[i] = malloc(size[i]);
        CHECK(p[i] != NULL);
        pattern_fill(p[i], size[i], (uint64_t)i);
    }
    for (int i = 0; i < BLOCKS; i++) {
        CHECK_PATTERN(p[i], size[i], (uint64_t)i);
        if (i % 10 == 0) {
            free(__atomic_exchange_n(&handed[rnd_below(&state, HANDED)], p[i], __ATOMIC_ACQ_REL));
        } else {
            free(p[i]);
        }
    }
    if (leaking) {
        memset(hide(malloc(LEAK)), 1, LEAK);
    }
    return NULL;
}

static size_t
run_threads(size_t count)
{
    for (size_t n = 0; n < count; n += AT_ONCE) {
        pthread_t t[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++) {
            CHECK(pthread_create(&t[i], NULL, short_life, (void *)(n + i)) == 0);
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            pthread_join(t[i], NULL);
        }
    }
    return rss_kib();
}

int
main(int argc, char **argv)
{
    leaking = argc > 1 && strcmp(argv[1], "leak") == 0;
    size_t early = run_threads(WARM_UP);
    size_t late = run_threads(THREADS - WARM_UP);
    int tripped = late > early + GATE_KIB;
    CHECK(tripped == leaking, "%zu KiB after %d threads, %zu KiB after %d: the gate %s", early,
          WARM_UP, late, THREADS, tripped ? "tripped" : "did not trip");
    return 0;
}
