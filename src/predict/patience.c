/* SPDX-License-Identifier: MIT */
/* See patience.h. */
#include "predict/patience.h"

#include "base/bits.h"

static const uint64_t percent[PATIENCE_CHOICES] = PATIENCE_PERCENT;

static uint64_t
window_of(uint32_t choice, uint64_t window_ms)
{
    return window_ms * percent[choice] / 100;
}

TIDE_COLD void
patience_init(struct patience *state)
{
    *state = (struct patience){.chosen = PATIENCE_RULE};
}

/* Bytes that the choice gave back and that are wanted: but for growth, which the longest one, which
 * held so much, does not have either. */
static uint64_t
missing(const struct patience_choice *choice, uint64_t held, const struct tide_record *record)
{
    uint64_t wanted = min_zu(record->peak_bytes, held);

    return wanted > choice->level ? wanted - choice->level : 0;
}

/* Bytes that it kept, since the last record, without need. */
static uint64_t
idle(const struct patience_choice *choice, const struct tide_record *record)
{
    return choice->level > record->used_bytes ? choice->level - record->used_bytes : 0;
}

/* Of a byte that goes back too early, in ms of keeping it. */
static double
price_of(const struct patience *state, uint64_t window_ms)
{
    double taken = state->faulted + state->readied;
    double faulted = taken > 0 ? state->faulted / taken : 1;

    return (double)window_ms *
           (PATIENCE_PRICE_MET + (PATIENCE_PRICE - PATIENCE_PRICE_MET) * faulted);
}

static void
choose(struct patience *state, uint64_t window_ms, double price)
{
    double risk = state->stake * price * PATIENCE_RISK;
    uint32_t before = state->chosen;
    double least = state->choices[before].cost;

    for (uint32_t i = 0; i < PATIENCE_CHOICES; i++) {
        double cost = state->choices[i].cost + (percent[i] < percent[before] ? risk : 0);

        if (cost < least && window_of(i, window_ms) > 0) { /* that keeps nothing */
            least = cost;
            state->chosen = i;
        }
    }
}

TIDE_COLD void
patience_observe(struct patience *state, uint64_t window_ms, uint64_t spare_bytes,
                 const struct tide_record *record)
{
    uint64_t elapsed_ms = state->seen_ms == 0 ? 0 : record->now_ms - state->seen_ms;
    double memory = (double)(window_ms * PATIENCE_MEMORY) + 1;
    double left = memory / (memory + (double)elapsed_ms);
    uint64_t held = peak_level(&state->choices[PATIENCE_LONGEST].peak);
    double at_stake = (double)idle(&state->choices[PATIENCE_LONGEST], record);
    double price;

    state->faulted = state->faulted * left + (double)record->faulted_bytes;
    state->readied = state->readied * left + (double)record->readied_bytes;
    price = price_of(state, window_ms);

    for (uint32_t i = 0; i < PATIENCE_CHOICES; i++) {
        struct patience_choice *choice = &state->choices[i];
        struct peak_params params = {.window_ms = window_of(i, window_ms)};
        /* Between two records nothing goes back; over a long time nobody looked, it does. */
        uint64_t kept_ms =
            elapsed_ms <= window_ms ? elapsed_ms : min_zu(elapsed_ms, params.window_ms);

        choice->cost = choice->cost * left + (double)missing(choice, held, record) * price +
                       (double)idle(choice, record) * (double)kept_ms;
        peak_observe(&choice->peak, &params, record);
        /* Spare bytes are not given back, but growth uses them up like others. */
        choice->level = min_zu(max_zu(choice->level, record->peak_bytes),
                               max_zu(peak_level(&choice->peak), record->used_bytes + spare_bytes));
    }
    state->stake *= left;
    state->stake = at_stake > state->stake ? at_stake : state->stake;
    choose(state, window_ms, price);
    state->seen_ms = record->now_ms;
}

TIDE_COLD uint64_t
patience_window(const struct patience *state, uint64_t window_ms, bool learned)
{
    return window_of(learned ? state->chosen : PATIENCE_RULE, window_ms);
}

TIDE_COLD const struct peak_state *
patience_peak(const struct patience *state, bool learned)
{
    return &state->choices[learned ? state->chosen : PATIENCE_RULE].peak;
}
