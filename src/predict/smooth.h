/* SPDX-License-Identifier: MIT */
/*
 * Forecasters that smooth: the level alone (ewma), level and damped trend (holt), level and half
 * the drift (theta). In each, e is the sample less what was forecast for it one sample before.
 *
 * ewma   l += gain e; flat. Simple exponential smoothing (Brown 1959). Lags every ramp.
 * holt   l, b = l + damping b + gain e, damping b + trend e; after h samples l + (damping + … +
 *        damping^h) b. Holt (1957) with the damped trend of Gardner and McKenzie (1985), in the
 *        error-correction form of Hyndman et al., "Forecasting with Exponential Smoothing" (2008),
 *        where `trend` is the product of the two classic gains. Overshoots where a ramp ends.
 * theta  simple exponential smoothing plus half the slope of the straight line through the past;
 *        the theta method (Assimakopoulos and Nikolopoulos 2000) as Hyndman and Billah (2003)
 *        showed it to be. The line is fitted with weights memory^age, so it forgets.
 *
 * The first sample is the first level, and the first trend is 0: a start is no ramp yet.
 */
#ifndef TIDE_PREDICT_SMOOTH_H
#define TIDE_PREDICT_SMOOTH_H

#include "predict/forecast.h"

struct forecast_ewma {
    double gain;
    double level;
    bool begun;
};

struct forecast_holt {
    double gain;
    double trend_gain;
    double damping;
    double level;
    double trend;
    bool begun;
};

/* Sums over the past of weight^age times what the name says. */
struct forecast_theta {
    double memory;
    double origin; /* the first sample; the sums are of x - origin, which loses fewer digits */
    double sum_1;
    double sum_age;
    double sum_age2;
    double sum_x;
    double sum_age_x;
    double forgotten; /* (1 - gain)^samples: what the first level still counts */
    struct forecast_ewma level;
};

void ewma_init(struct forecast_ewma *f, const struct forecast_params *params);
void ewma_observe(struct forecast_ewma *f, double level);
double ewma_predict(const struct forecast_ewma *f, uint32_t horizon);

void holt_init(struct forecast_holt *f, const struct forecast_params *params);
void holt_observe(struct forecast_holt *f, double level);
/* The level `ahead` samples from now, which may be below 0. */
double holt_path(const struct forecast_holt *f, uint32_t ahead);
double holt_predict(const struct forecast_holt *f, uint32_t horizon);

void theta_init(struct forecast_theta *f, const struct forecast_params *params);
void theta_observe(struct forecast_theta *f, double level);
/* The level `ahead` samples from now, which may be below 0. */
double theta_path(const struct forecast_theta *f, uint32_t ahead);
double theta_predict(const struct forecast_theta *f, uint32_t horizon);

#endif
