/* SPDX-License-Identifier: MIT */
/*
 * Forecasters that remember levels: the last one (last), the highest of a window (window), what was
 * a period ago (season).
 *
 * window  the recent-peak rule of peak.h, by samples: the highest of the last WINDOW_SLOTS buckets.
 *         It never comes down before the window is over, and never goes above what it has seen.
 * season  levels in buckets of a quarter horizon; for each lag up to SEASON_LAGS buckets a decayed
 *         mean of how far the buckets are from those so long before. The lag with the least is the
 *         period, and the forecast is the highest bucket of one period before those that the
 *         horizon covers: a seasonal-naive forecast whose period is found, not given. The period
 *         can be just under 5 horizons long; a longer one is not seen.
 */
#ifndef TIDE_PREDICT_WINDOW_H
#define TIDE_PREDICT_WINDOW_H

#include "predict/forecast.h"

#define WINDOW_SLOTS 8u
#define SEASON_LAGS 20u

struct forecast_last {
    double level;
};

struct forecast_window {
    double slot[WINDOW_SLOTS];
    uint32_t slot_samples;
    uint32_t in_slot;
    uint32_t at;
};

struct forecast_season {
    float bucket[SEASON_LAGS]; /* a ring; floats: 7 digits of a level are enough to compare */
    float miss[SEASON_LAGS];   /* [k]: how far buckets are from those k + 1 before, on average */
    float open;                /* highest of the bucket that is being filled */
    uint32_t bucket_samples;
    uint32_t in_bucket;
    uint32_t at;     /* of the last full bucket */
    uint32_t filled; /* full buckets, up to SEASON_LAGS */
};

void last_init(struct forecast_last *f, const struct forecast_params *params);
void last_observe(struct forecast_last *f, double level);
double last_predict(const struct forecast_last *f, uint32_t horizon);

void window_init(struct forecast_window *f, const struct forecast_params *params);
void window_observe(struct forecast_window *f, double level);
double window_predict(const struct forecast_window *f, uint32_t horizon);

void season_init(struct forecast_season *f, const struct forecast_params *params);
void season_observe(struct forecast_season *f, double level);
/* The period found so far, in samples; 0: none is better than the bucket before. */
uint32_t season_period(const struct forecast_season *f);
double season_predict(const struct forecast_season *f, uint32_t horizon);

#endif
