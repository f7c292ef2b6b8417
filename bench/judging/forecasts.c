/* SPDX-License-Identifier: MIT */
/* See forecasts.h. */
#include "forecasts.h"

#include <stdio.h>
#include <stdlib.h>

#include "predict/bank.h"

#define PEAK_MS 1000u

const char *
forecasts_name(enum forecasts_column column)
{
    switch (column) {
    case FORECASTS_PEAK:
        return "peak-1s";
    case FORECASTS_BANK:
        return "bank";
    case FORECASTS_UPPER:
        return "upper";
    default:
        return forecaster_name((enum forecaster_kind)(column % FORECASTER_KINDS));
    }
}

const char *
forecasts_mode(enum forecasts_column column)
{
    return column >= FORECASTS_MARGIN && column < FORECASTS_PEAK ? "margin" : "alone";
}

static double
highest(const double *samples, size_t from, size_t to)
{
    double most = 0;

    for (size_t i = from; i < to; i++) {
        most = forecast_max(most, samples[i]);
    }
    return most;
}

static double *
take_samples(const uint64_t *levels, size_t count, uint32_t step_ms, size_t *samples)
{
    double *taken = calloc(count / step_ms + 1, sizeof *taken);

    if (taken == NULL) {
        fprintf(stderr, "judge: out of memory for a series of %zu milliseconds\n", count);
        exit(1);
    }
    *samples = count / step_ms; /* the last one, if it is not whole, is left out */
    for (size_t i = 0; i < *samples * step_ms; i++) {
        taken[i / step_ms] = forecast_max(taken[i / step_ms], (double)levels[i]);
    }
    return taken;
}

static void
ask(const struct bank *bank, double peak, double said[])
{
    struct bank_forecast answer = bank_predict(bank);

    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        double alone = forecaster_predict(&bank->forecaster[i], bank->horizon);

        said[FORECASTS_ALONE + i] = alone;
        said[FORECASTS_MARGIN + i] = forecast_clamp(alone + band_margin(&bank->own[i]));
    }
    said[FORECASTS_PEAK] = peak;
    said[FORECASTS_BANK] = (double)answer.forecast_bytes;
    said[FORECASTS_UPPER] = (double)answer.upper_bytes;
}

static void
score(struct forecasts_scores *scores, const double said[], double outcome)
{
    scores->asked++;
    for (unsigned i = 0; i < FORECASTS_COLUMNS; i++) {
        scores->loss[i] += pinball_loss(FORECASTS_QUANTILE, said[i], outcome);
        scores->coverage[i] += outcome <= said[i];
    }
}

void
forecasts_judge(const uint64_t *levels, size_t count, uint32_t step_ms, uint32_t horizon,
                struct forecasts_scores *scores)
{
    struct bank_params params = {.horizon = horizon};
    double said[FORECASTS_COLUMNS];
    uint32_t window = PEAK_MS / step_ms;
    uint32_t first = 2 * horizon > FORECASTS_FIRST ? 2 * horizon : FORECASTS_FIRST;
    struct bank bank;
    size_t samples;
    double *sample = take_samples(levels, count, step_ms, &samples);
    double top = highest(sample, 0, samples);

    *scores = (struct forecasts_scores){.asked = 0};
    bank_init(&bank, &params);
    for (size_t i = 0; i + horizon < samples; i++) {
        bank_observe(&bank, (uint64_t)sample[i]);
        if (i + 1 >= first) {
            ask(&bank, highest(sample, i + 1 > window ? i + 1 - window : 0, i + 1), said);
            score(scores, said, highest(sample, i + 1, i + 1 + horizon));
        }
    }
    for (unsigned i = 0; i < FORECASTS_COLUMNS && scores->asked > 0 && top > 0; i++) {
        scores->loss[i] /= (double)scores->asked * top;
        scores->coverage[i] /= (double)scores->asked;
    }
    free(sample);
}
