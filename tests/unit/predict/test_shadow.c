/* SPDX-License-Identifier: MIT */
/*
 * predict/shadow: nothing is held against a forecast before it may be acted on; scores are what was
 * said against what came; the two models move the way their levels do, and what is given back and
 * wanted again within a horizon is regretted.
 */
#include "series.h"

#include "predict/shadow.h"

#define MIB ((uint64_t)1 << 20)
#define HORIZON 32u

static struct shadow_sample
sample_of(uint64_t used, uint64_t rule)
{
    return (struct shadow_sample){
        .peak_bytes = used, .used_bytes = used, .rule_bytes = rule, .spare_bytes = 1 * MIB};
}

static void
play(struct shadow *s, uint64_t used, uint64_t rule, unsigned samples)
{
    struct shadow_sample sample = sample_of(used, rule);

    for (unsigned i = 0; i < samples; i++) {
        shadow_observe(s, &sample);
    }
}

static void
test_nothing_is_scored_before_the_bank_is_ready(void **state)
{
    struct shadow s;
    struct shadow_view view;

    (void)state;
    shadow_init(&s, HORIZON);
    require_eq(shadow_look(&s).forecast.samples, 0);
    play(&s, 100 * MIB, 100 * MIB, 2 * HORIZON - 1);
    view = shadow_look(&s);
    require(!view.forecast.ready);
    require_eq(view.model_samples, 0);
    require_eq(view.scored, 0);
    play(&s, 100 * MIB, 100 * MIB, 1);
    view = shadow_look(&s);
    require(view.forecast.ready);
    require_eq(view.model_samples, 1);
    play(&s, 100 * MIB, 100 * MIB, HORIZON);
    require_eq(shadow_look(&s).scored, 1); /* a horizon later, and not sooner */
}

static void
test_rest_is_forecast_as_rest(void **state)
{
    struct shadow s;
    struct shadow_view view;

    (void)state;
    shadow_init(&s, HORIZON);
    play(&s, 100 * MIB, 100 * MIB, 400);
    view = shadow_look(&s);
    require_eq(view.forecast.forecast_bytes, 100 * MIB);
    require_eq(view.lower_bytes, 100 * MIB);
    require_eq(view.forecast.upper_bytes, 100 * MIB);
    require_eq(view.error_bytes, 0);
    require_eq(view.rule_error_bytes, 0);
    require(view.coverage == 1);
    require(view.rule_coverage == 1 && view.within == 1);
    require_eq(s.by_forecast.returned, 0);
    require_eq(s.by_rule.taken, 0);
}

static void
test_the_rule_is_scored_by_what_it_said(void **state)
{
    struct shadow s;

    (void)state;
    shadow_init(&s, HORIZON);
    play(&s, 100 * MIB, 110 * MIB, 400);
    /* 10 MiB too much, at a tenth each */
    require_near((double)shadow_look(&s).rule_error_bytes, 1.0 * (double)MIB, 1e-6);
    require(shadow_look(&s).rule_coverage == 1);
    shadow_init(&s, HORIZON);
    play(&s, 100 * MIB, 90 * MIB, 400);
    require_near((double)shadow_look(&s).rule_error_bytes, 9.0 * (double)MIB, 1e-6);
    require(shadow_look(&s).rule_coverage == 0);
}

static void
test_what_goes_back_and_is_wanted_again_is_regretted(void **state)
{
    struct shadow s;

    (void)state;
    shadow_init(&s, HORIZON);
    play(&s, 100 * MIB, 100 * MIB, 100);
    require_eq(s.by_rule.held, 100 * MIB);
    play(&s, 40 * MIB, 40 * MIB, 2);
    require_eq(s.by_rule.held, 41 * MIB); /* the spare stays */
    require_eq(s.by_rule.returned, 59 * MIB);
    play(&s, 60 * MIB, 60 * MIB, 1);
    require_eq(s.by_rule.taken, 19 * MIB);
    require_eq(s.by_rule.regretted, 19 * MIB);
    play(&s, 60 * MIB, 60 * MIB, 2 * HORIZON);
    play(&s, 100 * MIB, 100 * MIB, 1); /* too late to be regretted */
    require_eq(s.by_rule.taken, 59 * MIB);
    require_eq(s.by_rule.regretted, 19 * MIB);
}

static void
test_a_level_above_keeps_what_is_free(void **state)
{
    struct shadow s;

    (void)state;
    shadow_init(&s, HORIZON);
    play(&s, 100 * MIB, 100 * MIB, 100);
    play(&s, 40 * MIB, 100 * MIB, 10);
    require_eq(s.by_rule.held, 100 * MIB);
    require_eq(s.by_rule.returned, 0);
    require_eq(s.by_rule.kept_sum, 10 * 60 * MIB);
    require(shadow_kept_mean(&s, &s.by_rule) > 0);
}

/* What is held follows from what came and went, for both, and the band holds about what it says. */
static void
test_the_books_balance_on_every_series(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < SERIES_KINDS; kind++) {
        double levels[SERIES_LENGTH];
        uint64_t held = 0;
        struct shadow s;
        struct shadow_view view;

        series_fill(levels, SERIES_LENGTH, (enum series_kind)kind, 1);
        shadow_init(&s, HORIZON);
        for (size_t i = 0; i < SERIES_LENGTH; i++) {
            struct shadow_sample sample = sample_of((uint64_t)levels[i], (uint64_t)levels[i]);

            shadow_observe(&s, &sample);
            held = s.model_samples == 1 ? sample.used_bytes : held;
        }
        view = shadow_look(&s);
        require_eq(s.by_forecast.held + s.by_forecast.returned, held + s.by_forecast.taken);
        require_eq(s.by_rule.held + s.by_rule.returned, held + s.by_rule.taken);
        require(s.by_forecast.regretted <= s.by_forecast.taken);
        require(s.by_forecast.regretted <= s.by_forecast.returned);
        require(view.lower_bytes <= view.forecast.forecast_bytes);
        require(view.forecast.forecast_bytes <= view.forecast.upper_bytes);
        require_eq(view.scored, (SERIES_LENGTH - 2 * HORIZON - HORIZON) / 4 + 1);
        dprintf(STDERR_FILENO, "%-9s within %.3f, error %.2f MiB, of the last level %.2f MiB\n",
                series_name[kind], view.within, (double)view.error_bytes / (double)MIB,
                (double)view.rule_error_bytes / (double)MIB);
        require(view.within >= 0.75);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_scored_before_the_bank_is_ready),
        cmocka_unit_test(test_rest_is_forecast_as_rest),
        cmocka_unit_test(test_the_rule_is_scored_by_what_it_said),
        cmocka_unit_test(test_what_goes_back_and_is_wanted_again_is_regretted),
        cmocka_unit_test(test_a_level_above_keeps_what_is_free),
        cmocka_unit_test(test_the_books_balance_on_every_series),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
