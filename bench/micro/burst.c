/* SPDX-License-Identifier: MIT */
/*
 * burst.c - a burst of allocations, nearly all freed, then an idle process.
 *
 * One block in `survive` lives on, scattered by a random draw. The program then does nothing for
 * idle_ms and prints its own resident memory at the peak, right after the frees and when idle:
 * what an allocator gives back to a process that no longer calls it. Survivors are filled and
 * verified afterwards, byte for byte. again=1 repeats the burst, to see what giving back costs.
 * busy_ns leaves the idle time out.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <time.h>

struct slot {
    unsigned char *block;
    size_t size;
};

static uint64_t threads = 1;
static uint64_t blocks = 200000;
static uint64_t min_size = 512;
static uint64_t max_size = 2048;
static uint64_t survive = 20;
static uint64_t idle_ms = 2000;
static uint64_t again;

static pthread_barrier_t phase;
static struct slot *slots;
static uint64_t sums[BENCH_MAX_THREADS];
static uint64_t busy[BENCH_MAX_THREADS];

static unsigned char
fill_of(uint64_t at)
{
    return (unsigned char)(at * 31 + 7);
}

static void
allocate(uint64_t from, uint64_t to, struct bench_random *random)
{
    for (uint64_t at = from; at < to; at++) {
        struct slot *slot = &slots[at];

        if (slot->block == NULL) {
            slot->size = bench_random_size(random, min_size, max_size);
            slot->block = bench_malloc(slot->size);
            memset(slot->block, fill_of(at), slot->size);
        }
    }
}

static uint64_t
verify(uint64_t at)
{
    const struct slot *slot = &slots[at];

    for (size_t byte = 0; byte < slot->size; byte++) {
        if (slot->block[byte] != fill_of(at)) {
            bench_fail("a survivor of %zu bytes lost its contents", slot->size);
        }
    }
    return slot->size;
}

/* Frees all but one in keep_one_in, drawn at random; 0 frees all. */
static uint64_t
thin_out(uint64_t from, uint64_t to, uint64_t keep_one_in, struct bench_random *random)
{
    uint64_t sum = 0;

    for (uint64_t at = from; at < to; at++) {
        if (slots[at].block == NULL ||
            (keep_one_in != 0 && bench_random_below(random, keep_one_in) == 0)) {
            continue;
        }
        sum += slots[at].block[slots[at].size - 1];
        free(slots[at].block);
        slots[at] = (struct slot){0};
    }
    return sum;
}

static void
sleep_ms(uint64_t milliseconds)
{
    struct timespec left = {.tv_sec = (time_t)(milliseconds / 1000),
                            .tv_nsec = (long)(milliseconds % 1000) * 1000000};

    while (nanosleep(&left, &left) != 0) {
    }
}

/* All threads are at rest here; one of them looks, the others wait for it. */
static void
look(unsigned index, const char *rss_name, const char *hwm_name)
{
    pthread_barrier_wait(&phase);
    if (index == 0) {
        bench_report_value(rss_name, bench_status_kib("VmRSS:"));
        if (hwm_name != NULL) {
            bench_report_value(hwm_name, bench_status_kib("VmHWM:"));
        }
    }
    pthread_barrier_wait(&phase);
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    uint64_t from = blocks * index / threads;
    uint64_t to = blocks * (index + 1) / threads;
    uint64_t started = bench_now_ns();
    uint64_t sum = 0;

    (void)context;
    allocate(from, to, &random);
    busy[index] += bench_now_ns() - started;
    look(index, "rss_peak_kib", "hwm_peak_kib");
    started = bench_now_ns();
    sum += thin_out(from, to, survive, &random);
    busy[index] += bench_now_ns() - started;
    look(index, "rss_freed_kib", NULL);
    if (index == 0) {
        sleep_ms(idle_ms);
    }
    look(index, "rss_idle_kib", NULL);
    for (uint64_t at = from; at < to; at++) {
        sum += slots[at].block != NULL ? verify(at) : 0;
    }
    started = bench_now_ns();
    if (again) {
        allocate(from, to, &random);
    }
    sum += thin_out(from, to, 0, &random);
    busy[index] += bench_now_ns() - started;
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its share", NULL},
        {"blocks", &blocks, 1, 1u << 28, "blocks in all", NULL},
        {"min", &min_size, 16, 1u << 24, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 24, "greatest size", NULL},
        {"survive", &survive, 1, UINT32_MAX, "one block in this many survives", NULL},
        {"idle_ms", &idle_ms, 0, 600000, "how long to do nothing", NULL},
        {"again", &again, 0, 1, "whether to repeat the burst afterwards", NULL},
        {0},
    };
    uint64_t longest = 0;
    uint64_t sum = 0;

    bench_parse(argc, argv, "a burst, then an idle process with scattered survivors", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    slots = bench_pages(blocks * sizeof(*slots));
    pthread_barrier_init(&phase, NULL, (unsigned)threads);
    bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
        longest = busy[at] > longest ? busy[at] : longest;
    }
    bench_report(sum, blocks * (1 + again), longest);
    return 0;
}
