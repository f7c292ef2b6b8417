/* SPDX-License-Identifier: MIT */
/*
 * handover.c - a server in the manner of larson: threads hand their blocks to their successors.
 *
 * Each of `threads` lanes owns an array of blocks. A thread replaces random blocks of the array for
 * a while, then starts its successor, gives it the array and exits: the successor frees what a dead
 * thread allocated. The main thread fills the arrays, so the first frees are foreign too.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <semaphore.h>

struct lane {
    void **blocks;
    struct bench_random random;
    uint64_t generation;
    uint64_t sum;
    sem_t *done;
};

static uint64_t threads = 2;
static uint64_t slots = 5000;
static uint64_t ops = 30000;
static uint64_t generations = 60;
static uint64_t min_size = 16;
static uint64_t max_size = 1000;

/* Uniform sizes; the block carries its own size so that the check needs no second array. */
static void *
make_block(struct bench_random *random)
{
    size_t size = min_size + bench_random_below(random, max_size - min_size + 1);
    void *block = bench_malloc(size);

    bench_touch(block, size, size);
    return block;
}

static uint64_t
release(void *block)
{
    uint64_t size = bench_tag(block, sizeof(uint64_t));

    if (size < min_size || size > max_size || ((unsigned char *)block)[size - 1] != (uint8_t)size) {
        bench_fail("a block lost its contents");
    }
    free(block);
    return size;
}

static void start_generation(struct lane *lane);

static void *
generation_main(void *argument)
{
    struct lane *lane = argument;
    uint64_t sum = 0;

    for (uint64_t op = 0; op < ops; op++) {
        void **slot = &lane->blocks[bench_random_below(&lane->random, slots)];

        sum += release(*slot);
        *slot = make_block(&lane->random);
    }
    lane->sum += sum;
    if (++lane->generation == generations) {
        sem_post(lane->done);
    } else {
        start_generation(lane);
    }
    return NULL;
}

static void
start_generation(struct lane *lane)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, generation_main, lane) != 0) {
        bench_fail("cannot start a thread");
    }
    pthread_attr_destroy(&attributes);
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "lanes running at once", NULL},
        {"slots", &slots, 1, 1u << 24, "blocks per lane", NULL},
        {"ops", &ops, 1, UINT32_MAX, "replacements per generation", NULL},
        {"gens", &generations, 1, UINT32_MAX, "generations per lane", NULL},
        {"min", &min_size, 16, 1u << 30, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 30, "greatest size", NULL},
        {0},
    };
    static struct lane lanes[BENCH_MAX_THREADS];
    uint64_t started;
    uint64_t sum = 0;
    sem_t done;

    bench_parse(argc, argv, "threads that hand their blocks to their successors", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    sem_init(&done, 0, 0);
    started = bench_now_ns();
    for (uint64_t at = 0; at < threads; at++) {
        lanes[at] = (struct lane){
            .blocks = bench_pages(slots * sizeof(void *)),
            .random = bench_random_seed(at + 1),
            .done = &done,
        };
    }
    /* Interleaved, so that neighbours in memory belong to different lanes. */
    for (uint64_t slot = 0; slot < slots; slot++) {
        for (uint64_t at = 0; at < threads; at++) {
            lanes[at].blocks[slot] = make_block(&lanes[at].random);
        }
    }
    for (uint64_t at = 0; at < threads; at++) {
        start_generation(&lanes[at]);
    }
    for (uint64_t at = 0; at < threads; at++) {
        sem_wait(&done);
    }
    for (uint64_t at = 0; at < threads; at++) {
        for (uint64_t slot = 0; slot < slots; slot++) {
            lanes[at].sum += release(lanes[at].blocks[slot]);
        }
        sum += lanes[at].sum;
    }
    bench_report(sum, ops * generations * threads, bench_now_ns() - started);
    return 0;
}
