/* SPDX-License-Identifier: MIT */
/*
 * pool.h - what a policy of free memory costs on a series of levels, and the least it could.
 *
 * The model: a program needs so many os pages at a time (its level), one step is a millisecond,
 * and memory that is wanted again is what was free and resident, as far as that goes. So resident
 * pages are a stack, with the level within it: what lies above the level is kept. What was made
 * ready ahead of need and never used lies on top, is used last and goes back first.
 *
 * The oracle knows the series. A page at a height is needed while the level is above it; between
 * two such times it is either kept, or given back and made ready just before the second: heights
 * are independent of each other, so the cheaper of both, summed over all gaps of all heights, is
 * the least that any policy can cost in this model. Being ready just before is not charged.
 *
 * Units: pages, milliseconds, nanoseconds. No state beside what is passed.
 */
#ifndef TIDE_BENCH_POOL_H
#define TIDE_BENCH_POOL_H

#include <stddef.h>
#include <stdint.h>

/* Of a page, in ns of the program's own thread. The keeper's work counts in part. */
struct pool_prices {
    double fault_ns;  /* touched first by the program */
    double ready_ns;  /* populated by the keeper */
    double return_ns; /* given back */
    double keep_ns;   /* kept without need, for a millisecond */
    double look_ns;   /* no page's: the keeper is woken */
};

struct pool_counts {
    uint64_t faults, readied, returned; /* pages */
    uint64_t wasted;                    /* of those readied: given back unused */
    uint64_t kept;                      /* page · ms */
    uint64_t looks;                     /* for which the keeper was woken */
};

struct pool {
    uint64_t level;
    uint64_t free;  /* kept, and used before */
    uint64_t ready; /* kept, and not yet used */
    struct pool_counts counts;
};

/* The program needs so many pages now. */
void pool_need(struct pool *p, uint64_t level);
/* Gives back what is kept beyond so many pages. */
void pool_keep(struct pool *p, uint64_t pages);
/* The keeper populates so many pages. */
void pool_ready(struct pool *p, uint64_t pages);
/* A millisecond passes. */
void pool_pass(struct pool *p);
double pool_cost_ns(const struct pool_counts *c, const struct pool_prices *prices);

/* The least cost of a series of levels, one a millisecond; memory for it comes from malloc. */
double oracle_cost_ns(const uint64_t *levels, size_t count, const struct pool_prices *prices);

#endif
