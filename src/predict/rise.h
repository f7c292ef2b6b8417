/* SPDX-License-Identifier: MIT */
/*
 * How much free memory should hold pages before it is asked for: what the process may grow by
 * within `lead_ns`, the time from a low mark to the pages being there, and for safety once more.
 *
 * Estimator: the recent-peak rule for growth, max over the last RISE_SLOTS slots of
 * (level at the end of a lead - level at its start), slots of lead / 4 each. Between two
 * observations further apart than a slot the level is taken to have risen evenly, so a late look
 * at a steady rise is no burst. Nothing before RISE_MIN_SLOTS slots: start-up is a step.
 *
 * Bounded by level / RISE_SHARE or `least_bytes`, whichever is more, and by a credit: pages that
 * were made ready and then given back unused cost RISE_PENALTY times what used ones earn. Without
 * credit nothing is advised; what the program took without pages meanwhile would have been used,
 * and earns as much.
 * Wrong when growth comes in bursts larger than the bound, or at intervals longer than the window:
 * then the program's own threads take the page faults, as without it. Memory: one struct; cost
 * O(RISE_SLOTS). Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_RISE_H
#define TIDE_PREDICT_RISE_H

#include "base/compiler.h"

#define RISE_SLOTS 128u
#define RISE_MIN_SLOTS 3u
#define RISE_SHARE 32u
#define RISE_PENALTY 8u
#define RISE_CREDIT_MAX ((int64_t)256 << 20)

struct rise_params {
    uint64_t lead_ns;
    uint64_t least_bytes; /* may be ready however small the process */
};

struct rise_state {
    uint64_t levels[RISE_SLOTS]; /* at the end of slots, newest at `slot` */
    uint64_t slot_start_ns;      /* of the newest; 0: none yet */
    uint64_t level;              /* as last seen */
    uint64_t seen_ns;
    uint32_t slot;
    uint32_t seen;  /* slots so far, at most RISE_SLOTS */
    int64_t credit; /* bytes */
};

void rise_init(struct rise_state *state);
/* The level (bytes in use) at this time, not before the last one. */
void rise_observe(struct rise_state *state, const struct rise_params *params, uint64_t now_ns,
                  uint64_t level_bytes);
/* Bytes made ready that were used, or would have been; and those that were given back unused. */
void rise_score(struct rise_state *state, uint64_t used_bytes, uint64_t wasted_bytes);
/* The most it grew by within a lead, of what is remembered. */
uint64_t rise_growth(const struct rise_state *state);
/* The most that may be ready. */
uint64_t rise_bound(const struct rise_state *state, const struct rise_params *params);
/* Bytes that should be ready. */
uint64_t rise_advise(const struct rise_state *state, const struct rise_params *params);

#endif
