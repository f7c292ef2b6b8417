/* SPDX-License-Identifier: MIT */
/* See rise.h. */
#include "predict/rise.h"

#define SLOTS_IN_LEAD 4u

void
rise_init(struct rise_state *state)
{
    *state = (struct rise_state){.credit = RISE_CREDIT_MAX};
}

static void
begin_slot(struct rise_state *state, uint64_t level)
{
    state->slot = (state->slot + 1) % RISE_SLOTS;
    state->levels[state->slot] = level;
    state->seen += state->seen < RISE_SLOTS;
}

/* The level that a straight line from the last observation to this one has at `at_ns`. */
static uint64_t
on_the_way(const struct rise_state *state, uint64_t now_ns, uint64_t level, uint64_t at_ns)
{
    double part = (double)(at_ns - state->seen_ns) / (double)(now_ns - state->seen_ns);

    return level <= state->level ? level
                                 : state->level + (uint64_t)(part * (double)(level - state->level));
}

void
rise_observe(struct rise_state *state, const struct rise_params *params, uint64_t now_ns,
             uint64_t level_bytes)
{
    uint64_t slot_ns = params->lead_ns / SLOTS_IN_LEAD;
    uint64_t end_ns = state->slot_start_ns + slot_ns;

    if (state->seen == 0) {
        state->slot_start_ns = now_ns;
        begin_slot(state, level_bytes);
    } else if (now_ns - end_ns >= RISE_SLOTS * slot_ns && now_ns > end_ns) {
        /* Longer ago than is remembered. */
        state->seen = 0;
        state->slot_start_ns = now_ns;
        begin_slot(state, level_bytes);
    } else {
        for (; end_ns <= now_ns; end_ns += slot_ns) {
            uint64_t level = on_the_way(state, now_ns, level_bytes, end_ns);

            state->levels[state->slot] = level;
            begin_slot(state, level);
            state->slot_start_ns = end_ns;
        }
        state->levels[state->slot] = level_bytes;
    }
    state->level = level_bytes;
    state->seen_ns = now_ns;
}

void
rise_score(struct rise_state *state, uint64_t used_bytes, uint64_t wasted_bytes)
{
    int64_t change = (int64_t)used_bytes - (int64_t)(wasted_bytes * RISE_PENALTY);

    state->credit += change;
    if (state->credit > RISE_CREDIT_MAX) {
        state->credit = RISE_CREDIT_MAX;
    } else if (state->credit < -RISE_CREDIT_MAX) {
        state->credit = -RISE_CREDIT_MAX;
    }
}

uint64_t
rise_growth(const struct rise_state *state)
{
    uint64_t most = 0;

    /* From i slots before the newest to a lead later, or as far as is known. */
    for (uint32_t i = 1; i < state->seen; i++) {
        uint32_t lead = i < SLOTS_IN_LEAD ? i : SLOTS_IN_LEAD;
        uint64_t from = state->levels[(state->slot + RISE_SLOTS - i) % RISE_SLOTS];
        uint64_t to = state->levels[(state->slot + RISE_SLOTS - i + lead) % RISE_SLOTS];

        if (to > from && to - from > most) {
            most = to - from;
        }
    }
    return most;
}

uint64_t
rise_bound(const struct rise_state *state, const struct rise_params *params)
{
    uint64_t share = state->level / RISE_SHARE;

    return share > params->least_bytes ? share : params->least_bytes;
}

uint64_t
rise_advise(const struct rise_state *state, const struct rise_params *params)
{
    uint64_t want = 2 * rise_growth(state);
    uint64_t bound = rise_bound(state, params);

    if (state->seen < RISE_MIN_SLOTS || state->credit < 0) {
        return 0;
    }
    return want < bound ? want : bound;
}
