/* SPDX-License-Identifier: MIT */
/*
 * churn.c - threads that live for a moment: start, allocate, hand half to the parent, exit.
 *
 * The parent runs `threads` of them at a time, `waves` times. Each thread frees half of its blocks
 * itself; the parent frees the rest after the thread is gone, one wave later, so that memory of
 * dead threads is always in use when new ones start.
 */
#include "bench.h"

enum { MAX_BLOCKS = 4096 };

struct hand {
    void *blocks[MAX_BLOCKS];
    struct bench_random random;
};

static uint64_t threads = 2;
static uint64_t waves = 4000;
static uint64_t blocks = 200;
static uint64_t min_size = 16;
static uint64_t max_size = 2048;

static void *
visitor_main(void *argument)
{
    struct hand *hand = argument;

    for (uint64_t at = 0; at < blocks; at++) {
        size_t size = bench_random_size(&hand->random, min_size, max_size);

        hand->blocks[at] = bench_malloc(size);
        bench_touch(hand->blocks[at], size, size);
    }
    for (uint64_t at = 0; at < blocks; at += 2) {
        free(hand->blocks[at]);
        hand->blocks[at] = NULL;
    }
    return NULL;
}

static uint64_t
free_rest(struct hand *hand)
{
    uint64_t sum = 0;

    for (uint64_t at = 0; at < blocks; at++) {
        unsigned char *block = hand->blocks[at];
        uint64_t size;

        if (block == NULL) {
            continue;
        }
        size = bench_tag(block, sizeof(uint64_t));
        if (size < min_size || size > max_size || block[size - 1] != (uint8_t)size) {
            bench_fail("a block lost its contents");
        }
        sum += size;
        free(block);
        hand->blocks[at] = NULL;
    }
    return sum;
}

/* Starts a wave on these hands and waits for it. */
static void
run_wave(struct hand *hands)
{
    pthread_t running[BENCH_MAX_THREADS];

    for (uint64_t at = 0; at < threads; at++) {
        if (pthread_create(&running[at], NULL, visitor_main, &hands[at]) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    for (uint64_t at = 0; at < threads; at++) {
        pthread_join(running[at], NULL);
    }
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads at a time", NULL},
        {"waves", &waves, 1, UINT32_MAX, "how many times", NULL},
        {"blocks", &blocks, 1, MAX_BLOCKS, "blocks per thread", NULL},
        {"min", &min_size, 16, 1u << 24, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 24, "greatest size", NULL},
        {0},
    };
    struct hand *hands[2];
    uint64_t started;
    uint64_t sum = 0;

    bench_parse(argc, argv, "threads that live for a moment", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    for (int side = 0; side < 2; side++) {
        hands[side] = bench_pages(threads * sizeof(struct hand));
        for (uint64_t at = 0; at < threads; at++) {
            hands[side][at].random = bench_random_seed((uint64_t)side * threads + at + 1);
        }
    }
    started = bench_now_ns();
    for (uint64_t wave = 0; wave < waves; wave++) {
        run_wave(hands[wave % 2]);
        for (uint64_t at = 0; at < threads; at++) {
            sum += free_rest(&hands[(wave + 1) % 2][at]);
        }
    }
    for (uint64_t at = 0; at < 2 * threads; at++) {
        sum += free_rest(&hands[at / threads][at % threads]);
    }
    bench_report(sum, waves * threads * blocks, bench_now_ns() - started);
    return 0;
}
