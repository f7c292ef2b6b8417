/* SPDX-License-Identifier: MIT */
/*
 * policies.h - what the policies of src/predict do on a series of levels, a millisecond a step.
 *
 * They are called as the keeper calls them (src/keeper): the window's rule at every pass, growth at
 * every look. A look is due when free memory with pages is down to half of what is wanted, when
 * LOOK_FAULTS pages were taken without, 3 ms after one that made something, and at passes; what it
 * makes is there `reaction_ms` after it was due. Machine and cgroup always permit it.
 */
#ifndef TIDE_BENCH_POLICIES_H
#define TIDE_BENCH_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

struct policy {
    const char *name;
    const char *about;
    uint32_t window_ms;      /* 0: all goes back at once; POLICY_FOR_EVER */
    uint32_t able_window_ms; /* while growth is met; 0: it is learned (patience.c) */
    bool meets_growth;       /* rise.c, and not only the window's rule */
    uint64_t least_bytes;    /* of rise.c's parameters */
    uint64_t from_bytes;     /* nothing is done before the level was as high as that */
    uint32_t bank_samples;   /* horizon of a bank that says what is kept, of 10 ms each; or 0 */
    double bank_under;       /* its cost of a byte too few, in those of one too many; 0: usual */
};

#define POLICY_FOR_EVER UINT32_MAX

extern const struct policy policies[];
extern const size_t policy_count;

/* Levels in os pages. */
struct pool_counts policy_run(const struct policy *policy, const uint64_t *levels, size_t count,
                              uint32_t reaction_ms);

#endif
