/* SPDX-License-Identifier: MIT */
/*
 * bench/judging: the oracle's cost of series whose optimum is known by hand, and of any series
 * beside the optimum that is found page by page; that no policy costs less; what a pool counts.
 */
#include "../unit.h"

#include "base/compiler.h"
#include "bench/judging/policies.h"
#include "bench/judging/pool.h"

/* Keeping costs 1 a ms; a return and a refill 10 + 100. */
static const struct pool_prices prices = {
    .fault_ns = 300, .ready_ns = 100, .return_ns = 10, .keep_ns = 1};

#define ORACLE(...)                                                                                \
    oracle((const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint64_t
oracle(const uint64_t *levels, size_t count)
{
    return (uint64_t)oracle_cost_ns(levels, count, &prices);
}

static void
test_growth_is_made_ready(void **state)
{
    (void)state;
    require_eq(ORACLE(0, 0, 0), 0);
    require_eq(ORACLE(5, 5, 5), 500);
    require_eq(ORACLE(1, 3, 7), 700);
}

static void
test_what_is_wanted_again_soon_is_kept(void **state)
{
    (void)state;
    require_eq(ORACLE(3, 1, 1, 3), 300 + 2 * 2);    /* two pages, two ms */
    require_eq(ORACLE(3, 2, 1, 3), 300 + 2 + 1);    /* the upper one longer than the lower */
    require_eq(ORACLE(3, 1, 2, 1, 3), 300 + 4 + 1); /* the lower one is used meanwhile */
}

static void
test_what_is_wanted_late_is_given_back(void **state)
{
    uint64_t levels[200] = {[0] = 4, [110] = 2, [111] = 1};

    (void)state;
    /* Page 0: a gap of 109 is kept, one of 88 at the end goes back. Page 1: 109 kept, then back.
     * Pages 2 and 3 go back at once. */
    require_eq(oracle(levels, 200), 400 + 109 + 10 + 109 + 10 + 2 * 10);
    levels[110] = 0; /* page 0: 110, which costs the same either way; page 1 goes back */
    require_eq(oracle(levels, 200), 400 + 110 + 10 + 10 + 2 * 10);
    levels[111] = 0; /* all goes back */
    require_eq(oracle(levels, 200), 400 + 4 * 10);
}

static void
test_at_the_end_the_cheaper_is_done(void **state)
{
    (void)state;
    require_eq(ORACLE(2, 0, 0, 0), 200 + 2 * 3);
    require_eq(ORACLE(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 200 + 2 * 10);
}

/* The least cost of one page by all that can be done with it, ms by ms. */
static double
page_cost(const uint64_t *levels, size_t count, uint64_t height)
{
    double without = 0, with = 1e18; /* it has its page after this ms, or not */

    for (size_t i = 0; i < count; i++) {
        bool needed = levels[i] > height;
        double in = with, out = without, filled = out + prices.ready_ns;

        with = needed ? (in < filled ? in : filled) : in + prices.keep_ns;
        without = needed ? with + prices.return_ns : out;
        if (!needed && in + prices.return_ns < without) {
            without = in + prices.return_ns;
        }
    }
    return with < without ? with : without;
}

static void
fill(struct unit_random *r, uint64_t *levels, size_t count, uint64_t most)
{
    uint64_t level = 0;

    for (size_t i = 0; i < count; i++) {
        level = unit_below(r, 30) == 0 ? unit_below(r, most + 1) : level;
        levels[i] = level > 0 && unit_below(r, 3) == 0 ? level - unit_below(r, level) : level;
    }
}

static void
test_any_series_costs_the_least_of_its_pages(void **state)
{
    struct unit_random r = {61};
    uint64_t levels[400];

    (void)state;
    for (unsigned run = 0; run < 300; run++) {
        size_t count = 1 + unit_below(&r, TIDE_ARRAY_LEN(levels));
        double sum = 0;

        fill(&r, levels, count, 12);
        for (uint64_t height = 0; height < 12; height++) {
            sum += page_cost(levels, count, height);
        }
        require_eq(oracle(levels, count), (uint64_t)sum);
    }
}

static void
test_no_policy_costs_less(void **state)
{
    static uint64_t levels[5000];
    struct unit_random r = {62};

    (void)state;
    for (unsigned run = 0; run < 20; run++) {
        uint64_t least;

        fill(&r, levels, TIDE_ARRAY_LEN(levels), 30000);
        least = oracle(levels, TIDE_ARRAY_LEN(levels));
        for (size_t i = 0; i < policy_count; i++) {
            struct pool_counts c =
                policy_run(&policies[i], levels, TIDE_ARRAY_LEN(levels), 1 + run % 5);

            require(pool_cost_ns(&c, &prices) >= (double)least);
        }
    }
}

static void
test_a_pool_counts_what_is_done(void **state)
{
    struct pool p = {.level = 0};

    (void)state;
    pool_need(&p, 10); /* 10 faults */
    pool_need(&p, 4);  /* 6 free */
    pool_pass(&p);
    pool_ready(&p, 3);
    pool_need(&p, 12); /* the 6, and 2 of the 3 */
    require_eq(p.counts.faults, 10);
    require_eq(p.ready, 1);
    pool_pass(&p);
    pool_need(&p, 10);
    pool_keep(&p, 2); /* the ready one goes back first */
    require_eq(p.counts.wasted, 1);
    require_eq(p.counts.returned, 1);
    require_eq(p.free, 2);
    pool_keep(&p, 5);
    require_eq(p.counts.returned, 1);
    require_eq(p.counts.kept, 6 + 1);
    require_eq(pool_cost_ns(&p.counts, &prices), 10 * 300 + 3 * 100 + 1 * 10 + 7);
}

/* A level that never falls: the rule has nothing to decide, and who meets growth faults less. */
static void
test_policies_do_what_they_are_called(void **state)
{
    static uint64_t levels[3000];

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(levels); i++) {
        levels[i] = 8192 + 50 * i;
    }
    for (size_t i = 0; i < policy_count; i++) {
        struct pool_counts c = policy_run(&policies[i], levels, TIDE_ARRAY_LEN(levels), 1);

        if (policies[i].meets_growth) {
            require(c.faults < 8192 + 150000 / 20);
        } else {
            require_eq(c.faults, 8192 + 50 * 2999);
            require_eq(c.returned + c.kept + c.readied, 0);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_is_made_ready),
        cmocka_unit_test(test_what_is_wanted_again_soon_is_kept),
        cmocka_unit_test(test_what_is_wanted_late_is_given_back),
        cmocka_unit_test(test_at_the_end_the_cheaper_is_done),
        cmocka_unit_test(test_any_series_costs_the_least_of_its_pages),
        cmocka_unit_test(test_no_policy_costs_less),
        cmocka_unit_test(test_a_pool_counts_what_is_done),
        cmocka_unit_test(test_policies_do_what_they_are_called),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
