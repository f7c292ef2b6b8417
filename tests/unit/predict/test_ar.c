/* SPDX-License-Identifier: MIT */
/*
 * predict/ar: coefficients and path against least squares (R's ar.ols, reference.R) to 1e-4, which
 * is what the uncertainty at the start leaves; a ramp; that it neither runs away nor decays.
 */
#include "series.h"

#include "predict/ar.h"
#include "reference.h"

#define TOLERANCE 1e-4

static const struct forecast_params usual = {.memory = 0.98};

static void
test_it_is_least_squares(void **state)
{
    struct forecast_params params = {.memory = 1};
    struct forecast_ar f;
    double highest = 0;

    (void)state;
    ar_init(&f, &params);
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(reference_series); i++) {
        ar_observe(&f, reference_series[i]);
    }
    for (unsigned i = 0; i < AR_ORDER; i++) {
        require_near(f.coefficient[i], reference_ar_coefficient[i], TOLERANCE);
    }
    for (uint32_t ahead = 1; ahead <= REFERENCE_AHEAD; ahead++) {
        highest = highest > reference_ar[ahead - 1] ? highest : reference_ar[ahead - 1];
        require_near(ar_predict(&f, ahead), highest, TOLERANCE);
    }
}

static void
test_old_samples_weigh_less(void **state)
{
    struct forecast_params params = {.memory = REFERENCE_AR_MEMORY};
    struct forecast_ar f;

    (void)state;
    ar_init(&f, &params);
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(reference_series); i++) {
        ar_observe(&f, reference_series[i]);
    }
    for (unsigned i = 0; i < AR_ORDER; i++) {
        require_near(f.coefficient[i], reference_ar_decayed_coefficient[i], TOLERANCE);
    }
}

static void
test_a_ramp_goes_on(void **state)
{
    struct forecast_ar f;

    (void)state;
    ar_init(&f, &usual);
    for (unsigned i = 0; i < 100; i++) {
        ar_observe(&f, SERIES_MIB * (50 + 3 * i));
    }
    require_near(ar_predict(&f, 1), SERIES_MIB * 350, 1e-6);
    require_near(ar_predict(&f, 10), SERIES_MIB * 377, 1e-5);
    /* No further than it can be asked. */
    require_near(ar_predict(&f, UINT32_MAX), ar_predict(&f, AR_AHEAD), 1e-15);
}

static void
test_a_constant_needs_no_coefficient(void **state)
{
    struct forecast_ar f;

    (void)state;
    ar_init(&f, &usual);
    for (unsigned i = 0; i < 1000; i++) {
        ar_observe(&f, 12345678);
        assert_true(ar_predict(&f, 20) == 12345678);
    }
    for (unsigned i = 0; i < AR_ORDER; i++) {
        assert_true(f.coefficient[i] == 0);
    }
}

/* The square of such a step is 0, and what is divided by it no number. */
static void
test_steps_of_less_than_a_byte_begin_nothing(void **state)
{
    struct forecast_ar f;

    (void)state;
    ar_init(&f, &usual);
    for (unsigned i = 0; i < 100; i++) {
        ar_observe(&f, i < 50 ? i * 1e-200 : SERIES_MIB * i);
        require(ar_predict(&f, 8) >= 0 && ar_predict(&f, 8) <= 1000 * SERIES_MIB);
    }
    require_near(ar_predict(&f, 1), SERIES_MIB * 100, 1e-2);
}

/* Forgetting must not let the matrix grow while nothing moves, nor lose its sign. */
static void
test_it_stays_sound_for_long(void **state)
{
    struct unit_random r = {11};
    struct forecast_ar f;
    double level = 100 * SERIES_MIB;

    (void)state;
    ar_init(&f, &usual);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned phase = i / 5000 % 4; /* silence, pages, jumps, one direction only */

        if (phase == 1) {
            level += 4096 * (series_uniform(&r) - 0.5);
        } else if (phase == 2) {
            level = 0x1p40 * series_uniform(&r);
        } else if (phase == 3) {
            level += i % 2 != 0 ? 65536 : -65536;
        }
        level = level > 0 ? level : 0;
        ar_observe(&f, level);
        for (unsigned k = 0; k < AR_ORDER; k++) {
            require(f.d[k] >= 0 && f.d[k] <= f.start);
        }
        require(ar_predict(&f, 64) <= level + AR_AHEAD * f.largest + 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_least_squares),
        cmocka_unit_test(test_old_samples_weigh_less),
        cmocka_unit_test(test_a_ramp_goes_on),
        cmocka_unit_test(test_a_constant_needs_no_coefficient),
        cmocka_unit_test(test_steps_of_less_than_a_byte_begin_nothing),
        cmocka_unit_test(test_it_stays_sound_for_long),
    };

    return cmocka_run_group_tests_name("predict/ar", tests, unit_setup, NULL);
}
