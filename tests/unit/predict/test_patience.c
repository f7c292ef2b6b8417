/* SPDX-License-Identifier: MIT */
/*
 * predict/patience: which window is learned from which waves, what it costs while it is learned,
 * and what does not count.
 */
#include "../unit.h"

#include "base/random.h"
#include "predict/patience.h"

#define MIB ((uint64_t)1 << 20)
#define WINDOW 1000u
#define PASS 100u
#define SHORTEST (WINDOW / 20)

static const uint64_t percent[] = PATIENCE_PERCENT;

/* A level, and who watches it. */
struct run {
    struct patience patience;
    struct peak_state late; /* of the longest choice: above is growth */
    uint64_t now_ms;
    uint64_t level; /* MiB */
    uint64_t held;  /* MiB, by what was chosen */
    uint64_t spare; /* MiB that are kept in any case */
    bool is_met;    /* growth */
    double cost;    /* of that, as patience counts it */
    double least[PATIENCE_CHOICES];
    uint64_t others[PATIENCE_CHOICES];
};

static void
begin(struct run *run, uint64_t level)
{
    memset(run, 0, sizeof *run);
    patience_init(&run->patience);
    peak_init(&run->late);
    run->now_ms = 1;
    run->level = level;
}

static double
price(uint64_t *held, uint64_t rule, uint64_t top, uint64_t used, uint64_t kept)
{
    uint64_t before = *held;
    uint64_t wanted = top < rule ? top : rule;

    *held = kept;
    return (double)(wanted > before ? wanted - before : 0) * WINDOW * PATIENCE_PRICE +
           (double)(kept > used ? kept - used : 0) * PASS;
}

/* A pass later the level is another one, and was at most `top` meanwhile. */
static void
pass(struct run *run, uint64_t level, uint64_t top)
{
    struct tide_record record;
    const struct peak_params late = {.window_ms = WINDOW * percent[PATIENCE_LONGEST] / 100};
    uint64_t rule = peak_level(&run->late) / MIB;

    record = (struct tide_record){
        .now_ms = run->now_ms + PASS, .used_bytes = level * MIB, .peak_bytes = top * MIB};
    if (level > run->level && run->is_met) {
        record.readied_bytes = (level - run->level) * MIB;
    } else if (level > run->level) {
        record.faulted_bytes = (level - run->level) * MIB;
    }
    run->now_ms += PASS;
    run->level = level;
    patience_observe(&run->patience, WINDOW, run->spare * MIB, &record);
    peak_observe(&run->late, &late, &record);
    run->cost +=
        price(&run->held, rule, top, level, peak_level(patience_peak(&run->patience, true)) / MIB);
    for (unsigned i = 0; i < PATIENCE_CHOICES; i++) {
        run->least[i] += price(&run->others[i], rule, top, level,
                               peak_level(&run->patience.choices[i].peak) / MIB);
    }
}

static void
hold(struct run *run, uint64_t level, unsigned passes)
{
    for (unsigned i = 0; i < passes; i++) {
        pass(run, level, i == 0 && run->level > level ? run->level : level);
    }
}

static uint64_t
window(const struct run *run)
{
    return patience_window(&run->patience, WINDOW, true);
}

/* High and low for so many passes each. */
static void
waves(struct run *run, unsigned high, unsigned low, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hold(run, 200, high);
        hold(run, 20, low);
    }
}

static void
test_nothing_is_learned_before_memory_is_free(void **state)
{
    static const struct patience zeroed; /* as the keeper's is */
    struct run run;

    (void)state;
    require_eq(patience_window(&zeroed, WINDOW, true), WINDOW);
    begin(&run, 0);
    require_eq(window(&run), WINDOW);
    for (uint64_t level = 1; level < 100; level++) {
        hold(&run, level, 1);
        require_eq(window(&run), WINDOW);
    }
}

static void
test_memory_that_is_not_wanted_back_goes_soon(void **state)
{
    struct run run;

    (void)state;
    begin(&run, 0);
    hold(&run, 200, 5);
    hold(&run, 20, 2);
    require_eq(window(&run), WINDOW);
    hold(&run, 20, 8);
    require_eq(window(&run), SHORTEST);
    waves(&run, 10, 30, 5); /* wanted, but later than any choice keeps it */
    require_eq(window(&run), SHORTEST);
}

/* Not even the first time; up to a third of the window. */
static void
test_short_rests_never_cost_anything(void **state)
{
    struct run run;

    (void)state;
    for (unsigned low = 1; low <= 3; low++) {
        begin(&run, 0);
        waves(&run, 1, low, 1);
        for (unsigned wave = 0; wave < 100; wave++) {
            uint64_t before = run.held;

            hold(&run, 200, 1);
            require_eq(before, 200);
            hold(&run, 20, low);
        }
    }
}

static void
test_waves_are_outlasted(void **state)
{
    static const struct {
        unsigned low; /* passes */
        uint64_t least;
    } cases[] = {{2, 200}, {3, 500}, {4, 500}};

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(cases); i++) {
        struct run run;
        uint64_t missing = 0;

        begin(&run, 0);
        waves(&run, 3, cases[i].low, 4);
        require_ge(window(&run), cases[i].least);
        for (unsigned wave = 0; wave < 20; wave++) {
            uint64_t before = run.held;

            hold(&run, 200, 1);
            missing += before < 200;
            hold(&run, 200, 2);
            hold(&run, 20, cases[i].low);
        }
        require_eq(missing, 0);
    }
}

static void
test_what_changes_is_learned_anew(void **state)
{
    struct run run;

    (void)state;
    begin(&run, 0);
    waves(&run, 3, 3, 20);
    require_ge(window(&run), 500);
    waves(&run, 3, 40, 12);
    require_eq(window(&run), SHORTEST);
    waves(&run, 3, 3, 5);
    require_ge(window(&run), 500);
}

/* The rule itself gives it back a moment before it is wanted, each time. */
static void
test_waves_just_longer_than_the_rule_are_outlasted_as_well(void **state)
{
    struct run run;

    (void)state;
    begin(&run, 0);
    waves(&run, 1, 11, 3);
    require_ge(window(&run), WINDOW);
    for (unsigned wave = 0; wave < 20; wave++) {
        require_eq(run.held, 200);
        hold(&run, 200, 1);
        hold(&run, 20, 11);
    }
}

/* What the program did not wait for costs less, and goes sooner. */
static void
test_what_is_made_ready_goes_sooner(void **state)
{
    (void)state;
    for (unsigned met = 0; met < 2; met++) {
        struct run run;

        begin(&run, 0);
        run.is_met = met != 0;
        waves(&run, 3, 11, 10); /* between PATIENCE_PRICE_MET and PATIENCE_PRICE windows */
        if (run.is_met) {
            require_eq(window(&run), SHORTEST);
        } else {
            require_ge(window(&run), WINDOW);
        }
    }
}

/* Growth by less than is spare, pass for pass, is paid for like any other. */
static void
test_spare_memory_is_there_but_once(void **state)
{
    struct run run;

    (void)state;
    begin(&run, 0);
    run.spare = 40;
    for (unsigned tooth = 0; tooth < 10; tooth++) {
        for (uint64_t level = 20; level <= 200; level += 30) {
            hold(&run, level, 1);
        }
        if (tooth > 2) {
            require_ge(window(&run), WINDOW);
        }
    }
}

/* Where every gap is as likely, what is chosen costs little more than the best choice. */
static void
test_it_costs_little_more_than_the_best_choice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t random = seed;
        unsigned longest = 2 + (unsigned)(seed % 20); /* passes */
        double least;
        struct run run;

        begin(&run, 0);
        for (unsigned i = 0; i < 400; i++) {
            hold(&run, 20 + random_next(&random) % 400, 1 + (unsigned)(random_next(&random) % 5));
            hold(&run, 20, 1 + (unsigned)(random_next(&random) % longest));
        }
        least = run.least[0];
        for (unsigned i = 1; i < PATIENCE_CHOICES; i++) {
            least = run.least[i] < least ? run.least[i] : least;
        }
        if (run.cost > least * 1.25) {
            dprintf(STDERR_FILENO, "seed %llu: %.0f, %.0f\n", (unsigned long long)seed, run.cost,
                    least);
        }
        assert_true(run.cost <= least * 1.25);
    }
}

/* Nobody looks while nothing moves; a choice keeps for its window, not for as long as that. */
static void
test_a_sleep_costs_a_window(void **state)
{
    struct run run;
    double before;

    (void)state;
    begin(&run, 0);
    hold(&run, 200, 3);
    hold(&run, 20, 1);
    before = run.patience.choices[PATIENCE_RULE].cost;
    run.now_ms += 1000000;
    hold(&run, 20, 1);
    assert_true(run.patience.choices[PATIENCE_RULE].cost <= before + 180.0 * MIB * WINDOW);
}

static void
test_not_learned_is_the_rule_itself(void **state)
{
    const struct peak_params params = {.window_ms = WINDOW};
    struct peak_state rule;
    uint64_t random = 7;
    struct run run;

    (void)state;
    begin(&run, 0);
    peak_init(&rule);
    for (unsigned i = 0; i < 300; i++) {
        struct tide_record record;

        pass(&run, random_next(&random) % 300, 300);
        record = (struct tide_record){
            .now_ms = run.now_ms, .used_bytes = run.level * MIB, .peak_bytes = 300 * MIB};
        peak_observe(&rule, &params, &record);
        require_eq(patience_window(&run.patience, WINDOW, false), WINDOW);
        require_eq(peak_level(patience_peak(&run.patience, false)), peak_level(&rule));
    }
    for (unsigned i = 0; i < PATIENCE_CHOICES; i++) {
        run.patience.chosen = i;
        require_eq(patience_window(&run.patience, WINDOW, true), WINDOW * percent[i] / 100);
        require_eq(patience_window(&run.patience, 0, true), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_learned_before_memory_is_free),
        cmocka_unit_test(test_memory_that_is_not_wanted_back_goes_soon),
        cmocka_unit_test(test_short_rests_never_cost_anything),
        cmocka_unit_test(test_waves_are_outlasted),
        cmocka_unit_test(test_waves_just_longer_than_the_rule_are_outlasted_as_well),
        cmocka_unit_test(test_what_changes_is_learned_anew),
        cmocka_unit_test(test_what_is_made_ready_goes_sooner),
        cmocka_unit_test(test_spare_memory_is_there_but_once),
        cmocka_unit_test(test_it_costs_little_more_than_the_best_choice),
        cmocka_unit_test(test_a_sleep_costs_a_window),
        cmocka_unit_test(test_not_learned_is_the_rule_itself),
    };

    return cmocka_run_group_tests_name("predict/patience", tests, unit_setup, NULL);
}
