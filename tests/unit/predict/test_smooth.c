/* SPDX-License-Identifier: MIT */
/*
 * predict/smooth: the recursions against R's package forecast (reference.R, reference.h), to 1e-9:
 * one step ahead all along the series, and the path after its end. And what follows by hand.
 */
#include "series.h"

#include "predict/smooth.h"
#include "reference.h"

#define TOLERANCE 1e-9

static void
test_ewma_is_simple_exponential_smoothing(void **state)
{
    struct forecast_params params = {.gain = REFERENCE_SES_GAIN};
    struct forecast_ewma f;

    (void)state;
    ewma_init(&f, &params);
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(reference_series); i++) {
        if (i > 0) {
            require_near(ewma_predict(&f, 1), reference_ses_fitted[i], TOLERANCE);
        }
        ewma_observe(&f, reference_series[i]);
    }
    for (uint32_t ahead = 1; ahead <= REFERENCE_AHEAD; ahead++) {
        require_near(ewma_predict(&f, ahead), reference_ses[ahead - 1], TOLERANCE);
    }
}

static void
check_holt(struct forecast_holt *f, const double fitted[], const double path[])
{
    double highest = 0;

    for (unsigned i = 0; i < TIDE_ARRAY_LEN(reference_series); i++) {
        require_near(holt_path(f, 1), fitted[i], TOLERANCE);
        holt_observe(f, reference_series[i]);
    }
    for (uint32_t ahead = 1; ahead <= REFERENCE_AHEAD; ahead++) {
        require_near(holt_path(f, ahead), path[ahead - 1], TOLERANCE);
        highest = highest > path[ahead - 1] ? highest : path[ahead - 1];
        require_near(holt_predict(f, ahead), highest, TOLERANCE);
    }
}

static void
test_holt_undamped_is_holts_linear_trend(void **state)
{
    struct forecast_params params = {.gain = REFERENCE_HOLT_GAIN,
                                     .trend = REFERENCE_HOLT_GAIN * REFERENCE_HOLT_BETA,
                                     .damping = 1};
    struct forecast_holt f;

    (void)state;
    holt_init(&f, &params);
    f.begun = true;
    f.level = reference_series[0];
    f.trend = reference_series[1] - reference_series[0];
    check_holt(&f, reference_holt_fitted, reference_holt);
}

static void
test_holt_is_the_damped_trend(void **state)
{
    struct forecast_params params = {.gain = REFERENCE_DAMPED_GAIN,
                                     .trend = REFERENCE_DAMPED_TREND,
                                     .damping = REFERENCE_DAMPED_DAMPING};
    struct forecast_holt f;

    (void)state;
    holt_init(&f, &params);
    f.begun = true;
    f.level = REFERENCE_DAMPED_LEVEL;
    f.trend = REFERENCE_DAMPED_SLOPE;
    check_holt(&f, reference_damped_fitted, reference_damped);
}

static void
test_theta_that_forgets_nothing_is_the_theta_method(void **state)
{
    struct forecast_params params = {.gain = REFERENCE_THETA_GAIN, .memory = 1};
    struct forecast_theta f;

    (void)state;
    theta_init(&f, &params);
    f.level.begun = true;
    f.level.level = REFERENCE_THETA_LEVEL;
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(reference_theta_series); i++) {
        theta_observe(&f, reference_theta_series[i]);
    }
    for (uint32_t ahead = 1; ahead <= REFERENCE_AHEAD; ahead++) {
        require_near(theta_path(&f, ahead), reference_theta[ahead - 1], TOLERANCE);
    }
    require_near(theta_path(&f, 2) - theta_path(&f, 1), REFERENCE_THETA_DRIFT, TOLERANCE);
    require_near(theta_predict(&f, 5), reference_theta[4], TOLERANCE); /* upwards */
}

/* On a straight line the smoothed level lags by slope / gain, half of which the drift makes up. */
static void
test_theta_on_a_line_forgets_at_any_rate_alike(void **state)
{
    (void)state;
    for (double memory = 0.9; memory <= 1; memory += 0.02) {
        struct forecast_params params = {.gain = 0.5, .memory = memory};
        struct forecast_theta f;

        theta_init(&f, &params);
        for (unsigned i = 0; i < 400; i++) {
            theta_observe(&f, SERIES_MIB * (1000 + 2 * i));
        }
        /* level = last - 2 (1 - gain) / gain = 1796; + 2 / 2 (1 / gain + ahead - 1) */
        require_near(theta_path(&f, 1), SERIES_MIB * 1798, 1e-9);
        require_near(theta_path(&f, 11), SERIES_MIB * 1808, 1e-9);
    }
}

static void
test_a_damped_trend_comes_to_rest(void **state)
{
    struct forecast_params params = {.gain = 0.5, .trend = 0.1, .damping = 0.8};
    struct forecast_holt f;

    (void)state;
    holt_init(&f, &params);
    f.begun = true;
    f.level = 1000;
    f.trend = 10;
    require_near(holt_path(&f, 1), 1008, 1e-12);
    require_near(holt_path(&f, 2), 1014.4, 1e-12);
    require_near(holt_path(&f, UINT32_MAX), 1040, 1e-12); /* 10 * 0.8 / 0.2 */
    f.trend = -10; /* falls: the first sample ahead is the highest */
    require_near(holt_predict(&f, 50), 992, 1e-12);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ewma_is_simple_exponential_smoothing),
        cmocka_unit_test(test_holt_undamped_is_holts_linear_trend),
        cmocka_unit_test(test_holt_is_the_damped_trend),
        cmocka_unit_test(test_theta_that_forgets_nothing_is_the_theta_method),
        cmocka_unit_test(test_theta_on_a_line_forgets_at_any_rate_alike),
        cmocka_unit_test(test_a_damped_trend_comes_to_rest),
    };

    return cmocka_run_group_tests_name("predict/smooth", tests, unit_setup, NULL);
}
