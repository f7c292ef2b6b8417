/* SPDX-License-Identifier: MIT */
/* predict/phase: what one run teaches the next; the least of several; times never reached; the
 * bounds; what a damaged file may bring. */
#include "../unit.h"

#include "predict/phase.h"

#define MS ((uint64_t)1000000)
#define MIB ((uint64_t)1 << 20)
#define KEY ((uint64_t)77)

static struct phases phases;

static int
begin(void **state)
{
    (void)state;
    phases_init(&phases);
    return 0;
}

/* A run in which the level rises evenly from `from` to `to` within so long, from begin_ns on. */
static void
ramp(uint64_t key, uint64_t begin_ns, uint64_t from, uint64_t to, uint64_t within_ns)
{
    phases_begin(&phases, key, begin_ns, from);
    for (uint64_t t = 0; t <= 10; t++) {
        phases_observe(&phases, begin_ns + within_ns * t / 10, from + (to - from) * t / 10);
    }
}

/* The next one begins with what is known. */
static void
end_run(void)
{
    phases_learn(&phases);
    phases.is_counted = false;
    phases.seen_ns = 0;
    phases.seen_level = 0;
}

static void
test_nothing_is_forecast_of_what_is_not_known(void **state)
{
    (void)state;
    assert_int_equal(phases_forecast(&phases, 5 * MS, 10 * MS), 0);
    phases_begin(&phases, KEY, 5 * MS, MIB);
    phases_observe(&phases, 10 * MS, 9 * MIB);
    assert_int_equal(phases_forecast(&phases, 10 * MS, 20 * MS), 0);
    assert_int_equal(phases_highest(&phases, 10 * MS), 0);
}

static void
test_the_second_run_knows_the_first(void **state)
{
    (void)state;
    ramp(KEY, 1000 * MS, 3 * MIB, 103 * MIB, 1000 * MS);
    end_run();
    assert_int_equal(phases.known_count, 1);
    assert_int_equal(phases.open_count, 0);

    /* Elsewhere in time, and from another level. */
    phases_begin(&phases, KEY, 70000 * MS, 50 * MIB);
    assert_int_equal(phases_forecast(&phases, 70000 * MS, 70000 * MS), 50 * MIB);
    for (uint64_t t = 10; t <= 640; t += 70) { /* between the times, too */
        uint64_t level = phases_forecast(&phases, 70000 * MS, (70000 + t) * MS);

        assert_in_range(level, 50 * MIB + t * MIB / 10 - MIB / 50, 50 * MIB + t * MIB / 10);
    }
    assert_int_equal(phases_highest(&phases, 70000 * MS), 150 * MIB);
}

/* Two runs are learned from at the same time, and the one's file replaces the other's; then the
 * other adds a phase that the one has added, too. */
static void
test_a_run_that_was_counted_in_a_lost_file(void **state)
{
    struct phases theirs;

    (void)state;
    ramp(KEY, 1000 * MS, 0, 24 * MIB, 100 * MS);
    phases_learn(&phases); /* the lost one */
    ramp(KEY + 1, 2000 * MS, 24 * MIB, 48 * MIB, 100 * MS);

    theirs = phases;
    phases_init(&theirs);
    for (uint64_t key = KEY; key <= KEY + 1; key++) {
        phases_begin(&theirs, key, 1000 * MS, 0);
        phases_observe(&theirs, 1100 * MS, 24 * MIB);
        phases_learn(&theirs);
    }
    assert_int_equal(theirs.runs, 1);

    memcpy(phases.known, theirs.known, sizeof phases.known);
    phases.known_count = theirs.known_count;
    phases.runs = theirs.runs;
    phases_learn(&phases);
    assert_int_equal(phases.known_count, 2);
    for (uint32_t i = 0; i < phases.known_count; i++) {
        assert_true(phase_is_sound(&phases.known[i], phases.runs));
    }
    assert_int_equal(phases.runs, 2);
}

static void
test_a_straight_line_where_nobody_looked(void **state)
{
    (void)state;
    phases_begin(&phases, KEY, 1000 * MS, 0);
    phases_observe(&phases, 1160 * MS, 160 * MIB); /* the first look is a late one */
    end_run();
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_forecast(&phases, 2000 * MS, 2010 * MS), 10 * MIB);
    assert_int_equal(phases_forecast(&phases, 2000 * MS, 2080 * MS), 80 * MIB);
    assert_int_equal(phases_forecast(&phases, 2000 * MS, 2640 * MS), 160 * MIB);
}

static void
test_a_phase_that_began_before_the_last_look(void **state)
{
    (void)state;
    phases_observe(&phases, 1000 * MS, 0);
    phases_observe(&phases, 1100 * MS, 100 * MIB);
    phases_begin(&phases, KEY, 1060 * MS, 60 * MIB); /* told late */
    end_run();
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_highest(&phases, 2000 * MS), 40 * MIB);
    assert_int_equal(phases_forecast(&phases, 2000 * MS, 2020 * MS), 20 * MIB);
}

static void
test_falling_levels_are_no_growth_and_lose_none(void **state)
{
    (void)state;
    phases_begin(&phases, KEY, 1000 * MS, 50 * MIB);
    phases_observe(&phases, 1010 * MS, 60 * MIB);
    phases_observe(&phases, 1500 * MS, 10 * MIB);
    phases_observe(&phases, 2500 * MS, 10 * MIB);
    end_run();
    phases_begin(&phases, KEY, 5000 * MS, 100 * MIB);
    assert_int_equal(phases_forecast(&phases, 5000 * MS, 5010 * MS), 110 * MIB);
    assert_int_equal(phases_highest(&phases, 5000 * MS), 110 * MIB);
}

static void
test_the_least_of_the_last_runs_counts(void **state)
{
    static const uint64_t grown[] = {100, 40, 80, 90};

    (void)state;
    for (uint64_t run = 0; run < TIDE_ARRAY_LEN(grown); run++) {
        ramp(KEY, 1000 * MS, 0, grown[run] * MIB, 100 * MS);
        end_run();
    }
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_highest(&phases, 2000 * MS), 40 * MIB);
    phases.open_count = 0;
    for (uint64_t run = 0; run < PHASE_RUNS - 2; run++) { /* the 40 is still among them */
        ramp(KEY, 1000 * MS, 0, 200 * MIB, 100 * MS);
        end_run();
    }
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_highest(&phases, 2000 * MS), 80 * MIB);
}

static void
test_of_several_the_highest_counts(void **state)
{
    (void)state;
    phases_begin(&phases, 1, 1000 * MS, 0);
    phases_begin(&phases, 2, 1000 * MS, 0);
    phases_observe(&phases, 1010 * MS, 20 * MIB);
    end_run();
    phases_begin(&phases, 1, 2000 * MS, 0);
    phases_begin(&phases, 2, 2005 * MS, 5 * MIB);
    phases_begin(&phases, 2, 2009 * MS, 500 * MIB); /* the first time counts */
    assert_int_equal(phases.open_count, 2);
    assert_int_equal(phases_forecast(&phases, 2005 * MS, 2020 * MS), 25 * MIB);
}

static void
test_what_is_made_ready_is_growth_not_a_lag(void **state)
{
    (void)state;
    ramp(KEY, 1000 * MS, 0, 640 * MIB, 640 * MS);
    end_run();
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_advise(&phases, 2000 * MS, 0, 20 * MS), 20 * MIB);
    assert_int_equal(phases_advise(&phases, 2320 * MS, 320 * MIB, 20 * MS), 20 * MIB);
    assert_int_equal(phases_advise(&phases, 2320 * MS, 330 * MIB, 20 * MS), 10 * MIB); /* ahead */
    assert_int_equal(phases_advise(&phases, 2320 * MS, 400 * MIB, 20 * MS), 0);
    assert_int_equal(phases_advise(&phases, 2320 * MS, 100 * MIB, 20 * MS), 20 * MIB); /* behind */
    assert_int_equal(phases_advise(&phases, 2700 * MS, 320 * MIB, 20 * MS), 0); /* they had ended */
}

static void
test_it_ends(void **state)
{
    uint64_t last = PHASE_FIRST_NS << (PHASE_STEPS - 1);

    (void)state;
    assert_int_equal(phases_end_ns(&phases), 0);
    ramp(KEY, 1000 * MS, 0, 64 * MIB, 100 * MS);
    end_run();
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_end_ns(&phases), 2000 * MS + last);
    assert_int_equal(phases_forecast(&phases, 2000 * MS + last - 1, UINT64_MAX / 2), 64 * MIB);
    assert_int_equal(phases_forecast(&phases, 2000 * MS + last, UINT64_MAX / 2), 0);
}

static void
test_small_growth_is_not_worth_a_key(void **state)
{
    (void)state;
    ramp(KEY, 1000 * MS, 0, PHASE_LEAST_BYTES - 1, 100 * MS);
    end_run();
    assert_int_equal(phases.known_count, 0);
    assert_int_equal(phases.runs, 1);
    /* But says that a known one has become small. */
    ramp(KEY, 1000 * MS, 0, 8 * MIB, 100 * MS);
    end_run();
    ramp(KEY, 1000 * MS, 0, MIB, 100 * MS);
    end_run();
    phases_begin(&phases, KEY, 2000 * MS, 0);
    assert_int_equal(phases_highest(&phases, 2000 * MS), MIB);
}

/* Of as many keys as there is room for; key 1 grows least. */
static void
fill(uint64_t runs)
{
    for (uint64_t run = 0; run < runs; run++) {
        for (uint64_t key = 1; key <= PHASES_KNOWN; key++) {
            phases_begin(&phases, key, 1000 * MS, (100 - key) * MIB);
        }
        phases_observe(&phases, 1100 * MS, 110 * MIB);
        end_run();
    }
    assert_int_equal(phases.known_count, PHASES_KNOWN);
}

static bool
is_known(uint64_t key)
{
    for (uint32_t i = 0; i < phases.known_count; i++) {
        if (phases.known[i].key == key) {
            return true;
        }
    }
    return false;
}

static void
run_once(uint64_t key, uint64_t growth)
{
    ramp(key, 1000 * MS, 0, growth, 100 * MS);
    end_run();
}

static void
test_those_that_grow_least_or_are_old_make_room(void **state)
{
    (void)state;
    fill(2);
    run_once(1000, 5 * MIB); /* less than any */
    assert_false(is_known(1000));
    run_once(1001, 500 * MIB);
    assert_true(is_known(1001));
    assert_false(is_known(1));
    assert_int_equal(phases.known_count, PHASES_KNOWN);

    phases.runs += PHASE_AGE_MAX - 1; /* all but the latest are old now */
    run_once(1002, 5 * MIB);
    assert_true(is_known(1002));
    assert_true(is_known(1001));
    assert_false(is_known(2));
}

/* As arguments are that are others in each run. */
static void
test_those_seen_but_once_make_room_for_one_another(void **state)
{
    (void)state;
    fill(2);
    for (uint64_t run = 0; run < PHASE_AGE_MAX - 2; run++) {
        run_once(1000 + run, 500 * MIB);
    }
    for (uint64_t key = 3; key <= PHASES_KNOWN; key++) {
        assert_true(is_known(key));
    }
    assert_true(is_known(1000 + PHASE_AGE_MAX - 3)); /* the latest */
    assert_false(is_known(1000));
}

static void
test_a_process_is_one_run_however_often_it_is_learned_from(void **state)
{
    (void)state;
    for (uint64_t key = 1; key <= 10; key++) {
        ramp(key, key * 20000 * MS, 0, 8 * MIB, 100 * MS);
        phases_learn(&phases);
    }
    assert_int_equal(phases.runs, 1);
    assert_int_equal(phases.known_count, 10);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(phase_is_sound(&phases.known[i], phases.runs));
    }
}

static void
test_more_than_can_be_under_way(void **state)
{
    (void)state;
    for (uint64_t key = 1; key <= PHASES_OPEN + 10; key++) {
        phases_begin(&phases, key, 1000 * MS, 0);
    }
    phases_begin(&phases, 0, 1000 * MS, 0);
    assert_int_equal(phases.open_count, PHASES_OPEN);
}

static void
test_what_learning_cannot_have_made_is_told(void **state)
{
    struct phase_known good;
    struct phase_known bad;

    (void)state;
    ramp(KEY, 1000 * MS, 0, 64 * MIB, 100 * MS);
    end_run();
    good = phases.known[0];
    assert_true(phase_is_sound(&good, phases.runs));
    bad = good;
    bad.key = 0;
    assert_false(phase_is_sound(&bad, 1));
    bad = good;
    bad.seen = 2;
    assert_false(phase_is_sound(&bad, 1));
    bad = good;
    bad.seen = 0;
    assert_false(phase_is_sound(&bad, 1));
    bad = good;
    bad.last_run = 2;
    assert_false(phase_is_sound(&bad, 1));
    bad = good;
    bad.growth[0][5] = bad.growth[0][6] + 1;
    assert_false(phase_is_sound(&bad, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_is_forecast_of_what_is_not_known, begin),
        cmocka_unit_test_setup(test_the_second_run_knows_the_first, begin),
        cmocka_unit_test_setup(test_a_run_that_was_counted_in_a_lost_file, begin),
        cmocka_unit_test_setup(test_a_straight_line_where_nobody_looked, begin),
        cmocka_unit_test_setup(test_a_phase_that_began_before_the_last_look, begin),
        cmocka_unit_test_setup(test_falling_levels_are_no_growth_and_lose_none, begin),
        cmocka_unit_test_setup(test_the_least_of_the_last_runs_counts, begin),
        cmocka_unit_test_setup(test_of_several_the_highest_counts, begin),
        cmocka_unit_test_setup(test_what_is_made_ready_is_growth_not_a_lag, begin),
        cmocka_unit_test_setup(test_it_ends, begin),
        cmocka_unit_test_setup(test_small_growth_is_not_worth_a_key, begin),
        cmocka_unit_test_setup(test_those_that_grow_least_or_are_old_make_room, begin),
        cmocka_unit_test_setup(test_those_seen_but_once_make_room_for_one_another, begin),
        cmocka_unit_test_setup(test_a_process_is_one_run_however_often_it_is_learned_from, begin),
        cmocka_unit_test_setup(test_more_than_can_be_under_way, begin),
        cmocka_unit_test_setup(test_what_learning_cannot_have_made_is_told, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
