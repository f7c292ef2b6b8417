/* SPDX-License-Identifier: MIT */
/*
 * sharing.c - does the allocator put blocks of different threads on one cache line?
 *
 * style=thrash    each thread allocates a small block, writes to it many times and frees it: lines
 *                 are shared when the allocator carves neighbours for different threads.
 * style=scratch   the main thread allocates one small block per thread, side by side; each thread
 *                 frees its own first, then does as above: lines are shared when the allocator
 *                 gives the freed block back to the thread that freed it.
 */
#include "bench.h"

enum { STYLE_THRASH, STYLE_SCRATCH };

static uint64_t threads = 2;
static uint64_t size = 16;
static uint64_t rounds = 100000;
static uint64_t writes = 1000;
static uint64_t style = STYLE_THRASH;
static void *given[BENCH_MAX_THREADS];
static uint64_t sums[BENCH_MAX_THREADS];

static void
worker(unsigned index, void *context)
{
    uint64_t sum = 0;

    (void)context;
    free(given[index]);
    for (uint64_t round = 0; round < rounds; round++) {
        volatile char *block = bench_malloc(size);

        for (uint64_t at = 0; at < size; at++) {
            block[at] = (char)at;
        }
        for (uint64_t at = 0; at < writes; at++) {
            block[at % 8]++;
        }
        sum += (unsigned char)block[0];
        free((void *)block);
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads that write", NULL},
        {"size", &size, 8, 4096, "bytes per block", NULL},
        {"rounds", &rounds, 1, UINT32_MAX, "blocks per thread", NULL},
        {"writes", &writes, 1, UINT32_MAX, "writes per block", NULL},
        {"style", &style, 0, 0, "who makes the first block", "thrash,scratch"},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "false sharing of cache lines", params);
    for (uint64_t at = 0; at < threads && style == STYLE_SCRATCH; at++) {
        given[at] = bench_malloc(size);
        bench_touch(given[at], size, at);
    }
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, rounds * threads, busy_ns);
    return 0;
}
