/* SPDX-License-Identifier: MIT */
/*
 * predict/forecaster: what all kinds promise, whatever they are fed. What each of them answers is
 * in test_window.c, test_smooth.c, test_ar.c and test_growth.c.
 */
#include "series.h"

#include "predict/forecaster.h"

#define EACH_KIND(kind)                                                                            \
    for (enum forecaster_kind kind = (enum forecaster_kind)0; kind < FORECASTER_KINDS;             \
         kind = (enum forecaster_kind)(kind + 1))

static const uint32_t horizons[] = {0, 1, 2, 7, 64, 1000, UINT32_MAX};

static struct forecaster
begin(enum forecaster_kind kind, uint32_t horizon)
{
    struct forecast_params params = forecast_params_usual(horizon, 0.9);
    struct forecaster f;

    forecaster_init(&f, kind, &params);
    return f;
}

static void
check_answers(const struct forecaster *f)
{
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(horizons); i++) {
        double forecast = forecaster_predict(f, horizons[i]);

        if (!(forecast >= 0 && forecast <= FORECAST_MAX)) {
            dprintf(STDERR_FILENO, "%s: %g\n", forecaster_name(f->kind), forecast);
            fail();
        }
    }
}

static void
test_kinds_have_names_and_little_state(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        assert_string_not_equal(forecaster_name(kind), "none");
    }
    assert_string_equal(forecaster_name(FORECASTER_holt), "holt");
    assert_string_equal(forecaster_name(FORECASTER_KINDS), "none");
    require_le(sizeof(struct forecaster), FORECASTER_BYTES);
}

static void
test_nothing_seen_is_nothing_forecast(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        struct forecaster f = begin(kind, 8);

        assert_true(forecaster_predict(&f, 8) == 0);
    }
}

static void
test_a_constant_stays(void **state)
{
    static const double level[] = {0, 1, 4096, 100 * SERIES_MIB, 0x1p47, FORECAST_MAX};

    (void)state;
    EACH_KIND(kind)
    {
        for (unsigned k = 0; k < TIDE_ARRAY_LEN(level); k++) {
            struct forecaster f = begin(kind, 8);

            for (unsigned i = 0; i < 500; i++) {
                forecaster_observe(&f, level[k]);
                if (i >= 8) {
                    require_near(forecaster_predict(&f, 8), level[k], 1e-12);
                }
            }
        }
    }
}

static void
test_what_is_no_level_is_taken_for_one(void **state)
{
    static const struct {
        double fed;
        double taken;
    } odd[] = {{-1, 0},
               {-1e300, 0},
               {-__builtin_inf(), 0},
               {__builtin_nan(""), 0},
               {1e300, FORECAST_MAX},
               {__builtin_inf(), FORECAST_MAX}};

    (void)state;
    EACH_KIND(kind)
    {
        struct forecaster a = begin(kind, 8);
        struct forecaster b = begin(kind, 8);

        for (unsigned i = 0; i < 200; i++) {
            unsigned k = i % TIDE_ARRAY_LEN(odd);

            forecaster_observe(&a, i % 3 == 0 ? odd[k].fed : 1000 * i);
            forecaster_observe(&b, i % 3 == 0 ? odd[k].taken : 1000 * i);
            check_answers(&a);
            assert_true(forecaster_predict(&a, 8) == forecaster_predict(&b, 8));
        }
    }
}

/* Levels of all magnitudes, with silence, jumps and alternation. */
static double
wild(struct unit_random *r, double before)
{
    switch (unit_below(r, 6)) {
    case 0:
        return (double)(unit_next(r) >> unit_below(r, 64));
    case 1:
        return 0;
    case 2:
        return FORECAST_MAX;
    case 3:
        return before * 2;
    case 4:
        return before / 1e9;
    default:
        return before;
    }
}

static void
test_wild_series_get_numbers_for_answers(void **state)
{
    struct unit_random r = {21};

    (void)state;
    EACH_KIND(kind)
    {
        for (unsigned run = 0; run < 20; run++) {
            struct forecaster f = begin(kind, horizons[run % TIDE_ARRAY_LEN(horizons)]);
            double level = 1;

            for (unsigned i = 0; i < 1000; i++) {
                level = wild(&r, level);
                forecaster_observe(&f, level);
                check_answers(&f);
            }
        }
    }
}

static void
test_parameters_at_their_ends_are_sound(void **state)
{
    struct unit_random r = {22};

    (void)state;
    EACH_KIND(kind)
    {
        for (unsigned bits = 0; bits < 16; bits++) {
            struct forecast_params params = {.horizon = 1 + bits,
                                             .quantile = 0.5,
                                             .gain = bits & 1,
                                             .trend = bits >> 1 & 1,
                                             .damping = bits >> 2 & 1,
                                             .memory = bits >> 3 & 1 ? 1 : 0.5};
            struct forecaster f;

            forecaster_init(&f, kind, &params);
            for (unsigned i = 0; i < 300; i++) {
                forecaster_observe(&f, (double)unit_below(&r, 1u << 30));
                check_answers(&f);
            }
        }
    }
}

static void
test_the_same_samples_give_the_same_state(void **state)
{
    static double level[SERIES_LENGTH];

    (void)state;
    series_fill(level, SERIES_LENGTH, SERIES_phases, 23);
    EACH_KIND(kind)
    {
        static struct forecaster a;
        static struct forecaster b;

        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        a = begin(kind, 8);
        b = begin(kind, 8);
        for (unsigned i = 0; i < SERIES_LENGTH; i++) {
            forecaster_observe(&a, level[i]);
            forecaster_observe(&b, level[i]);
            (void)forecaster_predict(&b, 8); /* asking changes nothing */
            assert_true(forecaster_predict(&a, 8) == forecaster_predict(&b, 8));
        }
    }
}

static void
test_a_longer_horizon_is_never_lower(void **state)
{
    static double level[SERIES_LENGTH];

    (void)state;
    for (enum series_kind s = (enum series_kind)0; s < SERIES_KINDS;
         s = (enum series_kind)(s + 1)) {
        series_fill(level, SERIES_LENGTH, s, 24);
        EACH_KIND(kind)
        {
            struct forecaster f = begin(kind, 8);

            for (unsigned i = 0; i < SERIES_LENGTH; i++) {
                double before = 0;

                forecaster_observe(&f, level[i]);
                require(forecaster_predict(&f, 0) == forecaster_predict(&f, 1));
                for (uint32_t horizon = 1; i % 16 == 0 && horizon <= 40; horizon++) {
                    double forecast = forecaster_predict(&f, horizon);

                    require(forecast >= before * (1 - 1e-12));
                    before = forecast;
                }
            }
        }
    }
}

static void
test_usual_parameters_mend_their_arguments(void **state)
{
    (void)state;
    require_eq(forecast_params_usual(0, 0.9).horizon, 1);
    assert_true(forecast_params_usual(5, 0.7).quantile == 0.7);
    assert_true(forecast_params_usual(5, 0).quantile == 0.9);
    assert_true(forecast_params_usual(5, 1).quantile == 0.9);
    assert_true(forecast_params_usual(5, __builtin_nan("")).quantile == 0.9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_have_names_and_little_state),
        cmocka_unit_test(test_nothing_seen_is_nothing_forecast),
        cmocka_unit_test(test_a_constant_stays),
        cmocka_unit_test(test_what_is_no_level_is_taken_for_one),
        cmocka_unit_test(test_wild_series_get_numbers_for_answers),
        cmocka_unit_test(test_parameters_at_their_ends_are_sound),
        cmocka_unit_test(test_the_same_samples_give_the_same_state),
        cmocka_unit_test(test_a_longer_horizon_is_never_lower),
        cmocka_unit_test(test_usual_parameters_mend_their_arguments),
    };

    return cmocka_run_group_tests_name("predict/forecaster", tests, unit_setup, NULL);
}
