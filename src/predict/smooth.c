/* SPDX-License-Identifier: MIT */
/* Forecasters that smooth; see smooth.h. */
#include "predict/smooth.h"

/* --- ewma ------------------------------------------------------------------------------------- */

TIDE_COLD void
ewma_init(struct forecast_ewma *f, const struct forecast_params *params)
{
    *f = (struct forecast_ewma){.gain = params->gain};
}

TIDE_COLD void
ewma_observe(struct forecast_ewma *f, double level)
{
    if (!f->begun) {
        f->begun = true;
        f->level = level;
        return;
    }
    f->level += f->gain * (level - f->level);
}

TIDE_COLD double
ewma_predict(const struct forecast_ewma *f, uint32_t horizon)
{
    (void)horizon;
    return f->level;
}

/* --- holt ------------------------------------------------------------------------------------- */

/* base^n by squaring: log2(n) steps. */
static double
power(double base, uint32_t n)
{
    double result = 1;

    for (; n > 0; n >>= 1) {
        if (n & 1) {
            result *= base;
        }
        base *= base;
    }
    return result;
}

TIDE_COLD void
holt_init(struct forecast_holt *f, const struct forecast_params *params)
{
    *f = (struct forecast_holt){
        .gain = params->gain, .trend_gain = params->trend, .damping = params->damping};
}

TIDE_COLD void
holt_observe(struct forecast_holt *f, double level)
{
    double trend = f->damping * f->trend;
    double error = level - f->level - trend;

    if (!f->begun) {
        f->begun = true;
        f->level = level;
        return;
    }
    f->level += trend + f->gain * error;
    f->trend = trend + f->trend_gain * error;
}

TIDE_COLD double
holt_path(const struct forecast_holt *f, uint32_t ahead)
{
    double damping = f->damping;
    double steps = damping < 1 ? damping * (1 - power(damping, ahead)) / (1 - damping) : ahead;

    return f->level + steps * f->trend;
}

TIDE_COLD double
holt_predict(const struct forecast_holt *f, uint32_t horizon)
{
    /* The path only rises or only falls. */
    return forecast_max(holt_path(f, 1), holt_path(f, horizon));
}

/* --- theta ------------------------------------------------------------------------------------ */

TIDE_COLD void
theta_init(struct forecast_theta *f, const struct forecast_params *params)
{
    *f = (struct forecast_theta){.memory = params->memory, .forgotten = 1};
    ewma_init(&f->level, params);
}

TIDE_COLD void
theta_observe(struct forecast_theta *f, double level)
{
    double memory = f->memory;
    double x;

    if (!f->level.begun) {
        f->origin = level;
    }
    ewma_observe(&f->level, level);
    f->forgotten *= 1 - f->level.gain;
    x = level - f->origin;
    /* All that was becomes one sample older: (age + 1)^2 = age^2 + 2 age + 1. */
    f->sum_age2 = memory * (f->sum_age2 + 2 * f->sum_age + f->sum_1);
    f->sum_age = memory * (f->sum_age + f->sum_1);
    f->sum_age_x = memory * (f->sum_age_x + f->sum_x);
    f->sum_1 = memory * f->sum_1 + 1;
    f->sum_x = memory * f->sum_x + x;
}

/* The slope of the line, upwards with time, so against the age. */
static double
theta_slope(const struct forecast_theta *f)
{
    double spread = f->sum_1 * f->sum_age2 - f->sum_age * f->sum_age;
    double with_age = f->sum_1 * f->sum_age_x - f->sum_age * f->sum_x;

    return spread > 0 ? -with_age / spread : 0;
}

TIDE_COLD double
theta_path(const struct forecast_theta *f, uint32_t ahead)
{
    /* By how many samples the smoothed level lags behind the line. */
    double lag = f->level.gain > 0 ? (1 - f->forgotten) / f->level.gain : 0;

    return f->level.level + theta_slope(f) / 2 * (lag + ahead - 1);
}

TIDE_COLD double
theta_predict(const struct forecast_theta *f, uint32_t horizon)
{
    return forecast_max(theta_path(f, 1), theta_path(f, horizon));
}
