/* SPDX-License-Identifier: MIT */
/* See levels.h. */
#define _GNU_SOURCE
#include "levels.h"

#include <sys/resource.h>

#define LOOK_NS ((uint64_t)10000000)

static pthread_t watcher;
static volatile int ended;
static double mib_ms;

struct levels
levels_begin(uint64_t seed, uint64_t highest, size_t min_size, size_t max_size)
{
    size_t max = highest / min_size / 4 + 1;

    return (struct levels){.slots = bench_pages(max * sizeof(struct levels_slot)),
                           .max = max,
                           .min_size = min_size,
                           .max_size = max_size,
                           .random = bench_random_seed(seed)};
}

static void
take(struct levels *levels)
{
    struct levels_slot *slot = &levels->slots[levels->count++];

    slot->size = bench_random_size(&levels->random, levels->min_size, levels->max_size);
    slot->block = bench_malloc(slot->size);
    bench_touch(slot->block, slot->size, slot->size);
    levels->bytes += slot->size;
    levels->operations++;
}

static void
give(struct levels *levels)
{
    size_t at = bench_random_below(&levels->random, (uint32_t)levels->count);
    struct levels_slot *slot = &levels->slots[at];

    levels->sum += bench_tag(slot->block, slot->size);
    levels->bytes -= slot->size;
    free(slot->block);
    *slot = levels->slots[--levels->count];
    levels->operations++;
}

void
levels_follow(struct levels *levels, uint64_t level, uint64_t churn)
{
    while (levels->bytes < level && levels->count < levels->max) {
        take(levels);
    }
    while (levels->bytes > level && levels->count > 0) {
        give(levels);
    }
    for (uint64_t i = 0; i < churn && levels->count > 0; i++) {
        give(levels);
        take(levels);
    }
}

static void *
watch(void *argument)
{
    uint64_t at = bench_now_ns();

    while (!ended) {
        uint64_t before = at;

        bench_sleep_until(at + LOOK_NS);
        at = bench_now_ns();
        mib_ms += (double)bench_resident_bytes() / (1 << 20) * (double)(at - before) / 1e6;
    }
    return argument;
}

void
levels_watch_begin(void)
{
    if (pthread_create(&watcher, NULL, watch, NULL) != 0) {
        bench_fail("no thread to watch");
    }
}

void
levels_watch_report(void)
{
    struct rusage usage;

    ended = 1;
    pthread_join(watcher, NULL);
    getrusage(RUSAGE_SELF, &usage);
    bench_report_value("resident_mib_ms", (uint64_t)mib_ms);
    bench_report_value("cpu_us",
                       (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}
