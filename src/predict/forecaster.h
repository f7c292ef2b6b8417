/* SPDX-License-Identifier: MIT */
/*
 * The single forecasters and what they have in common.
 *
 * Each is fed one level per sample (bytes; the highest since the sample before) and answers how
 * high the series will come within the next `horizon` samples: the high-water mark, not the mean.
 * Those that forecast a path answer its highest point. What they know of nothing: time (a sample is
 * a sample), each other, and how well they do; the bank scores them.
 *
 * Whatever is fed, a forecast is finite, at least 0 and at most FORECAST_MAX: what is no number or
 * below 0 counts as 0, what is above as FORECAST_MAX. Equal samples give equal forecasts. O(1) per
 * sample and at most FORECASTER_BYTES a state; no clock, no allocation, and no libm, since the
 * library depends on libc alone. The caller synchronises.
 *
 * A forecaster is a line of FORECASTERS and three functions, NAME_init, NAME_observe and
 * NAME_predict. They are called by a switch: a table of functions would have to be relocated in
 * every process.
 */
#ifndef TIDE_PREDICT_FORECASTER_H
#define TIDE_PREDICT_FORECASTER_H

#include "predict/ar.h"
#include "predict/growth.h"
#include "predict/smooth.h"
#include "predict/window.h"

/* name, what it takes the future for */
#define FORECASTERS(X)                                                                             \
    X(last, "what is")                                                                             \
    X(window, "the highest of a window")                                                           \
    X(ewma, "the smoothed level")                                                                  \
    X(holt, "level and damped trend")                                                              \
    X(theta, "level and half the drift")                                                           \
    X(ar, "the last steps, regressed")                                                             \
    X(season, "what was a period ago")                                                             \
    X(growth, "a quantile of past growth")

#define FORECASTER_KIND(name, text) FORECASTER_##name,
enum forecaster_kind { FORECASTERS(FORECASTER_KIND) FORECASTER_KINDS };
#undef FORECASTER_KIND

#define FORECASTER_BYTES 200 /* the most that a state may take */

struct forecaster {
#define FORECASTER_STATE(name, text) struct forecast_##name name;
    union {
        FORECASTERS(FORECASTER_STATE)
    };
#undef FORECASTER_STATE
    enum forecaster_kind kind;
};

/* Which kind is meant, for people. */
const char *forecaster_name(enum forecaster_kind kind);

/* Parameters for a horizon of so many samples and a quantile within (0, 1); the rest is usual. */
struct forecast_params forecast_params_usual(uint32_t horizon, double quantile);

void forecaster_init(struct forecaster *f, enum forecaster_kind kind,
                     const struct forecast_params *params);
void forecaster_observe(struct forecaster *f, double level);
/* The high-water mark of the next `horizon` samples, at least one; 0 before the first sample. */
double forecaster_predict(const struct forecaster *f, uint32_t horizon);

#endif
