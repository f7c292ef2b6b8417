/* SPDX-License-Identifier: MIT */
/*
 * simple.c - a few live blocks of one size, allocated and freed in order, for many sizes.
 *
 * In the manner of glibc's malloc-simple: for each of the sizes and for 25, 100, 400 and 1600 live
 * blocks the same number of allocations is made. Small working sets that stay in the cache.
 */
#include "bench.h"

static uint64_t threads = 1;
static uint64_t ops = 1600000;
static uint64_t sums[BENCH_MAX_THREADS];

static const size_t sizes[] = {8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
static const uint64_t counts[] = {25, 100, 400, 1600};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), COUNTS = sizeof(counts) / sizeof(counts[0]) };
enum { MAX_COUNT = 1600 };

static uint64_t
run_one(void **live, size_t size, uint64_t count, uint64_t rounds)
{
    uint64_t sum = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        for (uint64_t at = 0; at < count; at++) {
            unsigned char *block = bench_malloc(size);

            block[0] = (unsigned char)at;
            block[size - 1] = (unsigned char)at;
            bench_escape(block);
            live[at] = block;
        }
        for (uint64_t at = 0; at < count; at++) {
            sum += *(unsigned char *)live[at];
            free(live[at]);
        }
    }
    return sum;
}

static void
worker(unsigned index, void *context)
{
    void **live = bench_pages(MAX_COUNT * sizeof(void *));

    (void)context;
    for (size_t size = 0; size < SIZES; size++) {
        for (size_t count = 0; count < COUNTS; count++) {
            uint64_t rounds = ops / (SIZES * COUNTS) / counts[count] + 1;

            sums[index] += run_one(live, sizes[size], counts[count], rounds);
        }
    }
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each by itself", NULL},
        {"ops", &ops, 1, UINT32_MAX, "allocations per thread", NULL},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "a few live blocks of one size, for many sizes", params);
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads, busy_ns);
    return 0;
}
