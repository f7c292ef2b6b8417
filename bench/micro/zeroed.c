/* SPDX-License-Identifier: MIT */
/*
 * zeroed.c - calloc with a live set. Every block is checked to be zero, then dirtied.
 *
 * The check reads one word of each cache line, as a program that uses the block would; the dirt is
 * as dense, so a block that is handed out again really has to be cleared.
 */
#include "bench.h"

#include <string.h>

struct slot {
    char *block;
    size_t size;
};

static uint64_t threads = 1;
static uint64_t slots = 10000;
static uint64_t ops = 2000000;
static uint64_t min_size = 16;
static uint64_t max_size = 1024;
static uint64_t sums[BENCH_MAX_THREADS];

static void
use(struct slot *slot, uint64_t tag)
{
    uint64_t seen = (unsigned char)slot->block[slot->size - 1];

    for (size_t at = 0; at + sizeof(seen) <= slot->size; at += BENCH_CACHE_LINE) {
        uint64_t word;

        memcpy(&word, slot->block + at, sizeof(word));
        seen |= word;
        memcpy(slot->block + at, &tag, sizeof(tag));
    }
    slot->block[slot->size - 1] = (char)tag;
    if (seen != 0) {
        bench_fail("calloc gave a block of %zu bytes that is not zero", slot->size);
    }
}

static uint64_t
release(struct slot *slot)
{
    uint64_t sum = slot->size;

    free(slot->block);
    return sum;
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
        slot->block = calloc(1, slot->size);
        if (slot->block == NULL) {
            bench_fail("calloc(%zu) failed", slot->size);
        }
        use(slot, UINT64_MAX - op);
    }
    for (uint64_t at = 0; at < slots; at++) {
        sum += live[at].block != NULL ? release(&live[at]) : 0;
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

    bench_parse(argc, argv, "calloc with a live set", params);
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
