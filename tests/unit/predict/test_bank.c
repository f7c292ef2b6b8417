/* SPDX-License-Identifier: MIT */
/*
 * predict/bank: when rounds are scored, when it may be believed, what comes of odd series, and
 * whether all of them together forecast better than each of them alone.
 */
#include "series.h"

#include "predict/bank.h"

static const uint32_t horizons[] = {1, 4, 8, 20, 64};

static struct bank
begin(uint32_t horizon)
{
    struct bank_params params = {.horizon = horizon};
    struct bank bank;

    bank_init(&bank, &params);
    return bank;
}

static void
test_size_is_bounded(void **state)
{
    (void)state;
    require_le(sizeof(struct bank), BANK_BYTES_MAX);
}

static void
test_zero_parameters_are_the_defaults(void **state)
{
    static const struct bank_params odd[] = {
        {.horizon = 0},
        {.under_cost = -1, .over_cost = -1, .miss_rate = -1},
        {.under_cost = __builtin_nan(""), .over_cost = __builtin_nan("")},
        {.under_cost = __builtin_inf(), .over_cost = __builtin_inf()},
    };

    (void)state;
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(odd); i++) {
        struct bank bank;

        bank_init(&bank, &odd[i]);
        require_eq(bank.horizon, BANK_ROUNDS);
        require_eq(bank.min_samples, BANK_SAMPLES_DEFAULT);
        require_near(bank.quantile, 0.9, 1e-15);
        require_near(bank.band.miss_rate, 0.1, 1e-12);
    }
}

static void
test_rounds_are_scored_when_their_horizon_is_over(void **state)
{
    (void)state;
    for (uint32_t horizon = 1; horizon <= 70; horizon++) {
        struct bank bank = begin(horizon);
        uint64_t apart = (horizon + BANK_ROUNDS - 1) / BANK_ROUNDS;

        for (uint64_t n = 1; n <= 300; n++) {
            bank_observe(&bank, n);
            /* Opened at samples 1, 1 + apart, …, scored `horizon` later. */
            require_eq(bank_predict(&bank).scored, n > horizon ? (n - 1 - horizon) / apart + 1 : 0);
            require_le(bank.open, BANK_ROUNDS);
        }
    }
}

/* What is scored is the highest level of the horizon: the error is that of forecasts written down
 * beside it. */
static void
test_the_error_is_that_of_the_forecasts_given(void **state)
{
    static double level[SERIES_LENGTH];
    static double given[SERIES_LENGTH];
    struct bank bank = begin(5);
    double loss = 0;
    unsigned covered = 0;
    unsigned scored = 0;

    (void)state;
    series_fill(level, SERIES_LENGTH, SERIES_phases, 51);
    for (unsigned i = 0; i < SERIES_LENGTH; i++) {
        bank_observe(&bank, (uint64_t)level[i]);
        level[i] = (double)(uint64_t)level[i];
        given[i] = (double)bank_predict(&bank).forecast_bytes;
        if (i >= 5) {
            loss += pinball_loss(0.9, given[i - 5], series_peak(level, i - 5, 5));
            scored++;
        }
    }
    covered = (unsigned)(bank_predict(&bank).coverage * scored + 0.5);
    require_eq(bank_predict(&bank).scored, scored);
    require_near((double)bank_predict(&bank).error_bytes, loss / scored, 1e-5);
    require_gt(covered, scored * 80 / 100);
    require_le(covered, scored);
}

static void
test_it_is_ready_after_enough_samples(void **state)
{
    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(horizons); k++) {
        struct bank bank = begin(horizons[k]);
        unsigned wanted = 2 * horizons[k] > 32 ? 2 * horizons[k] : 32;

        require(!bank_predict(&bank).ready);
        for (unsigned i = 1; i < wanted; i++) {
            bank_observe(&bank, 1000);
            require(!bank_predict(&bank).ready);
        }
        bank_observe(&bank, 1000);
        require(bank_predict(&bank).ready);
        require_eq(bank_predict(&bank).samples, wanted);
    }
}

static void
test_a_constant_is_forecast_and_covered(void **state)
{
    static const uint64_t level[] = {0, 1, 4096, (uint64_t)100 << 20, (uint64_t)1 << 47};

    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(level); k++) {
        struct bank bank = begin(8);
        struct bank_forecast f;

        for (unsigned i = 0; i < 500; i++) {
            bank_observe(&bank, level[k]);
        }
        f = bank_predict(&bank);
        require_eq(f.level_bytes, level[k]);
        require_near((double)f.forecast_bytes, (double)level[k], 1e-6);
        require_near((double)f.upper_bytes, (double)level[k], 1e-6);
        require_le(f.error_bytes, level[k] / 1000000);
        require(f.coverage > 0.99 || level[k] > 0);
    }
}

/* While a start is still a start, its slope counts only in part. */
static void
test_a_start_is_damped(void **state)
{
    struct bank bank = begin(8);
    double slope = SERIES_MIB;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        double level = slope * (10 + i);
        struct bank_forecast f;
        double part = (i + 1) / 32.0; /* of what makes it ready */

        bank_observe(&bank, (uint64_t)level);
        f = bank_predict(&bank);
        /* 8 such steps are right; the margins go beyond at first. */
        require((double)f.forecast_bytes <= level + (part < 1 ? part : 1) * 12 * slope);
        if (i > 66) { /* the margins have not learnt to undo it */
            require((double)f.upper_bytes <= level + 11 * slope);
        }
        if (i > 100) {
            require((double)f.forecast_bytes > level + 7 * slope);
        }
    }
}

static void
test_odd_series_get_numbers(void **state)
{
    struct unit_random r = {52};

    (void)state;
    for (unsigned run = 0; run < 50; run++) {
        struct bank bank = begin(1 + (uint32_t)unit_below(&r, 100));

        for (unsigned i = 0; i < 500; i++) {
            uint64_t level =
                unit_below(&r, 5) == 0 ? UINT64_MAX : unit_next(&r) >> unit_below(&r, 64);
            struct bank_forecast f;
            double sum = 0;

            bank_observe(&bank, unit_below(&r, 7) == 0 ? 0 : level);
            f = bank_predict(&bank);
            require_le(f.forecast_bytes, (uint64_t)1 << 60);
            require_le(f.upper_bytes, (uint64_t)1 << 60);
            require_le(f.error_bytes, (uint64_t)1 << 60);
            require(f.coverage >= 0 && f.coverage <= 1);
            for (unsigned k = 0; k < FORECASTER_KINDS; k++) {
                require(f.weight[k] > 0 && f.weight[k] <= 1);
                sum += f.weight[k];
            }
            require_near(sum, 1, 1e-9);
        }
    }
}

static void
test_the_longest_horizon_is_never_ready(void **state)
{
    struct bank bank = begin(UINT32_MAX);

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        bank_observe(&bank, i);
        require(!bank_predict(&bank).ready);
    }
}

static void
test_asking_changes_nothing(void **state)
{
    static struct bank bank;
    static struct bank before;
    struct bank_params params = {.horizon = 6};

    (void)state;
    bank_init(&bank, &params);
    for (unsigned i = 0; i < 300; i++) {
        bank_observe(&bank, (i * 7919) % 1000);
        memcpy(&before, &bank, sizeof bank);
        (void)bank_predict(&bank);
        assert_memory_equal(&bank, &before, sizeof bank);
    }
}

static void
test_dearer_shortage_moves_the_forecast_up(void **state)
{
    static double level[SERIES_LENGTH];
    double before = 0;

    (void)state;
    series_fill(level, SERIES_LENGTH, SERIES_noise, 53);
    for (double under = 1; under <= 32; under *= 2) {
        struct bank_params params = {.horizon = 4, .under_cost = under, .over_cost = 1};
        struct bank bank;
        double mean = 0;

        bank_init(&bank, &params);
        for (unsigned i = 0; i < SERIES_LENGTH; i++) {
            bank_observe(&bank, (uint64_t)level[i]);
            mean += (double)bank_predict(&bank).upper_bytes / SERIES_LENGTH;
        }
        require(mean > before);
        before = mean;
    }
}

/* What is best at full and empty in turn, at smooth waves, at noise, and at the first again. */
static void
test_weights_follow_a_change(void **state)
{
    static const struct {
        enum series_kind series;
        enum forecaster_kind best;
    } turns[] = {{SERIES_square, FORECASTER_season},
                 {SERIES_wave, FORECASTER_ar},
                 {SERIES_noise, FORECASTER_window},
                 {SERIES_square, FORECASTER_season}};
    struct bank bank = begin(4);
    struct series s = series_begin(54);

    (void)state;
    for (unsigned k = 0; k < TIDE_ARRAY_LEN(turns); k++) {
        for (unsigned i = 0; i < 400; i++) {
            bank_observe(&bank, (uint64_t)(SERIES_MIB * series_next(&s, turns[k].series, i)));
        }
        require(bank_predict(&bank).weight[turns[k].best] > 0.5);
    }
}

/* --- all against each ------------------------------------------------------------------------- */

/* Mean pinball losses in MiB: of each forecaster, of each with a margin of its own, of all. */
enum { OWN = FORECASTER_KINDS, BANK = OWN + FORECASTER_KINDS, UPPER, COLUMNS };

struct losses {
    double loss[COLUMNS];
    double coverage;
    unsigned n;
};

static void
measure(struct losses *sum, enum series_kind kind, uint32_t horizon, uint64_t seed)
{
    static double level[SERIES_LENGTH];
    struct bank bank = begin(horizon);

    series_fill(level, SERIES_LENGTH, kind, seed);
    for (unsigned i = 0; i + horizon < SERIES_LENGTH; i++) {
        double peak = series_peak(level, i, horizon);
        struct bank_forecast f;

        bank_observe(&bank, (uint64_t)level[i]);
        f = bank_predict(&bank);
        if (!f.ready) {
            continue;
        }
        for (unsigned k = 0; k < FORECASTER_KINDS; k++) {
            double said = forecaster_predict(&bank.forecaster[k], horizon);
            double corrected = forecast_clamp(said + band_margin(&bank.own[k]));

            sum->loss[k] += pinball_loss(0.9, said, peak);
            sum->loss[OWN + k] += pinball_loss(0.9, corrected, peak);
        }
        sum->loss[BANK] += pinball_loss(0.9, (double)f.forecast_bytes, peak);
        sum->loss[UPPER] += pinball_loss(0.9, (double)f.upper_bytes, peak);
        sum->coverage += peak <= (double)f.upper_bytes + 1; /* levels are whole bytes for a bank */
        sum->n++;
    }
}

static void
print_row(const char *name, const double loss[])
{
    char line[256];
    int at = snprintf(line, sizeof line, "# %-9s", name);

    for (unsigned k = 0; k < COLUMNS; k++) {
        at += snprintf(line + at, sizeof line - (size_t)at, "%s%6.2f",
                       k == OWN || k == BANK ? " |" : "", loss[k]);
    }
    print_message("%s\n", line);
}

/* Means over all series, three of each; a row for each kind of series. */
static void
measure_all(double mean[COLUMNS], uint32_t horizon, uint64_t seed)
{
    double coverage = 0;

    print_message("# horizon %u\n# series       last window ewma  holt theta    ar season growth |"
                  " the same with margins of their own | bank upper\n",
                  horizon);
    for (enum series_kind s = (enum series_kind)0; s < SERIES_KINDS;
         s = (enum series_kind)(s + 1)) {
        struct losses sum = {.n = 0};

        for (uint64_t i = 0; i < 3; i++) {
            measure(&sum, s, horizon, seed + i);
        }
        for (unsigned k = 0; k < COLUMNS; k++) {
            sum.loss[k] /= sum.n * SERIES_MIB;
            mean[k] += sum.loss[k] / SERIES_KINDS;
        }
        print_row(series_name[s], sum.loss);
        coverage += sum.coverage / sum.n / SERIES_KINDS;
        /* Some 30 of the longest horizons are all there is: too few for weights and a band. */
        require(sum.coverage / sum.n > (horizon > 50 ? 0.7 : 0.85));
    }
    print_row("mean", mean);
    print_message("# coverage %.3f\n", coverage);
    require(coverage > (horizon > 50 ? 0.87 : 0.88));
}

/*
 * The point of a bank: on average over series of different kinds, none of its forecasters is
 * better, nor would one be that is given a margin. The table is that of the README.
 */
static void
check_together(uint64_t seed)
{
    for (unsigned h = 0; h < TIDE_ARRAY_LEN(horizons); h++) {
        double mean[COLUMNS] = {0};

        measure_all(mean, horizons[h], seed);
        for (unsigned k = 0; k < BANK; k++) {
            require(mean[BANK] < mean[k]);
        }
        require(mean[BANK] < 0.55 * mean[FORECASTER_window]); /* what is deployed */
    }
}

static void
test_together_they_beat_each_alone(void **state)
{
    (void)state;
    check_together(1);
}

static void
test_together_they_do_so_where_nothing_was_chosen_by(void **state)
{
    (void)state;
    check_together(SERIES_UNSEEN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_is_bounded),
        cmocka_unit_test(test_zero_parameters_are_the_defaults),
        cmocka_unit_test(test_rounds_are_scored_when_their_horizon_is_over),
        cmocka_unit_test(test_the_error_is_that_of_the_forecasts_given),
        cmocka_unit_test(test_it_is_ready_after_enough_samples),
        cmocka_unit_test(test_a_constant_is_forecast_and_covered),
        cmocka_unit_test(test_a_start_is_damped),
        cmocka_unit_test(test_odd_series_get_numbers),
        cmocka_unit_test(test_the_longest_horizon_is_never_ready),
        cmocka_unit_test(test_asking_changes_nothing),
        cmocka_unit_test(test_dearer_shortage_moves_the_forecast_up),
        cmocka_unit_test(test_weights_follow_a_change),
        cmocka_unit_test(test_together_they_beat_each_alone),
        cmocka_unit_test(test_together_they_do_so_where_nothing_was_chosen_by),
    };

    return cmocka_run_group_tests_name("predict/bank", tests, unit_setup, NULL);
}
