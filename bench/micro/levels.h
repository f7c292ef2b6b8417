/* SPDX-License-Identifier: MIT */
/*
 * levels.h - live blocks whose bytes follow a level, and what that costs in memory.
 *
 * Shared by the programs in which load comes and goes. They say where the level is; here blocks are
 * allocated and written until it is reached, or random ones freed. Blocks and frees depend on the
 * random numbers and the levels alone, so every allocator does the same work.
 */
#ifndef TIDE_BENCH_LEVELS_H
#define TIDE_BENCH_LEVELS_H

#include "bench.h"

struct levels_slot {
    void *block;
    size_t size;
};

/* One thread's. */
struct levels {
    struct levels_slot *slots;
    size_t count;
    size_t max;
    size_t min_size;
    size_t max_size;
    uint64_t bytes;
    uint64_t sum;
    uint64_t operations;
    struct bench_random random;
};

/* Sizes are log-uniform; there is room for up to `highest` bytes of them. */
struct levels levels_begin(uint64_t seed, uint64_t highest, size_t min_size, size_t max_size);

/* To `level` bytes, and `churn` blocks replaced. */
void levels_follow(struct levels *levels, uint64_t level, uint64_t churn);

/* A thread that looks at the resident memory of the process 100 times a second. */
void levels_watch_begin(void);
/* Ends it, and prints the integral (MiB x ms) and the process's CPU time (us). */
void levels_watch_report(void);

#endif
