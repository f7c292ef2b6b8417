/* SPDX-License-Identifier: MIT */
/* See phase.h. */
#include "predict/phase.h"

#include "base/bits.h"

static uint64_t
step_ns(uint32_t step)
{
    return PHASE_FIRST_NS << step;
}

static uint64_t
end_ns(const struct phase_open *open)
{
    return open->begin_ns + step_ns(PHASE_STEPS - 1);
}

void
phases_init(struct phases *phases)
{
    phases->known_count = 0;
    phases->open_count = 0;
    phases->runs = 0;
    phases->is_counted = false;
    phases->seen_ns = 0;
    phases->seen_level = 0;
}

bool
phase_is_sound(const struct phase_known *known, uint32_t runs)
{
    if (known->key == 0 || known->seen == 0 || known->seen > runs || known->last_run > runs ||
        known->last_run == 0) {
        return false;
    }
    for (uint32_t run = 0; run < PHASE_RUNS && run < known->seen; run++) {
        for (uint32_t i = 1; i < PHASE_STEPS; i++) {
            if (known->growth[run][i] < known->growth[run][i - 1]) {
                return false; /* a high-water mark does not fall */
            }
        }
    }
    return true;
}

static uint32_t
find_known(const struct phases *phases, uint64_t key)
{
    uint32_t i = 0;

    while (i < phases->known_count && phases->known[i].key != key) {
        i++;
    }
    return i < phases->known_count ? i : PHASES_KNOWN;
}

/* Bytes by the time of that step. */
static uint64_t
expected(const struct phase_known *known, uint32_t step)
{
    uint32_t least = UINT32_MAX;

    for (uint32_t run = 0; run < PHASE_RUNS && run < known->seen; run++) {
        least = known->growth[run][step] < least ? known->growth[run][step] : least;
    }
    return (uint64_t)least << PHASE_UNIT_SHIFT;
}

/* By any time. */
static uint64_t
expected_by(const struct phase_known *known, uint64_t elapsed_ns)
{
    uint64_t from_ns = 0;
    uint64_t from = 0;

    for (uint32_t i = 0; i < PHASE_STEPS; i++) {
        uint64_t to_ns = step_ns(i);
        uint64_t to = expected(known, i);

        if (elapsed_ns < to_ns) {
            double part = (double)(elapsed_ns - from_ns) / (double)(to_ns - from_ns);

            return from + (uint64_t)(part * (double)(to - from));
        }
        from_ns = to_ns;
        from = to;
    }
    return from;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Between `from` and `to` the level has risen evenly, as far as is known. */
static void
observe_one(struct phase_open *open, uint64_t from_ns, uint64_t from, uint64_t to_ns, uint64_t to)
{
    if (from_ns < open->begin_ns) {
        from_ns = open->begin_ns;
        from = open->begin_level;
    }
    for (uint32_t i = 0; i < PHASE_STEPS; i++) {
        uint64_t at_ns = open->begin_ns + step_ns(i);
        uint64_t level = to;
        uint64_t growth;

        if (at_ns < from_ns) {
            continue; /* before what is new */
        }
        if (at_ns < to_ns && to > from) {
            level = from + (uint64_t)((double)(at_ns - from_ns) / (double)(to_ns - from_ns) *
                                      (double)(to - from));
        }
        growth = level > open->begin_level ? (level - open->begin_level) >> PHASE_UNIT_SHIFT : 0;
        open->growth[i] = (uint32_t)max_zu(open->growth[i], min_zu(growth, UINT32_MAX));
    }
}

void
phases_begin(struct phases *phases, uint64_t key, uint64_t at_ns, uint64_t level)
{
    struct phase_open *open = &phases->open[phases->open_count];

    for (uint32_t i = 0; i < phases->open_count; i++) {
        if (phases->open[i].key == key) {
            return;
        }
    }
    if (phases->open_count == PHASES_OPEN || key == 0) {
        return;
    }
    *open = (struct phase_open){
        .key = key, .begin_ns = at_ns, .begin_level = level, .known = find_known(phases, key)};
    phases->open_count++;
    if (at_ns < phases->seen_ns) {
        observe_one(open, at_ns, level, phases->seen_ns, phases->seen_level);
    }
}

void
phases_observe(struct phases *phases, uint64_t now_ns, uint64_t level)
{
    for (uint32_t i = 0; i < phases->open_count; i++) {
        struct phase_open *open = &phases->open[i];

        if (phases->seen_ns < end_ns(open)) {
            observe_one(open, phases->seen_ns, phases->seen_level, now_ns, level);
        }
    }
    phases->seen_ns = now_ns;
    phases->seen_level = level;
}

uint64_t
phases_forecast(const struct phases *phases, uint64_t now_ns, uint64_t at_ns)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < phases->open_count; i++) {
        const struct phase_open *open = &phases->open[i];

        if (open->known < phases->known_count && now_ns < end_ns(open)) {
            uint64_t elapsed = at_ns > open->begin_ns ? at_ns - open->begin_ns : 0;
            uint64_t level = open->begin_level + expected_by(&phases->known[open->known], elapsed);

            most = level > most ? level : most;
        }
    }
    return most;
}

uint64_t
phases_advise(const struct phases *phases, uint64_t now_ns, uint64_t level, uint64_t within_ns)
{
    uint64_t then = phases_forecast(phases, now_ns, now_ns + within_ns);
    uint64_t now = phases_forecast(phases, now_ns, now_ns);

    return then > level ? min_zu(then - level, then - now) : 0;
}

uint64_t
phases_highest(const struct phases *phases, uint64_t now_ns)
{
    return phases_forecast(phases, now_ns, UINT64_MAX / 2);
}

uint64_t
phases_end_ns(const struct phases *phases)
{
    uint64_t last_ns = 0;

    for (uint32_t i = 0; i < phases->open_count; i++) {
        last_ns = max_zu(last_ns, end_ns(&phases->open[i]));
    }
    return last_ns;
}

/* ---- what is known --------------------------------------------------------------------------- */

static bool
is_forgotten(const struct phases *phases, const struct phase_known *known)
{
    return phases->runs - known->last_run > PHASE_AGE_MAX;
}

/* Was it seen in one run only, which is not the last one? Arguments that are others each time. */
static bool
is_single(const struct phases *phases, const struct phase_known *known)
{
    return known->seen == 1 && phases->runs - known->last_run > 1;
}

/* Whose place a key that grew by so much may take; PHASES_KNOWN: nobody's. */
static uint32_t
find_place(const struct phases *phases, uint64_t growth)
{
    uint32_t least = PHASES_KNOWN;
    uint32_t single = PHASES_KNOWN;

    if (phases->known_count < PHASES_KNOWN) {
        return phases->known_count;
    }
    for (uint32_t i = 0; i < phases->known_count; i++) {
        const struct phase_known *known = &phases->known[i];
        uint64_t other = expected(known, PHASE_STEPS - 1);

        if (is_forgotten(phases, known)) {
            return i;
        }
        if (is_single(phases, known) &&
            (single == PHASES_KNOWN || known->last_run < phases->known[single].last_run)) {
            single = i;
        }
        if (other < growth) {
            growth = other;
            least = i;
        }
    }
    return single != PHASES_KNOWN ? single : least;
}

static void
learn_one(struct phases *phases, const struct phase_open *open)
{
    uint64_t growth = (uint64_t)open->growth[PHASE_STEPS - 1] << PHASE_UNIT_SHIFT;
    uint32_t at = find_known(phases, open->key);
    struct phase_known *known;

    if (at == PHASES_KNOWN) {
        at = growth < PHASE_LEAST_BYTES ? PHASES_KNOWN : find_place(phases, growth);
        if (at == PHASES_KNOWN) {
            return;
        }
        phases->known_count += at == phases->known_count;
        phases->known[at] = (struct phase_known){.key = open->key};
    }
    known = &phases->known[at];
    /* Another run's file, with the key in it, may have replaced that which this one counted in. */
    phases->runs = (uint32_t)max_zu(phases->runs, known->seen + 1);
    known->last_run = phases->runs;
    for (uint32_t i = 0; i < PHASE_STEPS; i++) {
        known->growth[known->seen % PHASE_RUNS][i] = open->growth[i];
    }
    known->seen++;
}

void
phases_learn(struct phases *phases)
{
    /* What was counted before may be gone with the file that it was written to. */
    phases->runs += !phases->is_counted || phases->runs == 0;
    phases->is_counted = true;
    for (uint32_t i = 0; i < phases->open_count; i++) {
        learn_one(phases, &phases->open[i]);
    }
    phases->open_count = 0;
}
