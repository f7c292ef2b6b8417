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
#define _GNU_SOURCE
#include <sys/resource.h>
#include <time.h>

#include "bench.h"

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

struct slot {
    void *block;
    size_t size;
};

static uint64_t sums[BENCH_MAX_THREADS];
static uint64_t operations[BENCH_MAX_THREADS];
static uint64_t faults[BENCH_MAX_THREADS];
static uint64_t late_ns[BENCH_MAX_THREADS];
static volatile int ended;

static void
sleep_until(uint64_t at_ns)
{
    struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u),
                          .tv_nsec = (long)(at_ns % 1000000000u)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Mebibytes times seconds. */
static void *
watch(void *argument)
{
    uint64_t *mib_ms = argument;
    uint64_t at = bench_now_ns();
    double sum = 0;

    while (!ended) {
        uint64_t before = at;

        sleep_until(at + 10000000);
        at = bench_now_ns();
        sum += (double)bench_resident_bytes() / (1 << 20) * (double)(at - before) / 1e6;
    }
    *mib_ms = (uint64_t)sum;
    return NULL;
}

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

struct held {
    struct slot *slots;
    size_t count;
    size_t max;
    uint64_t bytes;
    uint64_t sum;
    uint64_t operations;
};

static void
take(struct held *held, struct bench_random *random)
{
    struct slot *slot = &held->slots[held->count++];

    slot->size = bench_random_size(random, min_size, max_size);
    slot->block = bench_malloc(slot->size);
    bench_touch(slot->block, slot->size, slot->size);
    held->bytes += slot->size;
    held->operations++;
}

static void
give(struct held *held, struct bench_random *random)
{
    size_t at = bench_random_below(random, (uint32_t)held->count);
    struct slot *slot = &held->slots[at];

    held->sum += bench_tag(slot->block, slot->size);
    held->bytes -= slot->size;
    free(slot->block);
    *slot = held->slots[--held->count];
    held->operations++;
}

static void
follow(struct held *held, uint64_t level, struct bench_random *random)
{
    while (held->bytes < level && held->count < held->max) {
        take(held, random);
    }
    while (held->bytes > level && held->count > 0) {
        give(held, random);
    }
    for (uint64_t i = 0; i < churn && held->count > 0; i++) {
        give(held, random);
        take(held, random);
    }
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    struct held held = {.max = ((amplitude_mib + base_mib) << 20) / min_size / 4};
    struct wave wave = {.start_ns = bench_now_ns()};
    uint64_t end = wave.start_ns + seconds * 1000000000u;
    struct rusage usage;

    (void)context;
    held.slots = bench_pages(held.max * sizeof *held.slots);
    next_wave(&wave, &random);
    for (uint64_t at = wave.start_ns; at < end; at += STEP_NS) {
        uint64_t now;

        sleep_until(at);
        if (at - wave.start_ns >= wave.length_ns) {
            next_wave(&wave, &random);
        }
        follow(&held, level_at(&wave, at), &random);
        now = bench_now_ns();
        late_ns[index] += now > at + STEP_NS ? now - at - STEP_NS : 0;
    }
    getrusage(RUSAGE_THREAD, &usage);
    faults[index] = (uint64_t)usage.ru_minflt;
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
    uint64_t mib_ms = 0;
    uint64_t wall;
    struct rusage usage;
    pthread_t watcher;

    bench_parse(argc, argv, "load that comes and goes in waves", params);
    if (pthread_create(&watcher, NULL, watch, &mib_ms) != 0) {
        bench_fail("no thread to watch");
    }
    wall = bench_run_threads((unsigned)threads, worker, NULL);
    ended = 1;
    pthread_join(watcher, NULL);
    for (unsigned i = 0; i < threads; i++) {
        total[0] += sums[i];
        total[1] += operations[i];
        total[2] += faults[i];
        total[3] += late_ns[i];
    }
    getrusage(RUSAGE_SELF, &usage);
    bench_report(total[0], total[1], wall);
    bench_report_value("resident_mib_ms", mib_ms);
    bench_report_value("thread_faults", total[2]);
    bench_report_value("late_ns", total[3]);
    bench_report_value("cpu_us",
                       (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    return 0;
}
