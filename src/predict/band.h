/* SPDX-License-Identifier: MIT */
/*
 * How much to add to a forecast so that the outcome stays below with the wanted frequency: an upper
 * band that holds in the long run whatever the series does and however bad the forecast is.
 *
 * Tracked is one quantile of the residuals, outcome - forecast (quantile tracking: Angelopoulos,
 * Candès and Tibshirani 2023, "Conformal PID control for time series prediction"): the margin goes
 * up by step * (1 - wanted) where a residual is above it, else down by step * wanted. Where
 * residuals stay within ±B, the number of those above is off by no more than (B + step) / step.
 *
 * That is about the margin that is, but outcomes come a horizon late, many for the same margins:
 * with these alone, what had been promised was kept in 84 to 94 % instead of 90 (README). So the
 * quantile that is tracked is itself corrected by whether the margin that was given held: wanted +=
 * gain * (miss_rate - missed), adaptive conformal inference (Gibbs and Candès 2021). It stays
 * within 0 and twice the miss rate: a series at rest never misses, and would wind it up.
 *
 * The step is a share of a decayed mean of the residuals' sizes: a margin has no unit of its own.
 * The margin of forecasts that are always too high is negative. Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_BAND_H
#define TIDE_PREDICT_BAND_H

#include "base/compiler.h"

/* Of the mean residual, per round. Higher: changes are followed sooner, and the band is rougher. */
#define BAND_STEP 0.2
/* Of the mean residual's size, per round: half is forgotten in 70. Higher: a step grows with each
 * burst, and with it what the band is too wide by afterwards. */
#define BAND_SCALE_GAIN 0.01
/* Of the quantile tracked, per round. 0: coverage is off where rounds overlap; 0.01: it oscillates,
 * at up to twice the pinball loss of the upper end. */
#define BAND_RATE_GAIN 0.002

struct band {
    double miss_rate;
    double wanted; /* miss rate of the quantile that is tracked */
    double margin;
    double scale; /* decayed mean of the residuals without their sign */
    uint64_t rounds;
    uint64_t misses;
};

/* miss_rate: how often the outcome may be above, within (0, 1). */
void band_init(struct band *b, double miss_rate);
/* The residual, and the margin that was given at its time; what is no number is left out. */
void band_observe(struct band *b, double residual, double given);
/* What to add to a forecast; may be negative. */
double band_margin(const struct band *b);
/* The share of residuals that were not above the margin given; the target before any. */
double band_coverage(const struct band *b);

#endif
