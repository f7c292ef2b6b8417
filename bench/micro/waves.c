/* SPDX-License-Identifier: MIT */
/*
 * waves.c - ebb and flow: load that comes and goes in waves of memory.
 *
 * Each worker holds live blocks up to a level that follows a wave, looked at every millisecond:
 * when it rises blocks are allocated and written, when it falls random ones are freed; between
 * times a part of them is replaced. A thread of its own looks at the process's resident memory 100
 * times a second: its integral is what the waves cost in memory, the workers' page faults and the
 * process's CPU time what they cost in time. Irregular waves have lengths and heights drawn at
 * random, with calms in between.
 */
#include "levels.h"

enum { REGULAR = 0, IRREGULAR = 1 };
#define STEP_NS ((uint64_t)1000000)

static uint64_t threads = 1;
static uint64_t period_ms = 1000;
static uint64_t amplitude_mib = 256;
static uint64_t base_mib = 32;
static uint64_t seconds = 10;
static uint64_t shape = REGULAR;
static uint64_t min_size = 256;
static uint64_t max_size = 16384;
static uint64_t churn = 64;

static uint64_t sums[BENCH_MAX_THREADS];
static uint64_t operations[BENCH_MAX_THREADS];
static uint64_t faults[BENCH_MAX_THREADS];
static uint64_t late_ns[BENCH_MAX_THREADS];
static double live_byte_ms[BENCH_MAX_THREADS]; /* what no allocator can hold less than */

/* Where the wave is: a rise and a fall of a third of it each, and a calm. */
struct wave {
    uint64_t start_ns;
    uint64_t length_ns;
    uint64_t height; /* bytes */
};

static void
next_wave(struct wave *wave, struct bench_random *random)
{
    uint64_t length = period_ms * 1000000u;
    uint64_t height = (amplitude_mib << 20) / threads;

    wave->start_ns += wave->length_ns;
    if (shape == IRREGULAR) {
        length = length / 4 + bench_random_below(random, (uint32_t)(period_ms * 3 / 2)) * 1000000u;
        height = height / 4 + (uint64_t)((double)height * 0.75 *
                                         (double)bench_random_below(random, 1000) / 1000);
    }
    wave->length_ns = length;
    wave->height = height;
}

static uint64_t
level_at(const struct wave *wave, uint64_t now_ns)
{
    double x = (double)(now_ns - wave->start_ns) / (double)wave->length_ns;
    double level = x < 1. / 3 ? x * 3 : x < 2. / 3 ? 2 - x * 3 : 0;

    return (base_mib << 20) / threads + (uint64_t)(level * (double)wave->height);
}

static void
worker(unsigned index, void *context)
{
    struct levels held =
        levels_begin(index + 1, (amplitude_mib + base_mib) << 20, min_size, max_size);
    struct wave wave = {.start_ns = bench_now_ns()};
    uint64_t end = wave.start_ns + seconds * 1000000000u;

    (void)context;
    next_wave(&wave, &held.random);
    for (uint64_t at = wave.start_ns; at < end; at += STEP_NS) {
        uint64_t now;

        bench_sleep_until(at);
        if (at - wave.start_ns >= wave.length_ns) {
            next_wave(&wave, &held.random);
        }
        levels_follow(&held, level_at(&wave, at), churn);
        now = bench_now_ns();
        live_byte_ms[index] += (double)held.bytes * STEP_NS / 1e6;
        late_ns[index] += now > at + STEP_NS ? now - at - STEP_NS : 0;
    }
    faults[index] = bench_thread_faults();
    sums[index] = held.sum;
    operations[index] = held.operations;
}

static const struct bench_param params[] = {
    {"threads", &threads, 1, BENCH_MAX_THREADS, "workers", NULL},
    {"period", &period_ms, 10, 1000000, "of a wave, ms", NULL},
    {"amplitude", &amplitude_mib, 1, 65536, "height of a wave, MiB, of all workers", NULL},
    {"base", &base_mib, 1, 65536, "held in a calm, MiB", NULL},
    {"seconds", &seconds, 1, 10000, "so long", NULL},
    {"shape", &shape, 0, 1, "of the waves", "regular,irregular"},
    {"min", &min_size, 16, 1u << 30, "smallest block", NULL},
    {"max", &max_size, 16, 1u << 30, "largest block", NULL},
    {"churn", &churn, 0, 1u << 20, "blocks replaced each millisecond", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};

int
main(int argc, char **argv)
{
    uint64_t total[4] = {0};
    double live = 0;
    uint64_t wall;

    bench_parse(argc, argv, "load that comes and goes in waves", params);
    levels_watch_begin();
    wall = bench_run_threads((unsigned)threads, worker, NULL);
    for (unsigned i = 0; i < threads; i++) {
        total[0] += sums[i];
        total[1] += operations[i];
        total[2] += faults[i];
        total[3] += late_ns[i];
        live += live_byte_ms[i];
    }
    bench_report(total[0], total[1], wall);
    bench_report_value("thread_faults", total[2]);
    bench_report_value("late_ns", total[3]);
    bench_report_value("live_mib_ms", (uint64_t)(live / (1 << 20)));
    levels_watch_report();
    return 0;
}
