/* SPDX-License-Identifier: MIT */
/*
 * batch.c - allocate a batch of blocks of one size, then free all of it, round after round.
 *
 * The order of the frees is the point: lifo suits stacks of free blocks, fifo does not, random is
 * what a cleared hash table does.
 */
#include "bench.h"

enum order { ORDER_LIFO, ORDER_FIFO, ORDER_RANDOM };

static uint64_t threads = 1;
static uint64_t size = 64;
static uint64_t batch = 10000;
static uint64_t rounds = 500;
static uint64_t order = ORDER_LIFO;
static uint64_t sums[BENCH_MAX_THREADS];

static uint64_t
release(void *block)
{
    uint64_t tag = bench_tag(block, size);

    free(block);
    return tag;
}

static void
shuffle(void **blocks, struct bench_random *random)
{
    for (uint64_t at = batch - 1; at > 0; at--) {
        uint64_t other = bench_random_below(random, at + 1);
        void *block = blocks[at];

        blocks[at] = blocks[other];
        blocks[other] = block;
    }
}

static uint64_t
free_batch(void **blocks)
{
    uint64_t sum = 0;

    if (order == ORDER_LIFO) {
        for (uint64_t at = batch; at > 0; at--) {
            sum += release(blocks[at - 1]);
        }
        return sum;
    }
    for (uint64_t at = 0; at < batch; at++) {
        sum += release(blocks[at]);
    }
    return sum;
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    void **blocks = bench_pages(batch * sizeof(void *));
    uint64_t sum = 0;

    (void)context;
    for (uint64_t round = 0; round < rounds; round++) {
        for (uint64_t at = 0; at < batch; at++) {
            blocks[at] = bench_malloc(size);
            bench_touch(blocks[at], size, at + round);
        }
        if (order == ORDER_RANDOM) {
            shuffle(blocks, &random);
        }
        sum += free_batch(blocks);
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its own batch", NULL},
        {"size", &size, 16, 1u << 30, "bytes per block", NULL},
        {"batch", &batch, 1, 1u << 28, "blocks per batch", NULL},
        {"rounds", &rounds, 1, UINT32_MAX, "batches per thread", NULL},
        {"order", &order, 0, 0, "order of the frees", "lifo,fifo,random"},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "batches of one size, allocated and then freed", params);
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, batch * rounds * threads, busy_ns);
    return 0;
}
