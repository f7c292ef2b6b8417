/* SPDX-License-Identifier: MIT */
/*
 * mixed.c - mixed-thread stress with transfers, in the manner of mstress.
 *
 * Every iteration starts a fresh set of threads. A thread replaces blocks in its own slots and now
 * and then swaps a slot with one of a shared array, so blocks wander and die far from home. Sizes
 * are log-uniform with a rare large one. At its end a thread frees what it holds; the shared array
 * lives through all iterations but for a part freed by the main thread in between.
 * What is swapped depends on timing, the number and sizes of allocations do not.
 */
#define _GNU_SOURCE
#include "bench.h"

enum { TRANSFER_SLOTS = 2000, MIN_SIZE = 16, LARGE_ONE_IN = 2000 };

static uint64_t threads = 2;
static uint64_t iterations = 10;
static uint64_t slots = 20000;
static uint64_t ops = 150000;
static uint64_t max_size = 4096;
static uint64_t large_size = 200000;

static void *transfer[TRANSFER_SLOTS];
static uint64_t sums[BENCH_MAX_THREADS];
static uint64_t iteration;

static void *
make_block(struct bench_random *random)
{
    bool large = bench_random_below(random, LARGE_ONE_IN) == 0;
    size_t size = large ? bench_random_size(random, max_size, large_size)
                        : bench_random_size(random, MIN_SIZE, max_size);
    void *block = bench_malloc(size);

    bench_touch(block, size, size);
    return block;
}

static uint64_t
release(void *block)
{
    uint64_t size;

    if (block == NULL) {
        return 0;
    }
    size = bench_tag(block, sizeof(uint64_t));
    if (size < MIN_SIZE || size > large_size ||
        ((unsigned char *)block)[size - 1] != (uint8_t)size) {
        bench_fail("a block lost its contents");
    }
    free(block);
    return size;
}

static void
swap_with_shared(void **slot, struct bench_random *random)
{
    void **shared = &transfer[bench_random_below(random, TRANSFER_SLOTS)];

    *slot = __atomic_exchange_n(shared, *slot, __ATOMIC_ACQ_REL);
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(iteration * BENCH_MAX_THREADS + index + 1);
    void **live = (void **)context + index * slots;
    uint64_t sum = 0;

    for (uint64_t op = 0; op < ops; op++) {
        void **slot = &live[bench_random_below(&random, slots)];

        if (bench_random_below(&random, 4) == 0) {
            swap_with_shared(slot, &random);
        } else {
            sum += release(*slot);
            *slot = make_block(&random);
        }
    }
    for (uint64_t at = 0; at < slots; at++) {
        sum += release(live[at]);
        live[at] = NULL;
    }
    sums[index] += sum;
}

static uint64_t
free_shared(uint64_t from, uint64_t step)
{
    uint64_t sum = 0;

    for (uint64_t at = from; at < TRANSFER_SLOTS; at += step) {
        sum += release(transfer[at]);
        transfer[at] = NULL;
    }
    return sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads per iteration", NULL},
        {"iters", &iterations, 1, UINT32_MAX, "sets of threads, one after another", NULL},
        {"slots", &slots, 1, 1u << 26, "blocks a thread holds", NULL},
        {"ops", &ops, 1, UINT32_MAX, "steps per thread", NULL},
        {"max", &max_size, 32, 1u << 24, "greatest ordinary size", NULL},
        {"large", &large_size, 64, 1u << 28, "greatest rare size", NULL},
        {0},
    };
    void **live;
    uint64_t busy_ns = 0;
    uint64_t sum = 0;

    bench_parse(argc, argv, "mixed-thread stress with transfers", params);
    if (max_size > large_size) {
        bench_fail("max is above large");
    }
    live = bench_pages(threads * slots * sizeof(void *));
    for (iteration = 0; iteration < iterations; iteration++) {
        busy_ns += bench_run_threads((unsigned)threads, worker, live);
        sum += free_shared(iteration % 4, 4);
    }
    sum += free_shared(0, 1);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads * iterations, busy_ns);
    return 0;
}
