/* SPDX-License-Identifier: MIT */
/* Which forecaster is meant; see forecaster.h. */
#include "predict/forecaster.h"

#define FORECASTER_FITS(name, text)                                                                \
    TIDE_STATIC_ASSERT(sizeof(struct forecast_##name) <= FORECASTER_BYTES, #name " is too large");
FORECASTERS(FORECASTER_FITS)
#undef FORECASTER_FITS

TIDE_COLD const char *
forecaster_name(enum forecaster_kind kind)
{
#define FORECASTER_NAME(name, text)                                                                \
    case FORECASTER_##name:                                                                        \
        return #name;
    switch (kind) {
        FORECASTERS(FORECASTER_NAME)
    case FORECASTER_KINDS:
        break;
    }
#undef FORECASTER_NAME
    return "none";
}

/*
 * Gain, trend, damping and memory are what textbooks begin with. The bank's loss over the series
 * of test_bank.c changes by 3 % at most with gain 0.3 to 0.7, trend 0.05 to 0.2, damping 0.8 to
 * 0.98 and memory 0.95 to 0.99: weights and margins make up for them.
 */
TIDE_COLD struct forecast_params
forecast_params_usual(uint32_t horizon, double quantile)
{
    return (struct forecast_params){
        .horizon = horizon == 0 ? 1 : horizon,
        .quantile = quantile > 0 && quantile < 1 ? quantile : 0.9,
        .gain = 0.5,
        .trend = 0.1,
        .damping = 0.9,
        .memory = 0.98,
    };
}

TIDE_COLD void
forecaster_init(struct forecaster *f, enum forecaster_kind kind,
                const struct forecast_params *params)
{
#define FORECASTER_INIT(name, text)                                                                \
    case FORECASTER_##name:                                                                        \
        name##_init(&f->name, params);                                                             \
        break;
    *f = (struct forecaster){.kind = kind};
    switch (kind) {
        FORECASTERS(FORECASTER_INIT)
    case FORECASTER_KINDS:
        break;
    }
#undef FORECASTER_INIT
}

TIDE_COLD void
forecaster_observe(struct forecaster *f, double level)
{
#define FORECASTER_OBSERVE(name, text)                                                             \
    case FORECASTER_##name:                                                                        \
        name##_observe(&f->name, level);                                                           \
        break;
    level = forecast_clamp(level);
    switch (f->kind) {
        FORECASTERS(FORECASTER_OBSERVE)
    case FORECASTER_KINDS:
        break;
    }
#undef FORECASTER_OBSERVE
}

TIDE_COLD double
forecaster_predict(const struct forecaster *f, uint32_t horizon)
{
    double forecast = 0;

#define FORECASTER_PREDICT(name, text)                                                             \
    case FORECASTER_##name:                                                                        \
        forecast = name##_predict(&f->name, horizon);                                              \
        break;
    horizon = horizon == 0 ? 1 : horizon;
    switch (f->kind) {
        FORECASTERS(FORECASTER_PREDICT)
    case FORECASTER_KINDS:
        break;
    }
#undef FORECASTER_PREDICT
    return forecast_clamp(forecast);
}
