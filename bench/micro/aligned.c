/* SPDX-License-Identifier: MIT */
/*
 * aligned.c - aligned_alloc, posix_memalign and memalign by turns, with a live set.
 *
 * The alignment is a random power of two from 16 to `align`, the size log-uniform. Every block is
 * checked to be aligned and, when freed, to hold its tag. A misaligned block does not end the run,
 * for a known release of a peer gives some (mimalloc 2.0.9: powers of two up to 1 KiB at 256 and
 * more): they are counted and reported as faults.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <malloc.h>

struct slot {
    void *block;
    size_t size;
    uint64_t tag;
};

static uint64_t threads = 1;
static uint64_t slots = 5000;
static uint64_t ops = 1500000;
static uint64_t min_size = 16;
static uint64_t max_size = 16384;
static uint64_t max_align = 4096;
static uint64_t sums[BENCH_MAX_THREADS];
static uint64_t misaligned; /* atomic(relaxed): any thread */

static void *
make_aligned(uint64_t op, size_t align, size_t size)
{
    void *block = NULL;

    switch (op % 3) {
    case 0:
        block = aligned_alloc(align, (size + align - 1) & ~(align - 1));
        break;
    case 1:
        if (posix_memalign(&block, align, size) != 0) {
            block = NULL;
        }
        break;
    default:
        block = memalign(align, size);
        break;
    }
    if (block == NULL) {
        bench_fail("no block of %zu bytes aligned to %zu", size, align);
    }
    if (((uintptr_t)block & (align - 1)) != 0) {
        __atomic_fetch_add(&misaligned, 1, __ATOMIC_RELAXED);
    }
    return block;
}

static uint64_t
release(struct slot *slot)
{
    if (bench_tag(slot->block, slot->size) != slot->tag) {
        bench_fail("a block of %zu bytes lost its contents", slot->size);
    }
    free(slot->block);
    return slot->tag;
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
        size_t align = bench_random_size(&random, 16, max_align);

        align = (size_t)1 << (63 - __builtin_clzl(align));
        if (slot->block != NULL) {
            sum += release(slot);
        }
        slot->size = bench_random_size(&random, min_size, max_size);
        slot->tag = op + index;
        slot->block = make_aligned(op, align, slot->size);
        bench_touch(slot->block, slot->size, slot->tag);
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
        {"align", &max_align, 16, 1u << 22, "greatest alignment", NULL},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "aligned blocks with a live set", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads, busy_ns);
    bench_report_value("faults", misaligned);
    return 0;
}
