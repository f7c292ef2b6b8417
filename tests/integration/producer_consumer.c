/* SPDX-License-Identifier: MIT */
/*
 * Two producers allocate, two consumers free, over bounded queues, and then the other way round,
 * for tens of millions of bytes: memory stays near what is in flight.
 */
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { QUEUE = 1024, ITEMS = 400000, BATCH = 16 };
struct queue {
    void *slot[QUEUE];
    size_t head __attribute__((aligned(64)));
    size_t tail __attribute__((aligned(64)));
};
static struct queue queues[2];

static void *
produce(void *arg)
{
    struct queue *q = arg;
    uint64_t state = (uint64_t)(uintptr_t)q | 1;
    for (size_t i = 0; i < ITEMS; i++) {
        size_t n = 16 + rnd_below(&state, i % 64 == 0 ? 30000 : 500);
        unsigned char *p = malloc(n);
        CHECK(p != NULL);
        memset(p, 1, 16);
        memcpy(p, &n, sizeof n);
        p[n - 1] = 2;
        while (q->head - __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) == QUEUE) {
            sched_yield();
        }
        q->slot[q->head % QUEUE] = p;
        __atomic_store_n(&q->head, q->head + 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *
consume(void *arg)
{
    struct queue *q = arg;
    for (size_t i = 0; i < ITEMS; i++) {
        while (__atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == q->tail) {
            sched_yield();
        }
        unsigned char *p = q->slot[q->tail % QUEUE];
        __atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
        size_t n;
        memcpy(&n, p, sizeof n);
        CHECK(n >= 16 && n < 40000 && p[n - 1] == 2, "damaged block of %zu", n);
        free(p);
    }
    return NULL;
}

int
main(void)
{
    size_t before = rss_kib();
    for (int round = 0; round < 2; round++) {
        pthread_t t[4];
        for (size_t i = 0; i < 2; i++) {
            queues[i].head = queues[i].tail = 0;
            CHECK(pthread_create(&t[i], NULL, round == 0 ? produce : consume, &queues[i]) == 0);
            CHECK(pthread_create(&t[i + 2], NULL, round == 0 ? consume : produce, &queues[i]) == 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
        }
    }
    CHECK(peak_rss_kib() < before + (32 << 10), "%zu KiB before, peak %zu KiB", before,
          peak_rss_kib());
    return 0;
}
