/* SPDX-License-Identifier: MIT */
/* predict/growth: what is recorded, which bucket the quantile falls into, what is forgotten. */
#include "series.h"

#include "predict/growth.h"

static struct forecast_growth
begin(uint32_t horizon, double quantile)
{
    struct forecast_params params = {.horizon = horizon, .quantile = quantile};
    struct forecast_growth f;

    growth_init(&f, &params);
    return f;
}

/* One horizon of one sample, in which the level grows by so much; it ends at 1 GiB. */
static void
grow(struct forecast_growth *f, double bytes)
{
    growth_observe(f, 0x1p30 - bytes);
    growth_observe(f, 0x1p30);
}

static void
test_the_same_growth_is_forecast_to_the_byte(void **state)
{
    (void)state;
    for (double growth = 4096; growth <= 0x1p29; growth *= 1.7) {
        double whole = (double)((uint64_t)growth & ~(uint64_t)0xfff);
        struct forecast_growth f = begin(1, 0.9);

        assert_true(growth_predict(&f, 1) == 0);
        for (unsigned i = 0; i < 100; i++) {
            grow(&f, whole);
            require_near(growth_predict(&f, 1), 0x1p30 + whole, 1e-7);
        }
    }
}

static void
test_the_quantile_decides(void **state)
{
    static const struct {
        double quantile;
        double growth; /* MiB: of ten, six are 0, three 2 and one 50 */
    } expected[] = {{0.3, 0}, {0.5, 0}, {0.7, 2}, {0.8, 2}, {0.95, 50}};
    static const double growth[] = {0, 2, 0, 0, 50, 0, 2, 0, 2, 0};

    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(expected); k++) {
        struct forecast_growth f = begin(1, expected[k].quantile);

        for (unsigned i = 0; i < 200; i++) {
            grow(&f, growth[i % 10] * SERIES_MIB);
        }
        require_near(growth_predict(&f, 1), 0x1p30 + expected[k].growth * SERIES_MIB, 1e-6);
    }
}

static void
test_a_horizon_is_measured_to_its_peak(void **state)
{
    static const double level[] = {10, 14, 30, 5, 12};
    struct forecast_growth f = begin(4, 0.9);

    (void)state;
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(level); i++) {
        require_near(growth_predict(&f, 4), i > 0 ? level[i - 1] * SERIES_MIB : 0, 1e-9);
        growth_observe(&f, level[i] * SERIES_MIB);
    }
    require_near(growth_predict(&f, 4), (12 + 20) * SERIES_MIB, 1e-6);
}

static void
test_falls_are_no_growth(void **state)
{
    struct forecast_growth f = begin(3, 0.9);

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        growth_observe(&f, 1000000 - 1000 * i);
        assert_true(growth_predict(&f, 3) == 1000000 - 1000 * i);
    }
}

static void
test_old_growth_is_forgotten(void **state)
{
    struct forecast_growth f = begin(1, 0.9);
    unsigned after = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        grow(&f, 64 * SERIES_MIB);
    }
    for (; growth_predict(&f, 1) > 0x1p30 + SERIES_MIB; after++) {
        grow(&f, 0);
    }
    require_gt(after, 20); /* a tenth of the weight: ln(0.1) / ln(0.97) = 76 */
    require_le(after, 80);
    for (unsigned i = 0; i < 10000; i++) { /* and nothing of it is left at all */
        grow(&f, 0);
    }
    for (unsigned i = 1; i < GROWTH_BUCKETS; i++) {
        assert_true(f.weight[i] == 0 && f.sum[i] == 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_growth_is_forecast_to_the_byte),
        cmocka_unit_test(test_the_quantile_decides),
        cmocka_unit_test(test_a_horizon_is_measured_to_its_peak),
        cmocka_unit_test(test_falls_are_no_growth),
        cmocka_unit_test(test_old_growth_is_forgotten),
    };

    return cmocka_run_group_tests_name("predict/growth", tests, unit_setup, NULL);
}
