/* SPDX-License-Identifier: MIT */
/*
 * messages.c - producers allocate messages, consumers free them; one way or with replies.
 *
 * Each producer has a ring to each consumer (and one back when way=both: the consumer answers each
 * message with a block of its own, which the producer frees). Rings are bounded, single-writer and
 * single-reader, so the queue costs a few nanoseconds and the frees across threads are what is
 * measured. A thread that finds nothing to do spins a little, then yields.
 * Reports messages per second besides the usual lines.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>

enum { MAX_SIDE = 16, RING_SLOTS = 2048, SPINS = 64, PUBLISH_EVERY = 16 };
enum { WAY_ONE, WAY_BOTH };

/* Writer and reader each work on their own line and publish now and then. */
struct ring {
    _Alignas(BENCH_CACHE_LINE) uint64_t written;      /* writer only */
    uint64_t reader_seen;                             /* writer's last look at read_done */
    _Alignas(BENCH_CACHE_LINE) uint64_t written_done; /* release: slots filled */
    _Alignas(BENCH_CACHE_LINE) uint64_t read;         /* reader only */
    uint64_t writer_seen;                             /* reader's last look at written_done */
    _Alignas(BENCH_CACHE_LINE) uint64_t read_done;    /* release: slots emptied */
    _Alignas(BENCH_CACHE_LINE) void *slots[RING_SLOTS];
};

static uint64_t producers = 1;
static uint64_t consumers = 1;
static uint64_t messages = 2000000;
static uint64_t min_size = 32;
static uint64_t max_size = 512;
static uint64_t way = WAY_ONE;

static struct ring *requests;
static struct ring *replies;
static uint64_t sums[2 * MAX_SIDE];

static void
relax(unsigned *idle)
{
    if (++*idle < SPINS) {
        bench_pause();
        return;
    }
    *idle = 0;
    sched_yield();
}

static void
ring_publish(struct ring *ring)
{
    __atomic_store_n(&ring->written_done, ring->written, __ATOMIC_RELEASE);
}

static bool
ring_try_write(struct ring *ring, void *message)
{
    if (ring->written - ring->reader_seen == RING_SLOTS) {
        ring_publish(ring);
        ring->reader_seen = __atomic_load_n(&ring->read_done, __ATOMIC_ACQUIRE);
        if (ring->written - ring->reader_seen == RING_SLOTS) {
            return false;
        }
    }
    ring->slots[ring->written++ % RING_SLOTS] = message;
    if (ring->written % PUBLISH_EVERY == 0) {
        ring_publish(ring);
    }
    return true;
}

static void *
ring_try_read(struct ring *ring)
{
    void *message;

    if (ring->read == ring->writer_seen) {
        __atomic_store_n(&ring->read_done, ring->read, __ATOMIC_RELEASE);
        ring->writer_seen = __atomic_load_n(&ring->written_done, __ATOMIC_ACQUIRE);
        if (ring->read == ring->writer_seen) {
            return NULL;
        }
    }
    message = ring->slots[ring->read++ % RING_SLOTS];
    if (ring->read % PUBLISH_EVERY == 0) {
        __atomic_store_n(&ring->read_done, ring->read, __ATOMIC_RELEASE);
    }
    return message;
}

static void *
make_message(struct bench_random *random)
{
    size_t size = bench_random_size(random, min_size, max_size);
    void *message = bench_malloc(size);

    bench_touch(message, size, size);
    return message;
}

static uint64_t
consume(void *message)
{
    uint64_t size = bench_tag(message, sizeof(uint64_t));

    if (size < min_size || size > max_size ||
        ((unsigned char *)message)[size - 1] != (uint8_t)size) {
        bench_fail("a message lost its contents");
    }
    free(message);
    return size;
}

/* Frees what has come back to this producer; returns how many. */
static uint64_t
drain_replies(unsigned producer, uint64_t *sum)
{
    uint64_t count = 0;
    void *reply;

    for (uint64_t at = 0; at < consumers; at++) {
        while ((reply = ring_try_read(&replies[producer * consumers + at])) != NULL) {
            *sum += consume(reply);
            count++;
        }
    }
    return count;
}

static void
produce(unsigned producer)
{
    struct bench_random random = bench_random_seed(producer + 1);
    uint64_t answered = 0;
    uint64_t sum = 0;
    unsigned idle = 0;

    for (uint64_t sent = 0; sent < messages; sent++) {
        struct ring *ring = &requests[producer * consumers + sent % consumers];
        void *message = make_message(&random);

        while (!ring_try_write(ring, message)) {
            answered += way == WAY_BOTH ? drain_replies(producer, &sum) : 0;
            relax(&idle);
        }
        if (way == WAY_BOTH && sent % PUBLISH_EVERY == 0) {
            answered += drain_replies(producer, &sum);
        }
    }
    for (uint64_t at = 0; at < consumers; at++) {
        ring_publish(&requests[producer * consumers + at]);
    }
    while (way == WAY_BOTH && answered < messages) {
        answered += drain_replies(producer, &sum);
        relax(&idle);
    }
    sums[producer] = sum;
}

/* Messages this consumer gets from each producer: they are dealt round robin. */
static uint64_t
share_of(unsigned consumer)
{
    return messages / consumers + (consumer < messages % consumers ? 1 : 0);
}

static void
answer(unsigned consumer, uint64_t producer, struct bench_random *random)
{
    struct ring *ring = &replies[producer * consumers + consumer];
    void *reply = make_message(random);
    unsigned idle = 0;

    while (!ring_try_write(ring, reply)) {
        relax(&idle);
    }
}

static void
publish_replies(unsigned consumer)
{
    for (uint64_t producer = 0; producer < producers && way == WAY_BOTH; producer++) {
        ring_publish(&replies[producer * consumers + consumer]);
    }
}

static void
consume_all(unsigned consumer)
{
    struct bench_random random = bench_random_seed(consumer + 1000);
    uint64_t left = share_of(consumer) * producers;
    uint64_t sum = 0;
    unsigned idle = 0;

    while (left > 0) {
        uint64_t before = left;

        for (uint64_t producer = 0; producer < producers; producer++) {
            void *message;

            while ((message = ring_try_read(&requests[producer * consumers + consumer])) != NULL) {
                sum += consume(message);
                left--;
                if (way == WAY_BOTH) {
                    answer(consumer, producer, &random);
                }
            }
        }
        if (left == before) {
            publish_replies(consumer);
            relax(&idle);
        }
    }
    publish_replies(consumer);
    sums[MAX_SIDE + consumer] = sum;
}

static void
worker(unsigned index, void *context)
{
    (void)context;
    if (index < producers) {
        produce(index);
    } else {
        consume_all(index - (unsigned)producers);
    }
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"producers", &producers, 1, MAX_SIDE, "threads that allocate", NULL},
        {"consumers", &consumers, 1, MAX_SIDE, "threads that free", NULL},
        {"messages", &messages, 1, UINT32_MAX, "messages per producer", NULL},
        {"min", &min_size, 16, 1u << 20, "smallest message", NULL},
        {"max", &max_size, 16, 1u << 20, "greatest message", NULL},
        {"way", &way, 0, 0, "messages only, or an answer to each", "one,both"},
        {0},
    };
    uint64_t total;
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "producers and consumers", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    requests = bench_pages(producers * consumers * sizeof(*requests));
    replies = bench_pages(producers * consumers * sizeof(*replies));
    busy_ns = bench_run_threads((unsigned)(producers + consumers), worker, NULL);
    for (unsigned at = 0; at < 2 * MAX_SIDE; at++) {
        sum += sums[at];
    }
    total = messages * producers * (way == WAY_BOTH ? 2 : 1);
    bench_report(sum, total, busy_ns);
    bench_report_value("messages_per_s", total * 1000000000u / (busy_ns ? busy_ns : 1));
    return 0;
}
