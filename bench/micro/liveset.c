/* SPDX-License-Identifier: MIT */
/*
 * liveset.c - random sizes with a live set: each step frees one random block and makes another.
 *
 * The steady state of a long-running program. Sizes are log-uniform. Every block is checked when
 * it is freed; a block that lost its tag ends the run.
 */
#include "bench.h"

struct slot {
    void *block;
    size_t size;
    uint64_t tag;
};

static uint64_t threads = 1;
static uint64_t slots = 100000;
static uint64_t ops = 3000000;
static uint64_t min_size = 16;
static uint64_t max_size = 1024;
static uint64_t sums[BENCH_MAX_THREADS];

static uint64_t
release(struct slot *slot)
{
    uint64_t tag = bench_tag(slot->block, slot->size);

    if (tag != slot->tag) {
        bench_fail("a block of %zu bytes lost its contents", slot->size);
    }
    free(slot->block);
    return tag;
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    struct slot *live = bench_pages(slots * sizeof(*live));
    uint64_t sum = 0;

    (void)context;
    for (uint64_t op = 0; op < ops; op++) {
        struct slot *slot = &live[bench_random_below(&random, slots)];

        if (slot->block != NULL) {
            sum += release(slot);
        }
        slot->size = bench_random_size(&random, min_size, max_size);
        slot->tag = op + index;
        slot->block = bench_malloc(slot->size);
        bench_touch(slot->block, slot->size, slot->tag);
    }
    for (uint64_t at = 0; at < slots; at++) {
        if (live[at].block != NULL) {
            sum += release(&live[at]);
        }
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its own live set", NULL},
        {"slots", &slots, 1, 1u << 28, "blocks in a live set", NULL},
        {"ops", &ops, 1, UINT32_MAX, "replacements per thread", NULL},
        {"min", &min_size, 16, 1u << 30, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 30, "greatest size", NULL},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "random sizes with a live set", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads, busy_ns);
    return 0;
}
