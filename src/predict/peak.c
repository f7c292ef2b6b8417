/* SPDX-License-Identifier: MIT */
/* The recent-peak rule; see peak.h. */
#include "predict/peak.h"

TIDE_COLD void
peak_init(struct peak_state *state)
{
    *state = (struct peak_state){.slot = 0};
}

/* Opens the slot that `now` falls into, forgetting those that lie a window back. */
static void
advance(struct peak_state *state, uint64_t slot_ms, uint64_t now_ms)
{
    for (unsigned i = 0; now_ms - state->slot_start_ms >= slot_ms; i++) {
        if (i >= PEAK_SLOTS) { /* a gap longer than the window: nothing of it is left */
            state->slot_start_ms = now_ms;
            return;
        }
        state->slot = (state->slot + 1) % PEAK_SLOTS;
        state->slot_peak[state->slot] = 0;
        state->slot_start_ms += slot_ms;
    }
}

TIDE_COLD void
peak_observe(struct peak_state *state, const struct peak_params *params,
             const struct tide_record *record)
{
    uint64_t slot_ms = params->window_ms / PEAK_SLOTS;

    if (state->slot_start_ms == 0 || record->now_ms < state->slot_start_ms) {
        state->slot_start_ms = record->now_ms;
    }
    advance(state, slot_ms == 0 ? 1 : slot_ms, record->now_ms);
    if (record->peak_bytes > state->slot_peak[state->slot]) {
        state->slot_peak[state->slot] = record->peak_bytes;
    }
}

TIDE_COLD uint64_t
peak_level(const struct peak_state *state)
{
    uint64_t level = 0;

    for (unsigned i = 0; i < PEAK_SLOTS; i++) {
        level = state->slot_peak[i] > level ? state->slot_peak[i] : level;
    }
    return level;
}

TIDE_COLD struct tide_advice
peak_advise(const struct peak_state *state, const struct peak_params *params,
            const struct tide_record *record)
{
    uint64_t level = peak_level(state);
    uint64_t keep = level > record->used_bytes ? level - record->used_bytes : 0;

    if (params->window_ms == 0) {
        keep = 0;
    }
    if (keep < params->spare_bytes) {
        keep = params->spare_bytes;
    }
    if (keep > record->retained_bytes) {
        keep = record->retained_bytes;
    }
    return (struct tide_advice){
        .keep_bytes = keep,
        .release_bytes = record->retained_bytes - keep,
        .expires_ms = record->now_ms + params->window_ms,
    };
}
