/* SPDX-License-Identifier: MIT */
/* profile/series: what happened belongs to its interval, gaps are filled with what did not change,
 * and the rings keep the latest. */
#include "../unit.h"

#include "profile/series.h"
#include "profile/sites.h"

#define START ((uint64_t)7000000000)
#define TENTH ((uint64_t)100000000)

static int
set_up(void **state)
{
    (void)state;
    return series_init(START);
}

static int64_t
fine(enum series_figure figure, uint32_t index)
{
    return series_value_locked(&series_process, SERIES_FINE, figure, index);
}

static void
test_intervals_and_gaps(void **state)
{
    struct series_view view;

    (void)state;
    series_advance_locked(START + TENTH / 2);
    assert_int_equal(series_view_locked(&series_process, SERIES_FINE).count, 0);
    site_totals.live_bytes = 500;
    site_totals.allocated_bytes = 800;
    site_totals.allocated_milli = 4000;
    site_totals.freed_bytes = 300;
    series_advance_locked(START + 3 * TENTH + 1);
    view = series_view_locked(&series_process, SERIES_FINE);
    assert_int_equal(view.count, 3);
    assert_int_equal(view.interval_ns, TENTH);
    assert_int_equal(view.first_ns, START + TENTH);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(fine(SERIES_LIVE_BYTES, i), 500);
        assert_int_equal(fine(SERIES_ALLOCATED_RATE, i), i == 0 ? 8000 : 0);
        assert_int_equal(fine(SERIES_FREED_RATE, i), i == 0 ? 3000 : 0);
        assert_int_equal(fine(SERIES_ALLOCATIONS_RATE, i), i == 0 ? 40 : 0);
    }
    series_memory_locked(77, 7);
    series_advance_locked(START + 4 * TENTH);
    assert_int_equal(fine(SERIES_RESIDENT_BYTES, 3), 77);
    series_advance_locked(START); /* a clock that went back */
    assert_int_equal(series_view_locked(&series_process, SERIES_FINE).count, 4);
}

static void
test_rings_keep_the_latest(void **state)
{
    struct series_view view;

    (void)state;
    site_totals.live_bytes = 1;
    for (uint64_t i = 5; i < 5000; i++) {
        series_advance_locked(START + i * TENTH);
        site_totals.live_bytes = (int64_t)i;
    }
    view = series_view_locked(&series_process, SERIES_FINE);
    assert_int_equal(view.count, 600);
    assert_int_equal(view.first_ns, START + (4999 - 599) * TENTH);
    assert_int_equal(fine(SERIES_LIVE_BYTES, 599), 4998);
    assert_int_equal(fine(SERIES_LIVE_BYTES, 0), 4998 - 599);
    assert_int_equal(series_view_locked(&series_process, SERIES_COARSE).count, 8);
    series_advance_locked(START + 100 * (uint64_t)86400000000000); /* asleep for a hundred days */
    assert_int_equal(series_view_locked(&series_process, SERIES_COARSE).count, 1440);
    assert_int_equal(fine(SERIES_LIVE_BYTES, 0), 4999);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intervals_and_gaps),
        cmocka_unit_test(test_rings_keep_the_latest),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
