/* SPDX-License-Identifier: MIT */
/*
 * For how long free memory is kept: the recent-peak rule's window, learned by what others would
 * have cost.
 *
 * Some choices (PATIENCE_PERCENT of the rule's own window) are followed side by side, each a
 * recent-peak rule of its own. A choice pays for what it keeps, bytes * time, and for what it
 * would have given back although it is wanted again while the longest one keeps it. About then the
 * rule itself gives up waiting, so its window says what giving back and getting back is worth (rent
 * or buy: Karlin, Manasse, Rudolph and Sleator, "Competitive snoopy caching",
 * doi:10.1007/BF01762111); PATIENCE_PRICE windows, since where both cost the same it is better to
 * keep. That is for page faults of the program: what is made ready before it asks costs
 * PATIENCE_PRICE_MET windows (populating and giving back take 1,200 and 240 ns a page, a page fault
 * 1,600 instead), and the price lies between, by what was taken of late. Costs fade, to
 * a half within PATIENCE_MEMORY windows; the least one is followed, at first the rule's own. A
 * shorter one than before only when it would have saved PATIENCE_RISK of what being wrong once will
 * cost, by the most that lay idle of late: else each process would begin with a mistake (as it does
 * where it first rests for longer than three quarters of the window). One is longer than the rule's
 * own, since what is wanted just after that would be given back each time.
 *
 * Wrong after the waves have changed: one or two come back to memory that was given back too early.
 * Memory: one struct, 500 bytes; cost: that of peak.h for each choice. Pure; the caller
 * synchronises.
 */
#ifndef TIDE_PREDICT_PATIENCE_H
#define TIDE_PREDICT_PATIENCE_H

#include "predict/peak.h"

#define PATIENCE_CHOICES 5u
/* The rule's own window, which a zeroed state follows, and the longest. */
#define PATIENCE_RULE 0u
#define PATIENCE_LONGEST 1u
#define PATIENCE_PERCENT                                                                           \
    {                                                                                              \
        100, 125, 50, 20, 5                                                                        \
    }
#define PATIENCE_MEMORY 10u
#define PATIENCE_PRICE 1.5
#define PATIENCE_PRICE_MET 0.8
#define PATIENCE_RISK 0.5

struct patience_choice {
    struct peak_state peak;
    uint64_t level; /* bytes, used or kept, after the last record */
    double cost;    /* bytes * ms */
};

struct patience {
    struct patience_choice choices[PATIENCE_CHOICES];
    double stake;     /* bytes: the most that lay idle, fading */
    double faulted;   /* bytes taken without pages, fading */
    double readied;   /* bytes taken with pages made ready for it, fading */
    uint64_t seen_ms; /* of the last record; 0: none yet */
    uint32_t chosen;
};

void patience_init(struct patience *state);
/* A record, not before the last one. `window_ms` is the rule's own; so many spare bytes are kept in
 * any case. */
void patience_observe(struct patience *state, uint64_t window_ms, uint64_t spare_bytes,
                      const struct tide_record *record);
/* The window to go by, and the rule's state with it; not `learned`: the rule's own. */
uint64_t patience_window(const struct patience *state, uint64_t window_ms, bool learned);
const struct peak_state *patience_peak(const struct patience *state, bool learned);

#endif
