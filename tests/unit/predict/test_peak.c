/* SPDX-License-Identifier: MIT */
/*
 * predict/peak: literal observations and what must follow; the direction in which advice moves;
 * the same answer to the same questions.
 */
#include "../unit.h"

#include "predict/peak.h"

#define MIB ((uint64_t)1 << 20)

static const struct peak_params usual = {.window_ms = 800, .spare_bytes = 1 * MIB};

struct step {
    uint64_t now_ms;
    uint64_t peak; /* MiB from here on */
    uint64_t used;
    uint64_t retained;
    uint64_t keep; /* expected advice */
    uint64_t release;
};

static struct tide_record
record_of(const struct step *s)
{
    return (struct tide_record){.now_ms = s->now_ms,
                                .used_bytes = s->used * MIB,
                                .peak_bytes = s->peak * MIB,
                                .retained_bytes = s->retained * MIB};
}

static void
play(const struct peak_params *params, const struct step *steps, size_t n)
{
    struct peak_state state;

    peak_init(&state);
    for (size_t i = 0; i < n; i++) {
        struct tide_record record = record_of(&steps[i]);
        struct tide_advice advice;

        peak_observe(&state, params, &record);
        advice = peak_advise(&state, params, &record);
        if (advice.keep_bytes != steps[i].keep * MIB ||
            advice.release_bytes != steps[i].release * MIB) {
            dprintf(STDERR_FILENO, "step %zu: ", i);
            require_eq(advice.keep_bytes / MIB, steps[i].keep);
            require_eq(advice.release_bytes / MIB, steps[i].release);
        }
        require_eq(advice.expires_ms, steps[i].now_ms + params->window_ms);
    }
}

#define PLAY(params, steps) play((params), (steps), TIDE_ARRAY_LEN(steps))

static void
test_a_burst_is_kept_for_a_window_and_then_let_go(void **state)
{
    static const struct step steps[] = {
        /* now, peak, used, retained, keep, release */
        {1000, 10, 10, 0, 0, 0},
        {1100, 100, 100, 0, 0, 0},
        {1200, 100, 20, 80, 80, 0}, /* just freed: wanted again soon, perhaps */
        {1500, 20, 20, 80, 80, 0},
        {1900, 20, 20, 80, 80, 0}, /* the peak was at 1200, 700 ms ago */
        {2000, 20, 20, 80, 1, 79}, /* a window ago: gone but for the spare */
        {2100, 20, 20, 1, 1, 0},
    };

    (void)state;
    PLAY(&usual, steps);
}

static void
test_steady_demand_keeps_only_the_spare(void **state)
{
    static const struct step steps[] = {
        {50, 30, 30, 5, 1, 4},
        {150, 30, 30, 5, 1, 4},
        {250, 30, 30, 0, 0, 0},
        {5000, 30, 30, 5, 1, 4},
    };

    (void)state;
    PLAY(&usual, steps);
}

static void
test_waves_shorter_than_the_window_keep_their_memory(void **state)
{
    static const struct step steps[] = {
        {1000, 50, 50, 0, 0, 0},   {1300, 50, 10, 40, 40, 0}, {1600, 50, 50, 0, 0, 0},
        {1900, 50, 10, 40, 40, 0}, {2200, 50, 50, 0, 0, 0},   {2500, 50, 10, 40, 40, 0},
        {3400, 10, 10, 40, 1, 39}, /* the waves have ended */
    };

    (void)state;
    PLAY(&usual, steps);
}

static void
test_a_falling_level_is_followed_step_by_step(void **state)
{
    static const struct step steps[] = {
        {100, 80, 80, 0, 0, 0},     {200, 60, 60, 20, 20, 0},  {300, 40, 40, 40, 40, 0},
        {400, 20, 20, 60, 60, 0},   {900, 20, 20, 60, 40, 20}, /* 80 forgotten, 60 not */
        {1000, 20, 20, 40, 20, 20},                            /* 60 forgotten */
        {1100, 20, 20, 20, 1, 19},
    };

    (void)state;
    PLAY(&usual, steps);
}

static void
test_a_long_gap_forgets_everything(void **state)
{
    static const struct step steps[] = {
        {1000, 100, 100, 0, 0, 0},
        {1000000, 10, 10, 90, 1, 89},
        {1000100, 10, 10, 1, 1, 0},
    };

    (void)state;
    PLAY(&usual, steps);
}

static void
test_no_window_keeps_the_spare_only(void **state)
{
    static const struct peak_params none = {.window_ms = 0, .spare_bytes = 2 * MIB};
    static const struct step steps[] = {
        {1000, 100, 100, 0, 0, 0},
        {1001, 100, 10, 90, 2, 88},
        {1001, 10, 10, 1, 1, 0},
        {900, 10, 10, 90, 2, 88}, /* a clock that went back */
    };

    (void)state;
    PLAY(&none, steps);
}

static void
test_advice_stays_within_what_is_retained(void **state)
{
    struct unit_random r = {3};

    (void)state;
    for (int run = 0; run < 200; run++) {
        struct peak_params params = {unit_below(&r, 3000), unit_below(&r, 4) * MIB};
        struct peak_state peak;
        uint64_t now = 1 + unit_below(&r, 1000);

        peak_init(&peak);
        for (int i = 0; i < 100; i++) {
            struct tide_record record = {.now_ms = now,
                                         .used_bytes = unit_next(&r) >> unit_below(&r, 64),
                                         .peak_bytes = unit_next(&r) >> unit_below(&r, 64),
                                         .retained_bytes = unit_next(&r) >> unit_below(&r, 64)};
            struct tide_advice advice;

            peak_observe(&peak, &params, &record);
            advice = peak_advise(&peak, &params, &record);
            require_eq(advice.keep_bytes + advice.release_bytes, record.retained_bytes);
            require_le(advice.keep_bytes, record.retained_bytes);
            require_ge(advice.keep_bytes, min_zu(params.spare_bytes, record.retained_bytes));
            require_ge(peak_level(&peak), record.peak_bytes); /* what was just seen counts */
            now += unit_below(&r, 500);
        }
    }
}

/* --- directions ------------------------------------------------------------------------------- */

static struct tide_advice
advise_after(const struct peak_params *params, const struct step *steps, size_t n)
{
    struct peak_state state;
    struct tide_record record = {.now_ms = 0};

    peak_init(&state);
    for (size_t i = 0; i < n; i++) {
        record = record_of(&steps[i]);
        peak_observe(&state, params, &record);
    }
    return peak_advise(&state, params, &record);
}

static void
random_history(struct unit_random *r, struct step *steps, size_t n)
{
    uint64_t now = 1000;

    for (size_t i = 0; i < n; i++) {
        now += 1 + unit_below(r, 200);
        steps[i] = (struct step){
            .now_ms = now, .used = unit_below(r, 100), .retained = unit_below(r, 100)};
        steps[i].peak = steps[i].used + unit_below(r, 50);
    }
}

static void
test_more_of_anything_moves_advice_one_way(void **state)
{
    enum { N = 12 };
    struct unit_random r = {4};
    struct step steps[N];

    (void)state;
    for (int run = 0; run < 2000; run++) {
        struct peak_params params = {100 + unit_below(&r, 2000), unit_below(&r, 3) * MIB};
        struct peak_params longer = {params.window_ms * 2, params.spare_bytes};
        struct peak_params richer = {params.window_ms, params.spare_bytes + 5 * MIB};
        struct tide_advice plain;
        size_t at = unit_below(&r, N);

        random_history(&r, steps, N);
        plain = advise_after(&params, steps, N);
        require_ge(advise_after(&richer, steps, N).keep_bytes, plain.keep_bytes);
        /* A window twice as long sees at least what the short one saw. */
        require_ge(advise_after(&longer, steps, N).keep_bytes + MIB, plain.keep_bytes);
        steps[at].peak += 40; /* a higher peak at any time never means less is kept */
        require_ge(advise_after(&params, steps, N).keep_bytes, plain.keep_bytes);
        steps[at].peak -= 40;
        steps[N - 1].retained += 10; /* more retained: neither is less */
        require_ge(advise_after(&params, steps, N).keep_bytes, plain.keep_bytes);
        require_ge(advise_after(&params, steps, N).release_bytes, plain.release_bytes);
        steps[N - 1].retained -= 10;
        steps[N - 1].used += 10; /* more in use, same peaks: less is needed beside it */
        require_le(advise_after(&params, steps, N).keep_bytes, plain.keep_bytes);
    }
}

static void
test_same_history_same_advice(void **state)
{
    enum { N = 50 };
    struct unit_random r = {5};
    struct step steps[N];

    (void)state;
    for (int run = 0; run < 100; run++) {
        struct tide_advice a;
        struct tide_advice b;

        random_history(&r, steps, N);
        a = advise_after(&usual, steps, N);
        b = advise_after(&usual, steps, N);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void
test_advice_changes_nothing(void **state)
{
    struct tide_record record = {
        .now_ms = 7, .used_bytes = 1, .peak_bytes = 9, .retained_bytes = 5};
    struct peak_state before;
    struct peak_state after;

    (void)state;
    memset(&before, 0, sizeof before);
    peak_init(&before);
    peak_observe(&before, &usual, &record);
    after = before;
    (void)peak_advise(&after, &usual, &record);
    (void)peak_level(&after);
    assert_memory_equal(before.slot_peak, after.slot_peak, sizeof before.slot_peak);
    assert_int_equal(before.slot, after.slot);
    assert_int_equal(before.slot_start_ms, after.slot_start_ms);
}

/* A peak is forgotten between a window and a window and one slot after it. */
static void
test_a_peak_is_forgotten_in_time(void **state)
{
    (void)state;
    for (uint64_t interval = 1; interval <= 400; interval += 7) {
        struct peak_state peak;
        struct tide_record record = {.now_ms = 5000, .peak_bytes = 64 * MIB};
        uint64_t forgotten;

        peak_init(&peak);
        peak_observe(&peak, &usual, &record);
        record.peak_bytes = 0;
        while (peak_level(&peak) != 0) {
            record.now_ms += interval;
            peak_observe(&peak, &usual, &record);
        }
        forgotten = record.now_ms - 5000;
        require_ge(forgotten + usual.window_ms / PEAK_SLOTS, usual.window_ms);
        require_le(forgotten, usual.window_ms + usual.window_ms / PEAK_SLOTS + interval);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_is_kept_for_a_window_and_then_let_go),
        cmocka_unit_test(test_steady_demand_keeps_only_the_spare),
        cmocka_unit_test(test_waves_shorter_than_the_window_keep_their_memory),
        cmocka_unit_test(test_a_falling_level_is_followed_step_by_step),
        cmocka_unit_test(test_a_long_gap_forgets_everything),
        cmocka_unit_test(test_no_window_keeps_the_spare_only),
        cmocka_unit_test(test_advice_stays_within_what_is_retained),
        cmocka_unit_test(test_more_of_anything_moves_advice_one_way),
        cmocka_unit_test(test_same_history_same_advice),
        cmocka_unit_test(test_advice_changes_nothing),
        cmocka_unit_test(test_a_peak_is_forgotten_in_time),
    };

    return cmocka_run_group_tests_name("predict/peak", tests, unit_setup, NULL);
}
