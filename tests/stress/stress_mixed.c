/* SPDX-License-Identifier: MIT */
/*
 * Seeded multithreaded stress: stress_mixed [THREADS [OPS [SEED]]]
 *
 * Every call of the family on a random mixture of sizes, every byte of every block verified before
 * the block is resized or freed. A thread has slots of its own and slots it shares with all others
 * (blocks are allocated here and freed there). A thread lives for a part of the work, then starts
 * its successor and ends, leaving its blocks behind; so there are always threads ending and
 * beginning.
 *
 * Prints its seed first: the sequence of operations of each thread follows from it, the
 * interleaving does not. OPS are per slot group and life, not exact.
 */
#include "alloc_names.h"
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { MAX_THREADS = 64, LIVES = 12, OWN_SLOTS = 250, SHARED_SLOTS = 1200 };

struct slot {
    unsigned char *p;
    size_t size;
    uint64_t tag;
    int lock;
};

static struct slot own[MAX_THREADS][OWN_SLOTS];
static struct slot shared[SHARED_SLOTS];
static uint64_t seed;
static size_t ops_per_life;
static int threads_left;

static uint64_t
word_at(const void *p, uint64_t tag, size_t i)
{
    return ((uintptr_t)p ^ tag * 0x9e3779b97f4a7c15u) + i * 0xbf58476d1ce4e5b9u;
}

static void
fill(unsigned char *p, size_t size, uint64_t tag)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t w = word_at(p, tag, i);
        memcpy(p + i, &w, 8);
    }
    uint64_t last = word_at(p, tag, i);
    memcpy(p + i, &last, size - i);
}

/* Verifies what fill wrote when the block was at `at`. */
static void
verify(const unsigned char *p, const void *at, size_t size, uint64_t tag)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t w = word_at(at, tag, i);
        CHECK(memcmp(p + i, &w, 8) == 0, "byte %zu of %zu at %p (was at %p), seed %llu", i, size,
              (const void *)p, at, (unsigned long long)seed);
    }
    uint64_t last = word_at(at, tag, i);
    CHECK(memcmp(p + i, &last, size - i) == 0, "the last bytes of %zu at %p, seed %llu", size,
          (const void *)p, (unsigned long long)seed);
}

static size_t
random_size(uint64_t *state)
{
    size_t kind = rnd_below(state, 1000);
    if (kind < 600) {
        return rnd_below(state, 257);
    }
    if (kind < 850) {
        return rnd_below(state, 4097);
    }
    if (kind < 960) {
        return rnd_below(state, 40000);
    }
    if (kind < 997) {
        return rnd_below(state, 400000);
    }
    return rnd_below(state, 6 << 20);
}

static void
check_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        CHECK(p[i] == 0, "calloc: byte %zu of %zu, seed %llu", i, size, (unsigned long long)seed);
    }
}

static void
allocate(struct slot *s, uint64_t *state)
{
    size_t size = random_size(state);
    size_t alignment = 16;
    void *p = NULL;
    switch (rnd_below(state, 10)) {
    case 0:
        p = t_calloc(1, size);
        CHECK(p != NULL);
        check_zero(p, size);
        break;
    case 1:
        alignment = (size_t)1 << (3 + rnd_below(state, 11));
        CHECK(t_posix_memalign(&p, alignment, size) == 0);
        break;
    case 2:
        alignment = (size_t)1 << rnd_below(state, 18);
        p = t_aligned_alloc(alignment, size);
        break;
    default:
        p = t_malloc(size);
        break;
    }
    CHECK(p != NULL, "size %zu alignment %zu", size, alignment);
    CHECK_ALIGNED(p, alignment < 16 ? 16 : alignment);
    s->size = rnd_below(state, 4) == 0 ? t_malloc_usable_size(p) : size;
    CHECK(s->size >= size, "usable %zu, asked %zu", s->size, size);
    s->p = p;
    s->tag = rnd(state);
    fill(s->p, s->size, s->tag);
}

static void
resize(struct slot *s, uint64_t *state)
{
    size_t size = random_size(state) + 1;
    void *old = hide(s->p);
    unsigned char *p = t_realloc(s->p, size);
    CHECK(p != NULL);
    CHECK_ALIGNED(p, 16);
    /* A tail shorter than a word was derived from the old size: verify whole words only. */
    size_t kept = s->size <= size ? s->size : size / 8 * 8;
    verify(p, old, kept, s->tag);
    s->p = p;
    s->size = size;
    s->tag = rnd(state);
    fill(s->p, s->size, s->tag);
}

static void
release(struct slot *s)
{
    verify(s->p, s->p, s->size, s->tag);
    int before = errno = (int)(s->tag & 0xff);
    t_free(s->p);
    CHECK(errno == before, "free changed errno to %d", errno);
    s->p = NULL;
}

static void
step(struct slot *s, uint64_t *state)
{
    size_t what = rnd_below(state, 100);
    if (s->p == NULL) {
        allocate(s, state);
    } else if (what < 25) {
        resize(s, state);
    } else if (what < 30) {
        verify(s->p, s->p, s->size, s->tag);
        CHECK(t_malloc_usable_size(s->p) >= s->size);
    } else {
        release(s);
        if (what < 60) {
            allocate(s, state);
        }
    }
}

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

/* Many blocks of one size, all handed to the shared slots at once: bursts of remote frees. */
static void
burst(uint64_t *state)
{
    size_t size = random_size(state) % 3000;
    for (int i = 0; i < 100; i++) {
        struct slot *s = &shared[rnd_below(state, SHARED_SLOTS)];
        if (!try_lock(s)) {
            continue;
        }
        if (s->p != NULL) {
            release(s);
        }
        s->p = t_malloc(size);
        CHECK(s->p != NULL);
        s->size = size;
        s->tag = rnd(state);
        fill(s->p, size, s->tag);
        unlock(s);
    }
}

static void *one_life(void *arg);

static void
start(uintptr_t thread_and_life)
{
    pthread_t t;
    CHECK(pthread_create(&t, NULL, one_life, (void *)thread_and_life) == 0);
    CHECK(pthread_detach(t) == 0);
}

static void *
one_life(void *arg)
{
    uintptr_t me = (uintptr_t)arg % MAX_THREADS, life = (uintptr_t)arg / MAX_THREADS;
    uint64_t state = (seed + me * 1000003 + life * 7919) | 1;
    for (size_t i = 0; i < ops_per_life; i++) {
        size_t what = rnd_below(&state, 1000);
        if (what < 700) {
            step(&own[me][rnd_below(&state, OWN_SLOTS)], &state);
        } else if (what < 997) {
            struct slot *s = &shared[rnd_below(&state, SHARED_SLOTS)];
            if (try_lock(s)) {
                step(s, &state);
                unlock(s);
            }
        } else {
            burst(&state);
        }
    }
    if (rnd_below(&state, 4) == 0) {
        t_malloc_trim(0);
    }
    if (life + 1 < LIVES) {
        start(me + (life + 1) * MAX_THREADS);
    } else {
        __atomic_sub_fetch(&threads_left, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    int slow = getenv("TIDE_SANITIZER") != NULL && getenv("TIDE_SANITIZER")[0] != 0;
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    size_t ops = argc > 2 ? (size_t)atol(argv[2]) : slow ? 60000 : 300000;
    seed =
        argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (threads < 1 || threads > MAX_THREADS || ops < LIVES) {
        fprintf(stderr, "usage: %s [THREADS [OPS [SEED]]], at most %d threads\n", argv[0],
                MAX_THREADS);
        return 2;
    }
    printf("stress_mixed %d %zu %llu\n", threads, ops, (unsigned long long)seed);
    fflush(stdout);
    ops_per_life = ops / LIVES;
    threads_left = threads;
    for (int i = 0; i < threads; i++) {
        start((uintptr_t)i);
    }
    while (__atomic_load_n(&threads_left, __ATOMIC_ACQUIRE) > 0) {
        sleep_ms(5);
    }
    for (int i = 0; i < threads; i++) {
        for (int k = 0; k < OWN_SLOTS; k++) {
            if (own[i][k].p != NULL) {
                release(&own[i][k]);
            }
        }
    }
    for (int k = 0; k < SHARED_SLOTS; k++) {
        if (shared[k].p != NULL) {
            release(&shared[k]);
        }
    }
    t_malloc_trim(0);
    return 0;
}
