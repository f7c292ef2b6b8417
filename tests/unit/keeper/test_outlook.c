/* SPDX-License-Identifier: MIT */
/*
 * keeper/outlook: what passes at any times become on a grid of intervals, what is said of the rule,
 * and that nothing is before outlook_begin and after a fork. Passes are made up, with a clock of
 * the test's own; each test is a child, since there is one outlook in a process.
 */
#include "../heap/spans.h"

#include "keeper/outlook.h"

#define MIB ((uint64_t)1 << 20)
#define MS ((uint64_t)1000000)
#define START_NS (1000 * MS)

static uint32_t values[OUTLOOK_HISTORY];

static void
pass_at(uint64_t ms, uint64_t used_mib, uint64_t peak_mib)
{
    struct outlook_pass pass = {
        .now_ns = START_NS + ms * MS,
        .record = {.used_bytes = used_mib * MIB, .peak_bytes = peak_mib * MIB},
        .level_bytes = peak_mib * MIB,
        .window_ms = 1000,
        .spare_bytes = 1 * MIB,
        .purges = true,
    };

    outlook_note_locked(&pass);
}

static uint64_t
level_mib(uint32_t i)
{
    return ((uint64_t)values[i] << SLICE_SHIFT) / MIB;
}

static void
check_nothing_before_it_begins(void *arg)
{
    struct outlook o;

    (void)arg;
    outlook_look(&o);
    require(o.state == OUTLOOK_OFF);
    require(strcmp(o.keep_reason, "not_yet") == 0);
    require(strcmp(o.rise_reason, "not_yet") == 0);
    for (uint64_t i = 0; i < 20; i++) {
        pass_at(i * 100, 10, 10);
    }
    outlook_look(&o); /* the rule's figures are there all the same */
    require(o.state == OUTLOOK_OFF);
    require_eq(o.samples, 0);
    require_eq((uint64_t)o.rule_level_bytes, 10 * MIB);
    require(strcmp(o.keep_reason, "nothing") == 0);
    require_eq(outlook_history(OUTLOOK_level_bytes, values).count, 0);
}

static void
check_intervals(void *arg)
{
    struct outlook_view view;

    (void)arg;
    outlook_begin();
    pass_at(0, 10, 10);
    pass_at(40, 10, 50); /* the most within an interval counts, however many passes */
    pass_at(80, 10, 10);
    pass_at(110, 12, 12);
    pass_at(1110, 20, 30); /* ten later: nine at rest, then what this one saw */
    view = outlook_history(OUTLOOK_level_bytes, values);
    require_eq(view.count, 11);
    require_eq(view.interval_ns, 100 * MS);
    require_eq(view.first_ns, START_NS + 100 * MS);
    require_eq(level_mib(0), 50);
    for (uint32_t i = 1; i < 10; i++) {
        require_eq(level_mib(i), 12);
    }
    require_eq(level_mib(10), 30);
    pass_at(1210, 20, 20);
    require_eq(outlook_history(OUTLOOK_level_bytes, values).count, 12);
    require_eq(level_mib(11), 20);
}

static void
check_forecasts_stand_ahead(void *arg)
{
    struct outlook_view level, upper;
    struct outlook o;

    (void)arg;
    outlook_begin();
    for (uint64_t i = 0; i <= 200; i++) {
        pass_at(i * 100, 40, 40);
    }
    outlook_look(&o);
    require(o.state == OUTLOOK_READY);
    require_eq(o.samples, 200);
    require_eq((uint64_t)o.forecast_bytes, 40 * MIB);
    require_eq(o.scored, (200 - 64 - 32) / 4 + 1);
    require_eq(o.within_ppm, 1000000);
    require_eq((uint64_t)o.horizon_ns, OUTLOOK_HORIZON * 100 * MS);
    level = outlook_history(OUTLOOK_level_bytes, values);
    upper = outlook_history(OUTLOOK_upper_bytes, values);
    require_eq(upper.count, level.count);
    require_eq(upper.first_ns - level.first_ns, OUTLOOK_HORIZON * 100 * MS);
    require_eq(values[62], OUTLOOK_UNKNOWN); /* not ready yet */
    require_eq(values[63], 40 * MIB >> SLICE_SHIFT);
}

static void
check_a_long_sleep_is_bounded(void *arg)
{
    struct outlook_view view;
    struct outlook o;

    (void)arg;
    outlook_begin();
    pass_at(0, 10, 10);
    pass_at(24 * 3600 * 1000u, 20, 20);
    view = outlook_history(OUTLOOK_level_bytes, values);
    require_eq(view.count, OUTLOOK_HISTORY);
    require_eq(level_mib(0), 10);
    require_eq(level_mib(OUTLOOK_HISTORY - 2), 10);
    require_eq(level_mib(OUTLOOK_HISTORY - 1), 20);
    require_eq(view.first_ns,
               START_NS + (24 * 3600 * 10 - OUTLOOK_HISTORY + 1) * (uint64_t)100 * MS);
    outlook_look(&o);
    require_eq(o.samples, OUTLOOK_HISTORY);
}

/* Why is so much kept? */
static void
check_reasons(void *arg)
{
    static const struct {
        const char *reason;
        uint64_t used, level, free, spare, grow;
        bool purges;
    } cases[] = {
        {"off", 10, 20, 5, 1, 0, false},   {"nothing", 10, 20, 0, 1, 0, true},
        {"window", 10, 20, 5, 1, 0, true}, {"spare", 10, 10, 5, 1, 0, true},
        {"growth", 10, 11, 5, 4, 4, true}, {"window", 10, 15, 9, 4, 4, true},
    };
    struct outlook o;

    (void)arg;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(cases); i++) {
        struct outlook_pass pass = {
            .now_ns = START_NS,
            .record = {.used_bytes = cases[i].used * MIB, .retained_bytes = cases[i].free * MIB},
            .level_bytes = cases[i].level * MIB,
            .spare_bytes = cases[i].spare * MIB,
            .grow_bytes = cases[i].grow * MIB,
            .purges = cases[i].purges,
        };

        outlook_note_locked(&pass);
        outlook_look(&o);
        require(strcmp(o.keep_reason, cases[i].reason) == 0);
    }
}

static void
check_a_child_begins_anew(void *arg)
{
    struct outlook o;

    (void)arg;
    outlook_begin();
    for (uint64_t i = 0; i <= 100; i++) {
        pass_at(i * 100, 40, 40);
    }
    outlook_fork_child();
    outlook_look(&o);
    require(o.state == OUTLOOK_OFF);
    require_eq(outlook_history(OUTLOOK_level_bytes, values).count, 0);
    outlook_begin();
    pass_at(50000, 10, 10);
    pass_at(50100, 10, 10);
    outlook_look(&o);
    require_eq(o.samples, 1);
}

#define IN_CHILD(name)                                                                             \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        unit_child(check_##name, NULL);                                                            \
    }
IN_CHILD(nothing_before_it_begins)
IN_CHILD(intervals)
IN_CHILD(forecasts_stand_ahead)
IN_CHILD(a_long_sleep_is_bounded)
IN_CHILD(reasons)
IN_CHILD(a_child_begins_anew)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_before_it_begins),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_forecasts_stand_ahead),
        cmocka_unit_test(test_a_long_sleep_is_bounded),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_a_child_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
