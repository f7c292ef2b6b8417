/* SPDX-License-Identifier: MIT */
/*
 * ramp.c - a server that grows: objects are allocated and touched, with work in between.
 *
 * The work after an object (or after a burst of them) takes as long as its bytes would at `rate`;
 * it is a relative wait, so an allocator that takes longer makes the whole run longer. Each malloc
 * with its first touch is timed. What is held beyond the live bytes is looked at every 8 MiB: the
 * process's resident memory, less that of its start and the objects' bytes, in thousandths of
 * the objects' bytes then, on average.
 */
#define _GNU_SOURCE
#include <time.h>

#include "bench.h"

#define LOOK_BYTES ((uint64_t)8 << 20)
#define BUCKETS_PER_DOUBLING 16u

enum { BUCKETS = 64 * BUCKETS_PER_DOUBLING, WORK = 0, SLEEP = 1 };

static uint64_t total_mib = 1024;
static uint64_t rate_mb = 400;
static uint64_t burst_kib;
static uint64_t min_size = 4096;
static uint64_t max_size = 65536;
static uint64_t wait_how = WORK;
static uint64_t ramps = 1;
static uint64_t rest_ms;

static void **objects;
static uint64_t histogram[BUCKETS];

/* Log-linear: 16 buckets to a doubling. */
static unsigned
bucket_of(uint64_t ns)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(ns | BUCKETS_PER_DOUBLING);

    return (top - 3) * BUCKETS_PER_DOUBLING + (unsigned)(ns >> (top - 4)) % BUCKETS_PER_DOUBLING;
}

static uint64_t
bucket_end(unsigned bucket)
{
    unsigned top = bucket / BUCKETS_PER_DOUBLING + 3;

    return (bucket % BUCKETS_PER_DOUBLING + BUCKETS_PER_DOUBLING + 1ull) << (top - 4);
}

static uint64_t
percentile(uint64_t count, uint64_t permyriad)
{
    uint64_t rank = count * permyriad / 10000;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > rank) {
            return bucket_end(i);
        }
    }
    return 0;
}

static void
pass_time(uint64_t ns)
{
    uint64_t end = bench_now_ns() + ns;

    if (wait_how == SLEEP) {
        struct timespec left = {.tv_sec = (time_t)(ns / 1000000000u),
                                .tv_nsec = (long)(ns % 1000000000u)};

        nanosleep(&left, NULL);
    }
    while (bench_now_ns() < end) {
        bench_pause();
    }
}

struct result {
    uint64_t count;
    uint64_t live;
    uint64_t touch_ns;
    uint64_t looks;
    double beyond; /* sum over the looks */
};

static void
look(struct result *result, uint64_t base, uint64_t live)
{
    int64_t over = (int64_t)(bench_resident_bytes() - base) - (int64_t)live;

    result->looks++;
    result->beyond += (double)over / (double)live;
}

static void
grow(struct result *result, struct bench_random *random, uint64_t base)
{
    uint64_t total = total_mib << 20;
    uint64_t burst = burst_kib << 10;
    uint64_t pending = 0;
    uint64_t live = 0;
    uint64_t next_look = LOOK_BYTES;

    for (uint64_t at = 0; live < total; at++) {
        size_t size = bench_random_size(random, min_size, max_size);
        uint64_t started = bench_now_ns();
        uint64_t ns;

        objects[at] = bench_malloc(size);
        bench_touch(objects[at], size, at);
        ns = bench_now_ns() - started;
        histogram[bucket_of(ns)]++;
        result->touch_ns += ns;
        result->count++;
        live += size;
        pending += size;
        if (pending >= burst) {
            pass_time(pending * 1000 / rate_mb);
            pending = 0;
        }
        if (live >= next_look) {
            look(result, base, live);
            next_look = live + LOOK_BYTES;
        }
    }
    result->live = live;
}

static void
shrink(uint64_t count)
{
    for (uint64_t at = 0; at < count; at++) {
        free(objects[at]);
    }
}

static const struct bench_param params[] = {
    {"total", &total_mib, 1, 65536, "grow to this, MiB", NULL},
    {"rate", &rate_mb, 1, 100000, "at this, MB/s", NULL},
    {"burst", &burst_kib, 0, 1048576, "in bursts of this, KiB; 0: steadily", NULL},
    {"min", &min_size, 16, 1u << 30, "smallest object", NULL},
    {"max", &max_size, 16, 1u << 30, "largest object", NULL},
    {"wait", &wait_how, 0, 1, "what passes the time", "work,sleep"},
    {"ramps", &ramps, 1, 1000, "grow and free it all so often", NULL},
    {"rest", &rest_ms, 0, 100000, "ms between ramps", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};

int
main(int argc, char **argv)
{
    struct result result = {0};
    struct bench_random random = bench_random_seed(1);
    uint64_t wall = 0;
    uint64_t faults = 0;
    uint64_t base;

    bench_parse(argc, argv, "a server that grows", params);
    objects = bench_pages(((total_mib << 20) / min_size + 1) * sizeof *objects);
    for (uint64_t at = 0; at < (total_mib << 20) / min_size;
         at += BENCH_OS_PAGE / sizeof *objects) {
        objects[at] = objects; /* its page is there */
    }
    base = bench_resident_bytes();
    for (uint64_t ramp = 0; ramp < ramps; ramp++) {
        uint64_t before = bench_thread_faults();
        uint64_t started = bench_now_ns();
        uint64_t count = result.count;

        grow(&result, &random, base);
        wall += bench_now_ns() - started;
        faults += bench_thread_faults() - before;
        shrink(result.count - count);
        pass_time(ramp + 1 < ramps ? rest_ms * 1000000u : 0);
    }
    bench_report(result.count, result.count, wall);
    bench_report_value("live_kib", result.live >> 10);
    bench_report_value("thread_faults", faults);
    bench_report_value("touch_ns", result.touch_ns);
    bench_report_value("p50_ns", percentile(result.count, 5000));
    bench_report_value("p99_ns", percentile(result.count, 9900));
    bench_report_value("p999_ns", percentile(result.count, 9990));
    bench_report_value(
        "beyond_permille",
        (uint64_t)(result.beyond < 0 ? 0 : result.beyond * 1000 / (double)result.looks));
    return 0;
}
