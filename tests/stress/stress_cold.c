/* SPDX-License-Identifier: MIT */
/*
 * Seeded stress of memory that goes cold: stress_cold [THREADS [ROUNDS [SEED]]]
 *
 * Threads fill a shared table, free most of it, and pause long enough for the background thread
 * (set to its most eager here) to purge around the survivors; then the survivors are verified,
 * freed, resized and zeroed anew by whichever thread comes first. Every byte is verified.
 */
#include "alloc_names.h"
#include "check.h"
#include <malloc.h>
#include <pthread.h>

#ifndef TIDE_TEST_SYSTEM
/* Read by the library, which is linked into this program. */
const char *tide_conf = "keeper_threshold:0,keeper_interval_ms:1,purge_window_ms:1,span_retain:0";
#endif

enum { MAX_THREADS = 32, SLOTS = 6000, STEPS = 4000 };

static struct slot {
    unsigned char *p;
    size_t size;
    uint64_t tag;
    int lock;
} slots[SLOTS];

static uint64_t seed;
static int rounds;

static int
try_lock(struct slot *s)
{
    return __atomic_exchange_n(&s->lock, 1, __ATOMIC_ACQUIRE) == 0;
}

static void
unlock(struct slot *s)
{
    __atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
}

static void
verify(const struct slot *s, size_t size)
{
    size_t damage = pattern_find_damage(s->p, size, s->tag);
    CHECK(damage == size, "byte %zu of %zu at %p, seed %llu", damage, size, (void *)s->p,
          (unsigned long long)seed);
}

static void
fill(struct slot *s, size_t size, uint64_t *state)
{
    s->size = size;
    s->tag = rnd(state);
    pattern_fill(s->p, size, s->tag);
}

static void
obtain(struct slot *s, size_t size, uint64_t *state)
{
    if (rnd_below(state, 3) == 0) {
        s->p = t_calloc(1, size);
        CHECK(s->p != NULL);
        for (size_t i = 0; i < size; i++) {
            CHECK(s->p[i] == 0, "calloc: byte %zu of %zu, seed %llu", i, size,
                  (unsigned long long)seed);
        }
    } else {
        s->p = t_malloc(size);
        CHECK(s->p != NULL);
    }
    fill(s, size, state);
}

static void
drop(struct slot *s)
{
    verify(s, s->size);
    t_free(s->p);
    s->p = NULL;
}

/* One of many sizes in a phase, so that spans of it fill up and then empty together. */
static void
fill_phase(uint64_t *state)
{
    size_t base = (size_t)16 << rnd_below(state, 11);
    for (int i = 0; i < STEPS; i++) {
        struct slot *s = &slots[rnd_below(state, SLOTS)];
        if (try_lock(s)) {
            if (s->p == NULL) {
                obtain(s, base + rnd_below(state, base), state);
            }
            unlock(s);
        }
    }
}

static void
free_phase(uint64_t *state)
{
    size_t keep_one_in = 5 + rnd_below(state, 40);
    size_t from = rnd_below(state, SLOTS);
    for (size_t i = 0; i < STEPS; i++) {
        struct slot *s = &slots[(from + i) % SLOTS];
        if (try_lock(s)) {
            if (s->p != NULL && rnd_below(state, keep_one_in) != 0) {
                drop(s);
            }
            unlock(s);
        }
    }
}

/* Work on survivors, whose spans are cold by now. */
static void
survivor_phase(uint64_t *state)
{
    for (int i = 0; i < STEPS / 4; i++) {
        struct slot *s = &slots[rnd_below(state, SLOTS)];
        if (!try_lock(s)) {
            continue;
        }
        if (s->p != NULL) {
            size_t size = s->size + rnd_below(state, s->size + 1);
            CHECK(t_malloc_usable_size(s->p) >= s->size);
            if (rnd_below(state, 2) == 0) {
                drop(s);
            } else {
                verify(s, s->size);
                size_t kept = s->size;
                s->p = t_realloc(s->p, size);
                CHECK(s->p != NULL);
                verify(s, kept);
                fill(s, size, state);
            }
        }
        unlock(s);
    }
}

static void *
work(void *arg)
{
    uint64_t state = (seed + (uintptr_t)arg * 1000003) | 1;
    for (int i = 0; i < rounds; i++) {
        fill_phase(&state);
        free_phase(&state);
        sleep_ms((long)rnd_below(&state, 12));
        survivor_phase(&state);
        if (rnd_below(&state, 16) == 0) {
            t_malloc_trim(0);
        }
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    int slow = getenv("TIDE_SANITIZER") != NULL && getenv("TIDE_SANITIZER")[0] != 0;
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    rounds = argc > 2 ? atoi(argv[2]) : slow ? 15 : 50;
    seed =
        argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: %s [THREADS [ROUNDS [SEED]]], at most %d threads\n", argv[0],
                MAX_THREADS);
        return 2;
    }
    printf("stress_cold %d %d %llu\n", threads, rounds, (unsigned long long)seed);
    fflush(stdout);
    pthread_t t[MAX_THREADS];
    for (uintptr_t i = 0; i < (uintptr_t)threads; i++) {
        CHECK(pthread_create(&t[i], NULL, work, (void *)i) == 0);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
    }
    for (struct slot *s = slots; s < slots + SLOTS; s++) {
        if (s->p != NULL) {
            drop(s);
        }
    }
    return 0;
}
