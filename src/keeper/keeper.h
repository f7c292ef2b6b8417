/* SPDX-License-Identifier: MIT */
/*
 * The keeper: observe → forecast → plan → act → score. The only place where arena, heap and
 * predict meet. A background thread once the process has grown past a threshold; without it
 * (not wanted, not permitted, not started yet) the allocating threads run the same pass on their
 * slow paths, at most once an interval.
 */
#ifndef TIDE_KEEPER_KEEPER_H
#define TIDE_KEEPER_KEEPER_H

#include "base/compiler.h"

struct keeper_config {
    bool background;        /* init: a thread may be started */
    bool purge;             /* runtime: give memory back at all */
    bool hole_purge;        /* runtime: also os pages between live blocks */
    bool predict;           /* init: pages are made ready before they are asked for */
    uint32_t interval_ms;   /* runtime: */
    uint32_t window_ms;     /* runtime: the recent-peak window */
    size_t threshold_bytes; /* init: used bytes at which the thread is started */
    size_t spare_bytes;     /* runtime: free memory never worth returning */
};

/* Counters: written under the pass lock, relaxed to read. */
struct keeper_counters {
    uint64_t passes;
    uint64_t advised;   /* advice to release something */
    uint64_t tried;     /* releases begun */
    uint64_t applied;   /* releases that gave something back */
    uint64_t regretted; /* intervals in which released memory was wanted back within a window */
    uint64_t orphans_dissolved;
    uint64_t thread_starts;
};

extern struct keeper_config keeper_config;
extern struct keeper_counters keeper_counters;

/* Gives back everything that can be: the caller's heap, orphans, holes, free slices; asks other
 * threads' heaps to follow at their next slow path. Waits for a pass in progress. Bytes. */
size_t keeper_trim(void);

/* Fork: the pass lock is taken before, released or reset after; the child has no thread. */
void keeper_prefork(void);
void keeper_postfork(bool in_child);

/* By the constructor, once, with `predict`: what earlier runs have shown is kept in that directory.
 * May start the thread. (slow) */
void keeper_learn(const char *directory);
/* The program expects to grow by so much within so long. 0; ENOTSUP: nobody forecasts, or there is
 * no thread. Without locks. */
int keeper_expect(size_t bytes, uint64_t within_ns);
/* The process ends: writes what this run has shown. (slow) */
void keeper_at_exit(void);

bool keeper_is_running(void);
/* Starts it without waiting for the threshold, or wakes it. Without locks: it may allocate. False:
 * there is none. */
bool keeper_start(void);

#endif
