/* SPDX-License-Identifier: MIT */
/*
 * forecasts.h - how well forecasters tell the high-water mark of a series' next horizon.
 *
 * Every forecaster of the bank (src/predict) is asked at every sample from FORECASTS_FIRST on whose
 * horizon lies within the series: alone, and with the margin that the bank learns for it; so are
 * their mean by weight and its upper band, and the recent-peak rule over 1 s. A loss is the pinball
 * loss at 0.9, mean over the samples, as a share of the series' highest level: so a large program
 * counts no more than a small one.
 */
#ifndef TIDE_BENCH_FORECASTS_H
#define TIDE_BENCH_FORECASTS_H

#include <stddef.h>
#include <stdint.h>

#include "predict/forecaster.h"

#define FORECASTS_QUANTILE 0.9
#define FORECASTS_FIRST 32u /* samples, and two horizons: the bank's own `ready` */

enum forecasts_column {
    FORECASTS_ALONE, /* FORECASTER_KINDS of them */
    FORECASTS_MARGIN = FORECASTS_ALONE + FORECASTER_KINDS,
    FORECASTS_PEAK = FORECASTS_MARGIN + FORECASTER_KINDS,
    FORECASTS_BANK,
    FORECASTS_UPPER,
    FORECASTS_COLUMNS,
};

struct forecasts_scores {
    uint64_t asked;                     /* how often; 0: the series is too short */
    double loss[FORECASTS_COLUMNS];     /* share of the highest level */
    double coverage[FORECASTS_COLUMNS]; /* share of outcomes not above what was said */
};

/* `levels` are bytes or any other unit, one a millisecond; a sample is the highest of `step_ms`. */
void forecasts_judge(const uint64_t *levels, size_t count, uint32_t step_ms, uint32_t horizon,
                     struct forecasts_scores *scores);
/* "window" and so on; which of the two kinds says the column. */
const char *forecasts_name(enum forecasts_column column);
const char *forecasts_mode(enum forecasts_column column);

#endif
