/* SPDX-License-Identifier: MIT */
/*
 * What a process grows by once something begins: "when K appears, it grows by so much within so
 * long", learned from earlier runs. K is a key that is the same in each run: the start of the
 * program, or a caller of malloc that makes it grow for the first time.
 *
 * Estimator: for each key and each of PHASE_STEPS times after its appearance (10 ms, doubled), the
 * growth of the high-water mark since then; forecast is the least of the last PHASE_RUNS runs in
 * which it appeared, between two times a straight line. Of several phases under way the one that
 * expects most counts. What is forecast too low costs the page faults that would be anyway.
 * Wrong when the run is of another kind than the earlier ones: the caller's credit bounds it.
 *
 * Bounds: PHASES_KNOWN keys; where there are more, those not seen for long make room, those seen
 * but once, or those that grow least. Growth below PHASE_LEAST_BYTES is not worth a key. Pure; the
 * caller synchronises.
 */
#ifndef TIDE_PREDICT_PHASE_H
#define TIDE_PREDICT_PHASE_H

#include "base/compiler.h"

#define PHASE_STEPS 11u
#define PHASE_FIRST_NS ((uint64_t)10000000) /* times are this << 0 to this << (PHASE_STEPS - 1) */
#define PHASE_RUNS 4u
#define PHASES_KNOWN 64u
#define PHASES_OPEN 128u
#define PHASE_LEAST_BYTES ((uint64_t)2 << 20)
#define PHASE_UNIT_SHIFT 12 /* growth is kept in units of so many bytes */
#define PHASE_AGE_MAX 64u   /* runs without it, after which a key is forgotten */

/* As it is kept between runs; no padding. */
struct phase_known {
    uint64_t key;      /* not 0 */
    uint32_t seen;     /* runs in which it appeared */
    uint32_t last_run; /* the latest of them */
    uint32_t growth[PHASE_RUNS][PHASE_STEPS];
};

struct phase_open {
    uint64_t key;
    uint64_t begin_ns;
    uint64_t begin_level;
    uint32_t growth[PHASE_STEPS]; /* of the high-water mark, so far */
    uint32_t known;               /* index of what is known of it; PHASES_KNOWN: nothing */
};

struct phases {
    struct phase_known known[PHASES_KNOWN];
    struct phase_open open[PHASES_OPEN];
    uint32_t known_count;
    uint32_t open_count;
    uint32_t runs;   /* earlier ones, and this one if it is counted */
    bool is_counted; /* it has been learned from */
    uint64_t seen_ns;
    uint64_t seen_level;
};

/* Nothing known, nothing under way. */
void phases_init(struct phases *phases);
/* Is this what phases_learn can have made? For what was read from a file. */
bool phase_is_sound(const struct phase_known *known, uint32_t runs);

/* K appeared, at this level (bytes in use), which may be before the last observation. Only the
 * first time counts. */
void phases_begin(struct phases *phases, uint64_t key, uint64_t at_ns, uint64_t level);
/* The level now, or the highest since the last observation. */
void phases_observe(struct phases *phases, uint64_t now_ns, uint64_t level);
/* The level that will be reached by then, by what is known of the phases under way; 0: nothing. */
uint64_t phases_forecast(const struct phases *phases, uint64_t now_ns, uint64_t at_ns);
/* Bytes that should be ready for the growth until then: as much as earlier runs grew by in that
 * time, and no more than leads to where they were. A run that is slower than they were grows on
 * when they had ended, and faster ones are ahead: neither is told here. */
uint64_t phases_advise(const struct phases *phases, uint64_t now_ns, uint64_t level,
                       uint64_t within_ns);
/* The highest level that they will reach. */
uint64_t phases_highest(const struct phases *phases, uint64_t now_ns);
/* When the last time of the last phase under way comes; 0: there is none. */
uint64_t phases_end_ns(const struct phases *phases);

/* Adds what this run has shown to what is known. The run must be over, or all its phases: times not
 * reached count as no further growth. Once for each phase. */
void phases_learn(struct phases *phases);

#endif
