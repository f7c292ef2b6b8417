/* SPDX-License-Identifier: MIT */
/*
 * window.c - a window of blocks filled and thinned at both ends, in the manner of sh6 and sh8bench.
 *
 * A pass goes through the sizes 1..max and makes the more blocks of a size the smaller it is. When
 * the window is full, its newest half is freed last-in first-out and its oldest quarter first-in
 * first-out; the rest stays, so that free room is always between live blocks. With trade=1 the
 * threads swap half of their window through a common shelf after each pass, and free each other's
 * blocks.
 */
#include "bench.h"

#include <string.h>

struct entry {
    unsigned char *block;
    size_t size;
};

static uint64_t threads = 1;
static uint64_t window = 20000;
static uint64_t passes = 60;
static uint64_t max_size = 1000;
static uint64_t per_pass = 60000;
static uint64_t trade;

static pthread_mutex_t shelf_lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *shelf;  /* lock(shelf_lock) */
static uint64_t shelf_count; /* lock(shelf_lock) */
static uint64_t sums[BENCH_MAX_THREADS];

static uint64_t
release(const struct entry *entry)
{
    unsigned char mark = (unsigned char)entry->size;

    if (entry->block[0] != mark || entry->block[entry->size - 1] != mark) {
        bench_fail("a block of %zu bytes lost its contents", entry->size);
    }
    free(entry->block);
    return entry->size;
}

/* Frees three quarters of a full window; returns how many entries stay. */
static uint64_t
thin(struct entry *entries, uint64_t *sum)
{
    uint64_t oldest = window / 4;
    uint64_t kept = window / 2 - oldest;

    for (uint64_t at = window; at > window / 2; at--) {
        *sum += release(&entries[at - 1]);
    }
    for (uint64_t at = 0; at < oldest; at++) {
        *sum += release(&entries[at]);
    }
    memmove(entries, entries + oldest, kept * sizeof(*entries));
    return kept;
}

/* Swaps the first half of our entries for as many of the shelf's. */
static void
trade_half(struct entry *entries, uint64_t used)
{
    uint64_t count = used / 2;

    pthread_mutex_lock(&shelf_lock);
    count = count < shelf_count ? count : shelf_count;
    for (uint64_t at = 0; at < count; at++) {
        struct entry ours = entries[at];

        entries[at] = shelf[at];
        shelf[at] = ours;
    }
    pthread_mutex_unlock(&shelf_lock);
}

static struct entry
make_entry(size_t size)
{
    struct entry entry = {.block = bench_malloc(size), .size = size};

    entry.block[0] = (unsigned char)size;
    entry.block[size - 1] = (unsigned char)size;
    return entry;
}

/* How many blocks of a size a pass makes: about c/size^(1/2), at least one. */
static uint64_t
count_of(size_t size)
{
    uint64_t root = 1;

    while ((root + 1) * (root + 1) <= size * 64) {
        root++;
    }
    return 1 + per_pass * 4 / (root * 32);
}

static void
worker(unsigned index, void *context)
{
    const uint64_t *counts = context;
    struct entry *entries = bench_pages(window * sizeof(*entries));
    uint64_t used = 0;
    uint64_t sum = 0;

    for (uint64_t pass = 0; pass < passes; pass++) {
        for (size_t size = 1 + pass % 7; size <= max_size; size += 7) {
            for (uint64_t made = 0; made < counts[size]; made++) {
                entries[used++] = make_entry(size);
                if (used == window) {
                    used = thin(entries, &sum);
                }
            }
        }
        if (trade) {
            trade_half(entries, used);
        }
    }
    for (uint64_t at = 0; at < used; at++) {
        sum += release(&entries[at]);
    }
    sums[index] = sum;
}

static void
fill_shelf(void)
{
    shelf_count = window / 4;
    shelf = bench_pages(shelf_count * sizeof(*shelf));
    for (uint64_t at = 0; at < shelf_count; at++) {
        shelf[at] = make_entry(1 + at % max_size);
    }
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its own window", NULL},
        {"window", &window, 8, 1u << 26, "blocks in a window", NULL},
        {"passes", &passes, 1, UINT32_MAX, "passes per thread", NULL},
        {"max", &max_size, 8, 1u << 24, "greatest size", NULL},
        {"work", &per_pass, 1, 1u << 30, "how many blocks a pass makes, roughly", NULL},
        {"trade", &trade, 0, 1, "whether threads swap blocks after each pass", NULL},
        {0},
    };
    uint64_t *counts;
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "a window of blocks thinned at both ends", params);
    counts = bench_pages((max_size + 1) * sizeof(*counts));
    for (size_t size = 1; size <= max_size; size++) {
        counts[size] = count_of(size);
    }
    if (trade) {
        fill_shelf();
    }
    busy_ns = bench_run_threads((unsigned)threads, worker, counts);
    for (uint64_t at = 0; at < shelf_count; at++) {
        sum += release(&shelf[at]);
    }
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, passes * threads, busy_ns);
    return 0;
}
