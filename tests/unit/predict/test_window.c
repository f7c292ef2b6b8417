/* SPDX-License-Identifier: MIT */
/* predict/window: the recent peak sample by sample, and periods that are found. */
#include "series.h"

#include "predict/window.h"

static void
test_last_is_the_last(void **state)
{
    struct forecast_params params = {.horizon = 1};
    struct forecast_last f;

    (void)state;
    last_init(&f, &params);
    last_observe(&f, 7);
    last_observe(&f, 5);
    assert_true(last_predict(&f, 100) == 5);
}

/* A peak is remembered for a window, and for at least a window less one slot. */
static void
test_a_window_forgets_in_time(void **state)
{
    (void)state;
    for (uint32_t horizon = 1; horizon <= 50; horizon++) {
        struct forecast_params params = {.horizon = horizon};
        uint32_t slot = (horizon + WINDOW_SLOTS - 1) / WINDOW_SLOTS;

        for (uint32_t before = 0; before < slot; before++) {
            struct forecast_window f;
            uint32_t remembered = 0;

            window_init(&f, &params);
            for (uint32_t i = 0; i < before; i++) {
                window_observe(&f, 1);
            }
            for (window_observe(&f, 9); window_predict(&f, 1) > 8; remembered++) {
                window_observe(&f, 1);
            }
            require_le(remembered, slot * WINDOW_SLOTS);
            require_gt(remembered, slot * (WINDOW_SLOTS - 1));
        }
    }
}

static void
test_a_window_is_the_highest_of_it(void **state)
{
    static const double level[] = {5, 3, 8, 2, 2, 2, 2, 2, 2, 4, 1};
    static const double peak[] = {5, 5, 8, 8, 8, 8, 8, 8, 8, 8, 4};
    struct forecast_params params = {.horizon = 8};
    struct forecast_window f;

    (void)state;
    window_init(&f, &params);
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(level); i++) {
        window_observe(&f, level[i]);
        assert_true(window_predict(&f, 8) == peak[i]);
    }
}

/* A pulse in every period is forecast to the sample where buckets are single samples. */
static void
test_a_period_is_found(void **state)
{
    (void)state;
    for (uint32_t period = 2; period < SEASON_LAGS; period++) {
        for (uint32_t horizon = 1; horizon <= 4; horizon++) {
            struct forecast_params params = {.horizon = horizon};
            struct forecast_season f;

            season_init(&f, &params);
            require_eq(season_period(&f), 0);
            for (unsigned i = 0; i < 300; i++) {
                double next = 10;

                season_observe(&f, i % period == 0 ? 90 : 10);
                for (uint32_t ahead = 1; ahead <= horizon; ahead++) {
                    next = (i + ahead) % period == 0 ? 90 : next;
                }
                if (i >= 3 * period) {
                    require_eq(season_period(&f), period);
                    require_eq(season_predict(&f, horizon), next);
                }
            }
        }
    }
}

static void
test_wide_buckets_never_miss_a_pulse(void **state)
{
    struct forecast_params params = {.horizon = 16}; /* buckets of 4 */
    struct forecast_season f;

    (void)state;
    season_init(&f, &params);
    for (unsigned i = 0; i < 600; i++) {
        season_observe(&f, i % 40 == 7 ? 90 : 10);
        if (i >= 200) {
            bool comes = (i + 16 - 7) / 40 > (i - 7) / 40;

            require_eq(season_period(&f), 40);
            require(!comes || season_predict(&f, 16) >= 90);
        }
    }
}

static void
test_only_the_last_period_is_looked_at(void **state)
{
    struct forecast_params params = {.horizon = 4};
    struct forecast_season f;

    (void)state;
    season_init(&f, &params);
    for (unsigned i = 0; i < 106; i++) {
        season_observe(&f, i % 2 != 0 ? 10 : i < 100 ? 90 : 50);
    }
    require_eq(season_period(&f), 2);
    require_eq(season_predict(&f, 4), 50);
    require_eq(season_predict(&f, 40), 50);
}

static void
test_no_period_is_the_bucket_before(void **state)
{
    struct forecast_params params = {.horizon = 4};
    struct forecast_season f;

    (void)state;
    season_init(&f, &params);
    assert_true(season_predict(&f, 4) == 0);
    for (unsigned i = 0; i < 100; i++) { /* a ramp is nearest to what was just before */
        season_observe(&f, i);
        require_eq(season_period(&f), 0);
        require_eq(season_predict(&f, 4), i);
    }
}

static void
test_a_lost_period_is_given_up(void **state)
{
    struct forecast_params params = {.horizon = 4};
    struct forecast_season f;
    unsigned after = 0;

    (void)state;
    season_init(&f, &params);
    for (unsigned i = 0; i < 200; i++) {
        season_observe(&f, i % 9 == 0 ? 90 : 10);
    }
    require_eq(season_period(&f), 9);
    for (; season_predict(&f, 4) != 50 && after < 200; after++) {
        season_observe(&f, 50);
    }
    require_le(after, 2 * SEASON_LAGS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_is_the_last),
        cmocka_unit_test(test_a_window_forgets_in_time),
        cmocka_unit_test(test_a_window_is_the_highest_of_it),
        cmocka_unit_test(test_a_period_is_found),
        cmocka_unit_test(test_wide_buckets_never_miss_a_pulse),
        cmocka_unit_test(test_only_the_last_period_is_looked_at),
        cmocka_unit_test(test_no_period_is_the_bucket_before),
        cmocka_unit_test(test_a_lost_period_is_given_up),
    };

    return cmocka_run_group_tests_name("predict/window", tests, unit_setup, NULL);
}
