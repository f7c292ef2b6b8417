/* SPDX-License-Identifier: MIT */
/* The forecaster bank; see bank.h. */
#include "predict/bank.h"

TIDE_STATIC_ASSERT(sizeof(struct bank) <= BANK_BYTES_MAX, "the size that bank.h promises");
TIDE_STATIC_ASSERT((unsigned)FORECASTER_KINDS <= HEDGE_EXPERTS_MAX, "an expert each");

TIDE_COLD void
bank_init(struct bank *bank, const struct bank_params *params)
{
    double under = params->under_cost > 0 ? params->under_cost : 9;
    double over = params->over_cost > 0 ? params->over_cost : 1;
    double quantile = under / (under + over);
    struct forecast_params usual;
    uint32_t horizon = params->horizon > 0 ? params->horizon : BANK_ROUNDS;
    uint32_t twice = horizon < UINT32_MAX / 2 ? 2 * horizon : UINT32_MAX;

    quantile = quantile > 0 && quantile < 1 ? quantile : 0.9; /* costs that are no numbers */
    usual = forecast_params_usual(horizon, quantile);
    *bank = (struct bank){.quantile = quantile, .horizon = horizon};
    bank->min_samples = params->min_samples > 0 ? params->min_samples : BANK_SAMPLES_DEFAULT;
    bank->min_samples = bank->min_samples > twice ? bank->min_samples : twice;
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        forecaster_init(&bank->forecaster[i], (enum forecaster_kind)i, &usual);
        band_init(&bank->own[i], 1 - quantile);
    }
    hedge_init(&bank->hedge, FORECASTER_KINDS, horizon < BANK_ROUNDS ? horizon : BANK_ROUNDS);
    hedge_favour(&bank->hedge, FORECASTER_growth, BANK_GROWTH / (BANK_GROWTH + horizon));
    band_init(&bank->band, params->miss_rate > 0 ? params->miss_rate : 1 - quantile);
}

/* --- forecasts -------------------------------------------------------------------------------- */

/* Part of a growth that counts yet: 0 … 1. */
static double
ramp_part(const struct bank *bank)
{
    double full = bank->min_samples;

    return (double)bank->samples < full ? (double)bank->samples / full : 1;
}

/* Growth above the level that is, damped at the start. */
static double
damped(const struct bank *bank, double forecast)
{
    double level = (double)bank->level_bytes;

    return forecast > level ? level + ramp_part(bank) * (forecast - level) : forecast;
}

/* What all say now. */
static void
forecast_all(const struct bank *bank, struct bank_round *round)
{
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        double said = forecaster_predict(&bank->forecaster[i], bank->horizon);

        round->said[i] = said;
        round->corrected[i] = forecast_clamp(said + band_margin(&bank->own[i]));
    }
    round->mean = hedge_mean(&bank->hedge, round->corrected);
    round->upper = round->mean + band_margin(&bank->band);
    round->given_forecast = forecast_clamp(damped(bank, round->mean));
    round->given_upper = forecast_clamp(damped(bank, round->upper));
    round->peak = 0;
    round->age = 0;
}

TIDE_COLD struct bank_forecast
bank_predict(const struct bank *bank)
{
    struct bank_round now;
    struct bank_forecast answer;
    double scored = bank->scored > 0 ? (double)bank->scored : 1;

    forecast_all(bank, &now);
    answer = (struct bank_forecast){
        .level_bytes = bank->level_bytes,
        .forecast_bytes = (uint64_t)(now.given_forecast + 0.5),
        .upper_bytes = (uint64_t)(now.given_upper + 0.5),
        .error_bytes = (uint64_t)(bank->loss_sum / scored),
        .samples = bank->samples,
        .scored = bank->scored,
        .coverage = (double)bank->covered / scored,
        .ready = bank->samples >= bank->min_samples && bank->scored > 0,
    };
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        answer.weight[i] = bank->hedge.weight[i];
    }
    return answer;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void
score(struct bank *bank, const struct bank_round *round)
{
    double loss[FORECASTER_KINDS];
    double peak = round->peak;

    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        double said = round->said[i];

        loss[i] = pinball_loss(bank->quantile, round->corrected[i], peak);
        band_observe(&bank->own[i], peak - said, round->corrected[i] - said);
    }
    hedge_observe(&bank->hedge, loss);
    band_observe(&bank->band, peak - round->mean, round->upper - round->mean);
    bank->loss_sum += pinball_loss(bank->quantile, round->given_forecast, peak);
    bank->covered += peak <= round->given_upper;
    bank->scored++;
}

/* All open rounds see the level; the oldest may be over with it. */
static void
advance_rounds(struct bank *bank, double level)
{
    for (uint32_t i = 0; i < bank->open; i++) {
        struct bank_round *round = &bank->round[(bank->oldest + i) % BANK_ROUNDS];

        round->peak = forecast_max(round->peak, level);
        round->age++;
    }
    if (bank->open > 0 && bank->round[bank->oldest].age == bank->horizon) {
        score(bank, &bank->round[bank->oldest]);
        bank->oldest = (bank->oldest + 1) % BANK_ROUNDS;
        bank->open--;
    }
}

static void
open_round(struct bank *bank)
{
    if (bank->wait > 0) {
        bank->wait--;
        return;
    }
    bank->wait = (bank->horizon - 1) / BANK_ROUNDS;
    forecast_all(bank, &bank->round[(bank->oldest + bank->open) % BANK_ROUNDS]);
    bank->open++;
}

TIDE_COLD void
bank_observe(struct bank *bank, uint64_t level_bytes)
{
    double level = forecast_clamp((double)level_bytes);

    bank->level_bytes = (uint64_t)level;
    bank->samples++;
    advance_rounds(bank, level);
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        forecaster_observe(&bank->forecaster[i], level);
    }
    open_round(bank);
}
