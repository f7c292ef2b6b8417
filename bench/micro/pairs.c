/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - malloc, use, free; over and over with one size. The shortest path of an allocator.
 *
 * Each thread replaces the oldest of `depth` blocks, so that depth=1 is the pure pair. It holds
 * `live` more blocks of the size meanwhile, as programs do: with none, an allocator that looks for
 * wholly free pages finds one after every single free.
 */
#include "bench.h"

enum { MAX_DEPTH = 1024 };

static uint64_t threads = 1;
static uint64_t size = 64;
static uint64_t ops = 10000000;
static uint64_t depth = 1;
static uint64_t live = 16;
static uint64_t sums[BENCH_MAX_THREADS];

static void
worker(unsigned index, void *context)
{
    void *recent[MAX_DEPTH] = {0};
    void *held[MAX_DEPTH];
    uint64_t sum = 0;

    (void)context;
    for (uint64_t at = 0; at < live; at++) {
        held[at] = bench_malloc(size);
        bench_touch(held[at], size, at);
    }
    for (uint64_t op = 0, slot = 0; op < ops; op++) {
        if (recent[slot] != NULL) {
            sum += bench_tag(recent[slot], size);
            free(recent[slot]);
        }
        recent[slot] = bench_malloc(size);
        bench_touch(recent[slot], size, op + index);
        slot = slot + 1 < depth ? slot + 1 : 0;
    }
    for (uint64_t slot = 0; slot < depth; slot++) {
        if (recent[slot] != NULL) {
            sum += bench_tag(recent[slot], size);
            free(recent[slot]);
        }
    }
    for (uint64_t at = 0; at < live; at++) {
        sum += bench_tag(held[at], size);
        free(held[at]);
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its own blocks", NULL},
        {"size", &size, 16, 1u << 30, "bytes per block", NULL},
        {"ops", &ops, 1, UINT32_MAX, "pairs per thread", NULL},
        {"depth", &depth, 1, MAX_DEPTH, "blocks replaced by turns", NULL},
        {"live", &live, 0, MAX_DEPTH, "further blocks held meanwhile", NULL},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "malloc and free pairs of one size", params);
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads, busy_ns);
    return 0;
}
