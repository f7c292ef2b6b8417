/* SPDX-License-Identifier: MIT */
/* predict/band: coverage on series that are kind, that change and that are made to defeat it. */
#include "series.h"

#include "predict/band.h"

static const double miss_rates[] = {0.02, 0.1, 0.3, 0.5};

static void
test_steps_by_hand(void **state)
{
    struct band b;

    (void)state;
    band_init(&b, 0.1);
    assert_true(band_margin(&b) == 0);
    require_near(band_coverage(&b), 0.9, 1e-15);
    /* Above 0: 0.1 - 0.002 * 0.9 is wanted, the margin goes up by 0.2 * 100 * (1 - that). */
    band_observe(&b, 100, band_margin(&b));
    require_near(b.wanted, 0.0982, 1e-12);
    require_near(band_margin(&b), 18.036, 1e-12);
    /* Below: + 0.002 * 0.1, and down by 0.2 * 99.1 * that. */
    band_observe(&b, 10, band_margin(&b));
    require_near(band_margin(&b), 18.036 - 0.2 * 99.1 * 0.0984, 1e-12);
    require_near(band_coverage(&b), 0.5, 1e-15);
}

enum { LATE_MAX = 32 };

/* Coverage of `rounds` residuals by what the band said before each, where each becomes known `late`
 * rounds after the margin was given. */
static double
coverage(double miss_rate, unsigned late, double (*residual)(struct unit_random *, unsigned))
{
    enum { ROUNDS = 20000 };
    struct unit_random r = {41};
    double given[LATE_MAX + 1];
    struct band b;

    band_init(&b, miss_rate);
    for (unsigned i = 0; i < ROUNDS + late; i++) {
        given[i % (late + 1)] = band_margin(&b);
        if (i >= late) {
            band_observe(&b, residual(&r, i - late), given[(i - late) % (late + 1)]);
        }
    }
    return band_coverage(&b);
}

static double
uniform(struct unit_random *r, unsigned at)
{
    (void)at;
    return series_uniform(r) * 1000;
}

static double
below_zero(struct unit_random *r, unsigned at)
{
    (void)at;
    return series_uniform(r) * 1000 - 2000;
}

static double
heavy_tail(struct unit_random *r, unsigned at)
{
    double u = 0.001 + series_uniform(r);

    (void)at;
    return 1000 / (u * u);
}

static double
new_scale(struct unit_random *r, unsigned at)
{
    return series_uniform(r) * (at / 3000 % 2 == 0 ? 10 : 10000);
}

static double
rising(struct unit_random *r, unsigned at)
{
    return series_uniform(r) * 100 + at;
}

static double
wave(struct unit_random *r, unsigned at)
{
    return series_uniform(r) * 100 + 1000 * series_wave(at, 37);
}

static void
test_coverage_comes_to_the_target(void **state)
{
    static const struct {
        double (*residual)(struct unit_random *, unsigned);
        double within;
    } series[] = {{uniform, 0.01},   {below_zero, 0.01}, {heavy_tail, 0.02},
                  {new_scale, 0.05}, {rising, 0.03},     {wave, 0.03}};

    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(series); k++) {
        for (unsigned i = 0; i < 2 * TIDE_ARRAY_LEN(miss_rates); i++) {
            double miss_rate = miss_rates[i / 2];
            unsigned late = i % 2 * 8;
            double is = coverage(miss_rate, late, series[k].residual);
            double off = is - (1 - miss_rate);

            if (off > series[k].within || off < -series[k].within) {
                dprintf(STDERR_FILENO, "series %u, rate %g, %u late: %g\n", k, miss_rate, late, is);
                fail();
            }
        }
    }
}

/* The residual is always on the wrong side of the margin. */
static void
test_an_adversary_cannot_push_coverage_off(void **state)
{
    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(miss_rates); k++) {
        struct band b;

        band_init(&b, miss_rates[k]);
        for (unsigned i = 1; i <= 20000; i++) {
            double margin = band_margin(&b);
            double excess;

            band_observe(&b, margin < 1000 ? 1000 : -1000, margin);
            excess = (double)b.misses - miss_rates[k] * i;
            require(excess <= 20 && excess >= -20);
            require(margin <= 1200 && margin >= -1200); /* its bounds and a step */
        }
    }
}

/* A series at rest never misses; that must not count once it moves. */
static void
test_rest_is_not_held_against_what_follows(void **state)
{
    struct unit_random r = {43};
    struct band b;
    uint64_t misses;

    (void)state;
    band_init(&b, 0.1);
    for (unsigned i = 0; i < 100000; i++) {
        band_observe(&b, 0, band_margin(&b));
    }
    misses = b.misses;
    for (unsigned i = 0; i < 1000; i++) {
        band_observe(&b, uniform(&r, i), band_margin(&b));
    }
    require_le(b.misses - misses, 200);
}

/* Nor do misses that nothing could have prevented. */
static void
test_a_flight_is_not_chased_after_its_end(void **state)
{
    struct unit_random r = {44};
    struct band b;
    double highest;

    (void)state;
    band_init(&b, 0.1);
    for (double residual = 1; residual < 0x1p63; residual *= 1.05) {
        band_observe(&b, residual, band_margin(&b));
    }
    require(band_coverage(&b) < 0.1); /* too fast for its steps */
    highest = band_margin(&b);
    for (unsigned i = 0; i < 1000; i++) {
        band_observe(&b, uniform(&r, i), band_margin(&b));
        require(band_margin(&b) <= highest);
    }
}

static void
test_units_do_not_matter(void **state)
{
    struct unit_random r = {42};
    struct band a;
    struct band b;

    (void)state;
    band_init(&a, 0.1);
    band_init(&b, 0.1);
    for (unsigned i = 0; i < 1000; i++) {
        double residual = series_uniform(&r) - 0.3;

        band_observe(&a, residual, band_margin(&a));
        band_observe(&b, residual * 0x1p30, band_margin(&b));
        assert_true(band_margin(&a) * 0x1p30 == band_margin(&b));
    }
}

static void
test_perfect_forecasts_need_no_margin(void **state)
{
    struct band b;

    (void)state;
    band_init(&b, 0.1);
    for (unsigned i = 0; i < 1000; i++) {
        band_observe(&b, 0, band_margin(&b));
    }
    assert_true(band_margin(&b) == 0);
    assert_true(band_coverage(&b) == 1);
}

static void
test_what_is_no_number_is_left_out(void **state)
{
    struct band b;
    struct band before;

    (void)state;
    band_init(&b, 0.1);
    band_observe(&b, 5, 0);
    before = b;
    band_observe(&b, __builtin_nan(""), 0);
    band_observe(&b, __builtin_inf(), 0);
    band_observe(&b, -__builtin_inf(), 0);
    assert_memory_equal(&b, &before, sizeof b);
    for (double bad = -1; bad <= 2; bad++) { /* -1, 0, 1, 2 are no rates */
        band_init(&b, bad);
        assert_true(b.miss_rate == 0.1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_by_hand),
        cmocka_unit_test(test_coverage_comes_to_the_target),
        cmocka_unit_test(test_an_adversary_cannot_push_coverage_off),
        cmocka_unit_test(test_rest_is_not_held_against_what_follows),
        cmocka_unit_test(test_a_flight_is_not_chased_after_its_end),
        cmocka_unit_test(test_units_do_not_matter),
        cmocka_unit_test(test_perfect_forecasts_need_no_margin),
        cmocka_unit_test(test_what_is_no_number_is_left_out),
    };

    return cmocka_run_group_tests_name("predict/band", tests, unit_setup, NULL);
}
