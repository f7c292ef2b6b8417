/* SPDX-License-Identifier: MIT */
/*
 * Seeded hand-over stress: stress_handover [THREADS [OPS [SEED]]]
 *
 * A ring of threads: each allocates batches of blocks of one size, passes them to its neighbour,
 * and frees (or resizes) the batches it is passed, in order, in reverse or scattered. So nearly
 * every free is another thread's. One thread in three only frees. Each block carries its address
 * and a check word at both ends, and every fill byte is verified by the thread which frees it.
 */
#include "alloc_names.h"
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { MAX_THREADS = 64, QUEUE = 32, BATCH = 64 };

struct batch {
    size_t count, size;
    uint64_t tag;
    unsigned char *p[BATCH];
};

struct queue {
    struct batch *slot[QUEUE];
    size_t head __attribute__((aligned(64)));
    size_t tail __attribute__((aligned(64)));
};

static struct queue queues[MAX_THREADS];
static int threads, senders;
static size_t batches;
static uint64_t seed;

static int
is_sender(size_t thread)
{
    return threads <= 2 || thread % 3 != 2;
}

static unsigned char
byte_of(const void *p, uint64_t tag)
{
    return (unsigned char)(((uintptr_t)p >> 4) * 31 + tag);
}

static struct batch *
make_batch(uint64_t *state)
{
    struct batch *b = t_malloc(sizeof *b);
    CHECK(b != NULL);
    b->count = 1 + rnd_below(state, BATCH);
    b->size = 16 + rnd_below(state, (size_t)1 << (5 + rnd_below(state, 11)));
    b->tag = rnd(state);
    for (size_t i = 0; i < b->count; i++) {
        b->p[i] = t_malloc(b->size);
        CHECK(b->p[i] != NULL);
        memset(b->p[i], byte_of(b->p[i], b->tag), b->size);
    }
    return b;
}

static void
free_block(const struct batch *b, size_t i, uint64_t *state)
{
    unsigned char *p = b->p[i], expected = byte_of(p, b->tag);
    for (size_t k = 0; k < b->size; k++) {
        CHECK(p[k] == expected, "byte %zu of %zu at %p, seed %llu", k, b->size, (void *)p,
              (unsigned long long)seed);
    }
    switch (rnd_below(state, 16)) {
    case 0:
        p = t_realloc(p, b->size * 2);
        CHECK(p != NULL && p[b->size - 1] == expected);
        t_free(p);
        break;
    case 1:
        t_free_sized(p, b->size);
        break;
    default:
        t_free(p);
        break;
    }
}

static void
free_batch(struct batch *b, uint64_t *state)
{
    size_t order = rnd_below(state, 3), stride = 67; /* a prime beyond BATCH visits every index */
    for (size_t i = 0; i < b->count; i++) {
        size_t at = order == 0 ? i : order == 1 ? b->count - 1 - i : i * stride % b->count;
        free_block(b, at, state);
    }
    t_free(b);
}

static int
try_send(struct queue *q, struct batch *b)
{
    size_t head = __atomic_load_n(&q->head, __ATOMIC_RELAXED);
    if (head - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) == QUEUE) {
        return 0;
    }
    q->slot[head % QUEUE] = b;
    __atomic_store_n(&q->head, head + 1, __ATOMIC_RELEASE);
    return 1;
}

static struct batch *
try_receive(struct queue *q)
{
    size_t tail = __atomic_load_n(&q->tail, __ATOMIC_RELAXED);
    if (__atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == tail) {
        return NULL;
    }
    struct batch *b = q->slot[tail % QUEUE];
    __atomic_store_n(&q->tail, tail + 1, __ATOMIC_RELEASE);
    return b;
}

/* Sends its batches while it frees what comes in; leaves when all have sent and nothing came. */
static void *
pass_on(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    struct queue *in = &queues[me], *out = &queues[(me + 1) % (size_t)threads];
    uint64_t state = (seed + me * 1000003) | 1;
    size_t left = is_sender(me) ? batches : 0;
    struct batch *made = NULL;
    for (;;) {
        int all_sent = __atomic_load_n(&senders, __ATOMIC_ACQUIRE) == 0;
        struct batch *b = try_receive(in);
        if (b != NULL) {
            free_batch(b, &state);
        } else if (left == 0 && all_sent) {
            return NULL;
        } else {
            sched_yield();
        }
        if (left > 0) {
            made = made != NULL ? made : make_batch(&state);
            if (try_send(out, made)) {
                made = NULL;
                if (--left == 0) {
                    __atomic_sub_fetch(&senders, 1, __ATOMIC_RELEASE);
                }
            }
        }
    }
}

int
main(int argc, char **argv)
{
    int slow = getenv("TIDE_SANITIZER") != NULL && getenv("TIDE_SANITIZER")[0] != 0;
    threads = argc > 1 ? atoi(argv[1]) : 6;
    batches = argc > 2 ? (size_t)atol(argv[2]) : slow ? 600 : 4000;
    seed =
        argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    if (threads < 2 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: %s [THREADS [BATCHES [SEED]]], 2 to %d threads\n", argv[0],
                MAX_THREADS);
        return 2;
    }
    printf("stress_handover %d %zu %llu\n", threads, batches, (unsigned long long)seed);
    fflush(stdout);
    pthread_t t[MAX_THREADS];
    for (int i = 0; i < threads; i++) {
        senders += is_sender((size_t)i);
    }
    for (uintptr_t i = 0; i < (uintptr_t)threads; i++) {
        CHECK(pthread_create(&t[i], NULL, pass_on, (void *)i) == 0);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
    }
    return 0;
}
