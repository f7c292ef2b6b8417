/* SPDX-License-Identifier: MIT */
/*
 * The recent-peak rule, the baseline policy: memory used at any time within the window is likely
 * to be used again within the next one, so as much free memory is kept as the window's
 * peak needs, and the rest is returned (what survived of tcmalloc's subrelease experiments).
 *
 * Estimator: level = max(peak over the last `window_ms`), in PEAK_SLOTS buckets, so a peak is
 * forgotten between window * (1 - 1/PEAK_SLOTS) and window after it.
 * Wrong when demand comes in waves longer than the window: each wave then pays its page faults
 * again. Memory: one struct; cost O(PEAK_SLOTS). Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_PEAK_H
#define TIDE_PREDICT_PEAK_H

#include "predict/advice.h"

#define PEAK_SLOTS 8u

struct peak_params {
    uint64_t window_ms;   /* longer: fewer faults, more memory */
    uint64_t spare_bytes; /* kept in any case */
};

struct peak_state {
    uint64_t slot_peak[PEAK_SLOTS];
    uint64_t slot_start_ms;
    uint32_t slot;
};

void peak_init(struct peak_state *state);
void peak_observe(struct peak_state *state, const struct peak_params *params,
                  const struct tide_record *record);
/* The highest level within the window. */
uint64_t peak_level(const struct peak_state *state);
struct tide_advice peak_advise(const struct peak_state *state, const struct peak_params *params,
                               const struct tide_record *record);

#endif
