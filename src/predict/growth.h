/* SPDX-License-Identifier: MIT */
/*
 * The level plus a quantile of what was grown by within past horizons: a decayed histogram with
 * buckets by powers of two (the idea of the Kubernetes vertical autoscaler's recommender, which
 * keeps one of levels; growth forgets old levels by itself). Next to its weight each bucket has the
 * sum of what fell into it, so that a growth that is always the same is forecast to the byte.
 *
 * Horizons are measured one after the other, one sample apart, so that their starts move through
 * the phases of a wave. Falls count as growth 0: it never forecasts less than there is. It is made
 * for one horizon and answers the same for every other. Wrong where growth depends on the phase: on
 * the top of a wave it adds what only the valley is followed by.
 */
#ifndef TIDE_PREDICT_GROWTH_H
#define TIDE_PREDICT_GROWTH_H

#include "predict/forecast.h"

#define GROWTH_BUCKETS 20u
#define GROWTH_FIRST_LOG2 14u /* bucket 0 is below 16 KiB; the last one is 4 GiB and more */

struct forecast_growth {
    float weight[GROWTH_BUCKETS];
    float sum[GROWTH_BUCKETS];
    double level;
    float base; /* level at the start of the horizon being measured */
    float peak; /* and the highest since */
    float quantile;
    uint32_t horizon;
    uint32_t age; /* samples of it; 0: none is being measured */
};

void growth_init(struct forecast_growth *f, const struct forecast_params *params);
void growth_observe(struct forecast_growth *f, double level);
double growth_predict(const struct forecast_growth *f, uint32_t horizon);

#endif
