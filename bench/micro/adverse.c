/* SPDX-License-Identifier: MIT */
/*
 * adverse.c - memory that cannot be forecast, or comes when the forecast has just been given up.
 *
 * One thread holds live blocks up to a level, by the clock, as waves.c does. Its shapes:
 *   walk      each step up or down by a random part of the amplitude, between 0 and all of it
 *   bursts    nothing but the base, and once in a period all at once, for a moment. With a period
 *             a little longer than a rule remembers, what was kept is given back just before it
 *             is wanted again
 *   drops     even growth, and at random times everything is freed
 *   sawtooth  even growth through a period, then everything is freed at once
 * What it costs is as in waves.c: resident memory over time, and CPU time of the process. The work
 * is the same whatever the allocator does, and whether it forecasts.
 */
#include "levels.h"

enum { WALK, BURSTS, DROPS, SAWTOOTH };
#define STEP_NS ((uint64_t)1000000)
#define STRIDE_PARTS 16u /* of the amplitude: a step of the walk is at most one */

static uint64_t shape = WALK;
static uint64_t period_ms = 1100;
static uint64_t amplitude_mib = 192;
static uint64_t base_mib = 32;
static uint64_t hold_ms = 10;
static uint64_t seconds = 5;
static uint64_t min_size = 256;
static uint64_t max_size = 16384;
static uint64_t churn = 64;

/* Where a series is: what the next level depends on. */
struct series {
    uint64_t level; /* bytes above the base */
    uint64_t drop_ms;
    uint64_t from_ms;
    struct bench_random random;
};

static void
walk(struct series *series, uint64_t highest)
{
    uint64_t stride = bench_random_below(&series->random, (uint32_t)(highest / STRIDE_PARTS));
    bool rises = bench_random_next(&series->random) & 1;

    if (rises) {
        series->level = series->level + stride > highest ? highest : series->level + stride;
    } else {
        series->level = series->level < stride ? 0 : series->level - stride;
    }
}

static void
drop_at_random(struct series *series, uint64_t at_ms, uint64_t highest)
{
    if (at_ms >= series->drop_ms) {
        series->from_ms = at_ms;
        series->drop_ms = at_ms + 1 + bench_random_below(&series->random, (uint32_t)period_ms * 2);
    }
    series->level = highest * (at_ms - series->from_ms) / (period_ms * 2);
}

/* Bytes above the base at that time. */
static uint64_t
next_level(struct series *series, uint64_t at_ms)
{
    uint64_t highest = amplitude_mib << 20;

    switch (shape) {
    case WALK:
        if (at_ms % hold_ms == 0) {
            walk(series, highest);
        }
        break;
    case BURSTS:
        series->level = at_ms % period_ms < hold_ms ? highest : 0;
        break;
    case DROPS:
        drop_at_random(series, at_ms, highest);
        break;
    default:
        series->level = highest * (at_ms % period_ms) / period_ms;
    }
    return series->level;
}

static const struct bench_param params[] = {
    {"shape", &shape, 0, 3, "of the series", "walk,bursts,drops,sawtooth"},
    {"period", &period_ms, 2, 1000000, "of bursts and teeth; of drops on average, ms", NULL},
    {"amplitude", &amplitude_mib, 1, 4000, "the highest above the base, MiB", NULL},
    {"base", &base_mib, 1, 65536, "held always, MiB", NULL},
    {"hold", &hold_ms, 1, 1000000, "a burst, or a step of the walk, ms", NULL},
    {"seconds", &seconds, 1, 10000, "so long", NULL},
    {"min", &min_size, 16, 1u << 30, "smallest block", NULL},
    {"max", &max_size, 16, 1u << 30, "largest block", NULL},
    {"churn", &churn, 0, 1u << 20, "blocks replaced each millisecond", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};

int
main(int argc, char **argv)
{
    struct series series = {.random = bench_random_seed(7)};
    struct levels held;
    uint64_t start;

    bench_parse(argc, argv, "memory that cannot be forecast", params);
    held = levels_begin(1, (amplitude_mib + base_mib) << 20, min_size, max_size);
    levels_watch_begin();
    start = bench_now_ns();
    for (uint64_t at_ms = 0; at_ms < seconds * 1000; at_ms++) {
        bench_sleep_until(start + at_ms * STEP_NS);
        levels_follow(&held, (base_mib << 20) + next_level(&series, at_ms), churn);
    }
    bench_report(held.sum, held.operations, bench_now_ns() - start);
    bench_report_value("thread_faults", bench_thread_faults());
    levels_watch_report();
    return 0;
}
