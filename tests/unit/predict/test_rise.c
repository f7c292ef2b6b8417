/* SPDX-License-Identifier: MIT */
/* predict/rise: how much growth makes how much ready; what is no growth; the bounds; the credit. */
#include "../unit.h"

#include "predict/rise.h"

#define MS ((uint64_t)1000000)
#define MIB ((uint64_t)1 << 20)

static const struct rise_params usual = {.lead_ns = 8 * MS, .least_bytes = MIB};
static struct rise_state rise;

static int
begin(void **state)
{
    (void)state;
    rise_init(&rise);
    return 0;
}

/* Looks every step_ms from from_ms on; the level at the end. */
static uint64_t
grow(uint64_t from_ms, uint64_t to_ms, uint64_t step_ms, uint64_t level, uint64_t bytes_per_ms)
{
    for (uint64_t t = from_ms; t <= to_ms; t += step_ms) {
        rise_observe(&rise, &usual, t * MS, level + (t - from_ms) * bytes_per_ms);
    }
    return level + (to_ms - from_ms) * bytes_per_ms;
}

static void
test_nothing_before_enough_is_known(void **state)
{
    (void)state;
    assert_int_equal(rise_advise(&rise, &usual), 0);
    rise_observe(&rise, &usual, 1000 * MS, 100 * MIB);
    assert_int_equal(rise_advise(&rise, &usual), 0);
    rise_observe(&rise, &usual, 1002 * MS, 101 * MIB);
    assert_int_equal(rise_advise(&rise, &usual), 0);
    rise_observe(&rise, &usual, 1004 * MS, 102 * MIB);
    assert_true(rise_advise(&rise, &usual) > 0);
    assert_int_equal(rise_growth(&rise), MIB); /* since the end of the first slot */
}

static void
test_steady_growth_is_what_comes_in_a_lead(void **state)
{
    (void)state;
    grow(1000, 1200, 4, 512 * MIB, 400000);
    assert_int_equal(rise_growth(&rise), 8 * 400000);
    assert_int_equal(rise_advise(&rise, &usual), 2 * 8 * 400000);
}

static void
test_late_looks_make_no_burst_of_it(void **state)
{
    (void)state;
    grow(1000, 1200, 100, 512 * MIB, 400000);
    assert_in_range(rise_growth(&rise), 8 * 400000 - 4, 8 * 400000 + 4);
}

static void
test_frequent_looks_neither(void **state)
{
    (void)state;
    grow(1000, 1200, 1, 512 * MIB, 400000);
    assert_in_range(rise_growth(&rise), 7 * 400000, 9 * 400000);
}

static void
test_a_burst_is_remembered_for_the_window(void **state)
{
    uint64_t level = 512 * MIB;

    (void)state;
    grow(1000, 1040, 4, level, 0);
    rise_observe(&rise, &usual, 1041 * MS, level + 2 * MIB);
    for (uint64_t t = 1044; t < 1041 + 100; t += 4) {
        rise_observe(&rise, &usual, t * MS, level + 2 * MIB);
        require(rise_growth(&rise) >= 2 * MIB - 1);
    }
    grow(1241, 1400, 4, level + 2 * MIB, 0);
    assert_int_equal(rise_growth(&rise), 0);
    assert_int_equal(rise_advise(&rise, &usual), 0);
}

static void
test_what_is_long_ago_is_forgotten(void **state)
{
    uint64_t level = grow(1000, 1200, 4, 512 * MIB, 400000);

    (void)state;
    rise_observe(&rise, &usual, 9000 * MS, level + 64 * MIB);
    assert_int_equal(rise_growth(&rise), 0);
    assert_int_equal(rise_advise(&rise, &usual), 0); /* and has to be learned again */
}

static void
test_shrinking_and_standing_still_are_no_growth(void **state)
{
    uint64_t level = 512 * MIB;

    (void)state;
    for (uint64_t t = 0; t < 400; t += 4) {
        level -= MIB;
        rise_observe(&rise, &usual, (1000 + t) * MS, level);
        require_eq(rise_advise(&rise, &usual), 0);
    }
}

static void
test_bounds(void **state)
{
    (void)state;
    grow(1000, 1200, 4, 8 * MIB, 100000);
    assert_int_equal(rise_advise(&rise, &usual), MIB); /* a small process: at least that */
    rise_init(&rise);
    grow(1000, 1200, 4, 1024 * MIB, 10 * MIB);
    assert_int_equal(rise_advise(&rise, &usual), (1024 + 2000) * MIB / RISE_SHARE);
}

static void
test_waste_ends_it_and_use_brings_it_back(void **state)
{
    uint64_t level = grow(1000, 1200, 4, 512 * MIB, 400000);

    (void)state;
    rise_score(&rise, 0, (uint64_t)RISE_CREDIT_MAX / RISE_PENALTY);
    assert_true(rise_advise(&rise, &usual) > 0);
    rise_score(&rise, 0, MIB);
    assert_int_equal(rise_advise(&rise, &usual), 0);
    rise_score(&rise, RISE_PENALTY * MIB, 0);
    assert_true(rise_advise(&rise, &usual) > 0);
    rise_score(&rise, 0, UINT64_MAX / 64); /* however much: it can be earned again */
    rise_score(&rise, (uint64_t)RISE_CREDIT_MAX, 0);
    assert_true(rise_advise(&rise, &usual) > 0);
    assert_int_equal(level, 512 * MIB + 200 * 400000);
}

static void
test_any_series_is_answered_within_the_bounds(void **state)
{
    struct unit_random random = {42};
    uint64_t now = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t level = unit_next(&random) >> (unit_below(&random, 48) + 16);
        uint64_t advice;

        now += unit_next(&random) >> (unit_below(&random, 30) + 34);
        rise_observe(&rise, &usual, now, level);
        advice = rise_advise(&rise, &usual);
        require(advice <= (level / RISE_SHARE > MIB ? level / RISE_SHARE : MIB));
        require(rise.seen <= RISE_SLOTS && rise.slot < RISE_SLOTS);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_before_enough_is_known, begin),
        cmocka_unit_test_setup(test_steady_growth_is_what_comes_in_a_lead, begin),
        cmocka_unit_test_setup(test_late_looks_make_no_burst_of_it, begin),
        cmocka_unit_test_setup(test_frequent_looks_neither, begin),
        cmocka_unit_test_setup(test_a_burst_is_remembered_for_the_window, begin),
        cmocka_unit_test_setup(test_what_is_long_ago_is_forgotten, begin),
        cmocka_unit_test_setup(test_shrinking_and_standing_still_are_no_growth, begin),
        cmocka_unit_test_setup(test_bounds, begin),
        cmocka_unit_test_setup(test_waste_ends_it_and_use_brings_it_back, begin),
        cmocka_unit_test_setup(test_any_series_is_answered_within_the_bounds, begin),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
