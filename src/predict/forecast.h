/* SPDX-License-Identifier: MIT */
/* What every forecaster is given, and the numbers it may answer. Pure. */
#ifndef TIDE_PREDICT_FORECAST_H
#define TIDE_PREDICT_FORECAST_H

#include "base/compiler.h"

/* Above every address space there is, and far enough below 2^64 for sums to be exact enough. */
#define FORECAST_MAX 0x1p60

/* Those a forecaster has no use for, it does not read. */
struct forecast_params {
    uint32_t horizon; /* samples; windows and buckets are shares of it */
    double quantile;  /* of growth: higher keeps more */
    double gain;      /* of a level, 0 … 1: higher follows faster, and noise with it */
    double trend;     /* gain of a trend, 0 … gain: higher believes a ramp sooner */
    double damping;   /* of a trend per sample, 0 … 1; 1: the ramp goes on for ever */
    double memory;    /* what a sample still weighs a sample later, 0 … 1, where that is needed */
};

/* The number itself where it is one that may be fed or answered. */
static inline double
forecast_clamp(double x)
{
    if (!(x > 0)) { /* NaN, too */
        return 0;
    }
    return x < FORECAST_MAX ? x : FORECAST_MAX;
}

static inline double
forecast_max(double a, double b)
{
    return a > b ? a : b;
}

#endif
