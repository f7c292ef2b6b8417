/* SPDX-License-Identifier: MIT */
/* See shadow.h. */
#include "predict/shadow.h"

TIDE_COLD void
shadow_init(struct shadow *s, uint32_t horizon)
{
    struct bank_params params = {.horizon = horizon, .miss_rate = SHADOW_MISS_RATE};

    *s = (struct shadow){.horizon = horizon};
    bank_init(&s->bank, &params);
    band_init(&s->below, SHADOW_MISS_RATE);
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- the models ------------------------------------------------------------------------------ */

static void
take(const struct shadow *s, struct shadow_model *m, uint64_t bytes)
{
    m->taken += bytes;
    m->held += bytes;
    for (uint32_t i = 0; i < SHADOW_SLOTS && bytes > 0; i++) {
        uint64_t *slot = &m->slots[(s->slot + SHADOW_SLOTS - i) % SHADOW_SLOTS];
        uint64_t part = *slot < bytes ? *slot : bytes;

        *slot -= part;
        m->regretted += part;
        bytes -= part;
    }
}

static void
give_back(const struct shadow *s, struct shadow_model *m, uint64_t bytes)
{
    m->returned += bytes;
    m->held -= bytes;
    m->slots[s->slot] += bytes;
}

static void
step(const struct shadow *s, struct shadow_model *m, const struct shadow_sample *sample,
     uint64_t level)
{
    uint64_t target = larger(level, sample->used_bytes + sample->spare_bytes);

    if (sample->peak_bytes > m->held) {
        take(s, m, sample->peak_bytes - m->held);
    }
    if (m->held > target) {
        give_back(s, m, m->held - target);
    }
    m->kept_sum += m->held - (m->held < sample->used_bytes ? m->held : sample->used_bytes);
}

static void
next_slot(struct shadow *s)
{
    if (++s->slot_age * SHADOW_SLOTS >= s->horizon) {
        s->slot_age = 0;
        s->slot = (s->slot + 1) % SHADOW_SLOTS;
        s->by_forecast.slots[s->slot] = 0;
        s->by_rule.slots[s->slot] = 0;
    }
}

static void
run_models(struct shadow *s, const struct shadow_sample *sample, uint64_t forecast)
{
    if (s->model_samples == 0) {
        s->by_forecast.held = s->by_rule.held = sample->used_bytes + sample->free_bytes;
    }
    next_slot(s);
    step(s, &s->by_forecast, sample, forecast);
    step(s, &s->by_rule, sample, sample->rule_bytes);
    s->model_samples++;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void
score(struct shadow *s, const struct shadow_round *round)
{
    s->loss_sum += pinball_loss(s->bank.quantile, round->forecast, round->peak);
    s->rule_loss_sum += pinball_loss(s->bank.quantile, round->rule, round->peak);
    s->rule_covered += round->peak <= round->rule;
    s->covered += round->peak <= round->upper;
    s->within += round->peak >= round->lower && round->peak <= round->upper;
    s->scored++;
    band_observe(&s->below, round->forecast - round->peak, round->forecast - round->lower);
}

static void
advance_rounds(struct shadow *s, double peak)
{
    for (uint32_t i = 0; i < s->open; i++) {
        struct shadow_round *round = &s->round[(s->oldest + i) % BANK_ROUNDS];

        round->peak = forecast_max(round->peak, peak);
        round->age++;
    }
    if (s->open > 0 && s->round[s->oldest].age == s->horizon) {
        score(s, &s->round[s->oldest]);
        s->oldest = (s->oldest + 1) % BANK_ROUNDS;
        s->open--;
    }
}

static double
lower_end(const struct shadow *s, double forecast)
{
    double margin = band_margin(&s->below);

    return margin > 0 ? forecast_clamp(forecast - margin) : forecast;
}

/* Not before the bank may be acted on: until then its forecasts are damped, and neither they nor
 * what the rule said at a start are to be held against them. */
static void
open_round(struct shadow *s, const struct bank_forecast *f, uint64_t rule_bytes)
{
    double forecast = (double)f->forecast_bytes;

    if (s->wait > 0) {
        s->wait--;
        return;
    }
    s->wait = (s->horizon - 1) / BANK_ROUNDS;
    s->round[(s->oldest + s->open) % BANK_ROUNDS] = (struct shadow_round){
        .forecast = forecast,
        .lower = lower_end(s, forecast),
        .upper = forecast_max(forecast, (double)f->upper_bytes),
        .rule = forecast_clamp((double)rule_bytes),
    };
    s->open++;
}

TIDE_COLD void
shadow_observe(struct shadow *s, const struct shadow_sample *sample)
{
    struct bank_forecast f;

    advance_rounds(s, forecast_clamp((double)sample->peak_bytes));
    bank_observe(&s->bank, sample->peak_bytes);
    f = bank_predict(&s->bank);
    if (f.ready) {
        open_round(s, &f, sample->rule_bytes);
        run_models(s, sample, f.forecast_bytes);
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

TIDE_COLD struct shadow_view
shadow_look(const struct shadow *s)
{
    struct shadow_view view = {.forecast = bank_predict(&s->bank), .scored = s->scored};
    double scored = s->scored > 0 ? (double)s->scored : 1;

    view.forecast.upper_bytes = larger(view.forecast.upper_bytes, view.forecast.forecast_bytes);
    view.lower_bytes = (uint64_t)lower_end(s, (double)view.forecast.forecast_bytes);
    view.error_bytes = (uint64_t)(s->loss_sum / scored);
    view.rule_error_bytes = (uint64_t)(s->rule_loss_sum / scored);
    view.coverage = (double)s->covered / scored;
    view.rule_coverage = (double)s->rule_covered / scored;
    view.within = (double)s->within / scored;
    view.model_samples = s->model_samples;
    return view;
}

TIDE_COLD uint64_t
shadow_kept_mean(const struct shadow *s, const struct shadow_model *model)
{
    return s->model_samples == 0 ? 0 : model->kept_sum / s->model_samples;
}
