/* SPDX-License-Identifier: MIT */
/*
 * exchange.c - batches allocated by one thread and freed by another, in the manner of xmalloc-test.
 *
 * Every worker allocates a batch, appends it to a common queue, takes the oldest batch of the queue
 * and frees it. The queue always holds a few batches per thread, so nearly every block is freed by
 * a thread that did not allocate it. A batch goes under one lock, so the queue costs little.
 */
#include "bench.h"

enum { MAX_BATCH = 4096, QUEUE_SLOTS = 1024 };

struct batch {
    void *blocks[MAX_BATCH];
};

static uint64_t threads = 2;
static uint64_t batch_size = 500;
static uint64_t rounds = 6000;
static uint64_t backlog = 8;
static uint64_t min_size = 16;
static uint64_t max_size = 512;

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static struct batch *queue[QUEUE_SLOTS];
static uint64_t queue_head; /* lock(queue_lock): next to take */
static uint64_t queue_tail; /* lock(queue_lock): next free slot */
static uint64_t sums[BENCH_MAX_THREADS];

static void
fill(struct batch *batch, struct bench_random *random)
{
    for (uint64_t at = 0; at < batch_size; at++) {
        size_t size = bench_random_size(random, min_size, max_size);

        batch->blocks[at] = bench_malloc(size);
        bench_touch(batch->blocks[at], size, size);
    }
}

static uint64_t
drain(struct batch *batch)
{
    uint64_t sum = 0;

    for (uint64_t at = 0; at < batch_size; at++) {
        unsigned char *block = batch->blocks[at];
        uint64_t size = bench_tag(block, sizeof(uint64_t));

        if (size < min_size || size > max_size || block[size - 1] != (uint8_t)size) {
            bench_fail("a block lost its contents");
        }
        sum += size;
        free(block);
    }
    return sum;
}

/* Appends one batch and takes the oldest: the queue never runs empty. */
static struct batch *
trade(struct batch *full)
{
    struct batch *oldest;

    pthread_mutex_lock(&queue_lock);
    queue[queue_tail++ % QUEUE_SLOTS] = full;
    oldest = queue[queue_head++ % QUEUE_SLOTS];
    pthread_mutex_unlock(&queue_lock);
    return oldest;
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    struct batch *batch = bench_pages(sizeof(*batch));
    uint64_t sum = 0;

    (void)context;
    for (uint64_t round = 0; round < rounds; round++) {
        fill(batch, &random);
        batch = trade(batch);
        sum += drain(batch);
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "workers", NULL},
        {"batch", &batch_size, 1, MAX_BATCH, "blocks per batch", NULL},
        {"rounds", &rounds, 1, UINT32_MAX, "batches per worker", NULL},
        {"backlog", &backlog, 0, QUEUE_SLOTS / 2, "batches waiting in the queue", NULL},
        {"min", &min_size, 16, 1u << 20, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 20, "greatest size", NULL},
        {0},
    };
    struct bench_random random = bench_random_seed(99);
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "batches traded between threads", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    for (; queue_tail < backlog; queue_tail++) {
        queue[queue_tail] = bench_pages(sizeof(struct batch));
        fill(queue[queue_tail], &random);
    }
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (; queue_head < queue_tail; queue_head++) {
        sum += drain(queue[queue_head % QUEUE_SLOTS]);
    }
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, batch_size * rounds * threads, busy_ns);
    return 0;
}
