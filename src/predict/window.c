/* SPDX-License-Identifier: MIT */
/* Forecasters that remember levels; see window.h. */
#include "predict/window.h"

/* Weight of a new difference. Lower: the period is surer, and found and given up later. */
#define SEASON_GAIN 0.15f

/* --- last ------------------------------------------------------------------------------------- */

TIDE_COLD void
last_init(struct forecast_last *f, const struct forecast_params *params)
{
    (void)params;
    f->level = 0;
}

TIDE_COLD void
last_observe(struct forecast_last *f, double level)
{
    f->level = level;
}

TIDE_COLD double
last_predict(const struct forecast_last *f, uint32_t horizon)
{
    (void)horizon;
    return f->level;
}

/* --- window ----------------------------------------------------------------------------------- */

TIDE_COLD void
window_init(struct forecast_window *f, const struct forecast_params *params)
{
    *f = (struct forecast_window){.slot_samples = params->horizon / WINDOW_SLOTS +
                                                  (params->horizon % WINDOW_SLOTS != 0)};
}

TIDE_COLD void
window_observe(struct forecast_window *f, double level)
{
    if (f->in_slot == f->slot_samples) {
        f->at = (f->at + 1) % WINDOW_SLOTS;
        f->slot[f->at] = 0;
        f->in_slot = 0;
    }
    f->in_slot++;
    f->slot[f->at] = forecast_max(f->slot[f->at], level);
}

TIDE_COLD double
window_predict(const struct forecast_window *f, uint32_t horizon)
{
    double highest = 0;

    (void)horizon;
    for (unsigned i = 0; i < WINDOW_SLOTS; i++) {
        highest = forecast_max(highest, f->slot[i]);
    }
    return highest;
}

/* --- season ----------------------------------------------------------------------------------- */

TIDE_COLD void
season_init(struct forecast_season *f, const struct forecast_params *params)
{
    *f = (struct forecast_season){.bucket_samples = (params->horizon - 1) / 4 + 1,
                                  .at = SEASON_LAGS - 1};
}

/* The full bucket so many before the open one, 1 … SEASON_LAGS. */
static float
bucket_back(const struct forecast_season *f, uint32_t back)
{
    return f->bucket[(f->at + 1 + SEASON_LAGS - back) % SEASON_LAGS];
}

static void
close_bucket(struct forecast_season *f)
{
    for (uint32_t lag = 1; lag <= f->filled; lag++) {
        float difference = f->open - bucket_back(f, lag);
        float *miss = &f->miss[lag - 1];

        difference = difference < 0 ? -difference : difference;
        *miss += SEASON_GAIN * (difference - *miss);
    }
    f->at = (f->at + 1) % SEASON_LAGS;
    f->bucket[f->at] = f->open;
    f->filled += f->filled < SEASON_LAGS;
    f->open = 0;
    f->in_bucket = 0;
}

TIDE_COLD void
season_observe(struct forecast_season *f, double level)
{
    f->open = level > (double)f->open ? (float)level : f->open;
    if (++f->in_bucket == f->bucket_samples) {
        close_bucket(f);
    }
}

/* In buckets; of equal ones the shortest. 0: there is no bucket yet. */
static uint32_t
best_lag(const struct forecast_season *f)
{
    uint32_t best = f->filled > 0 ? 1 : 0;

    /* The longest has seen one difference at most: no evidence. */
    for (uint32_t lag = 2; lag < f->filled; lag++) {
        if (f->miss[lag - 1] < f->miss[best - 1]) {
            best = lag;
        }
    }
    return best;
}

TIDE_COLD uint32_t
season_period(const struct forecast_season *f)
{
    uint32_t lag = best_lag(f);

    return lag > 1 ? lag * f->bucket_samples : 0;
}

TIDE_COLD double
season_predict(const struct forecast_season *f, uint32_t horizon)
{
    uint32_t lag = best_lag(f);
    uint32_t samples = horizon < UINT32_MAX / 2 ? horizon : UINT32_MAX / 2;
    /* Counted from the open bucket, which is 0: the last one that the horizon reaches into. */
    uint32_t last = (f->in_bucket + samples - 1) / f->bucket_samples;
    float highest = 0;

    if (lag == 0) {
        return f->open;
    }
    for (uint32_t ahead = 0; ahead <= last && ahead < lag; ahead++) {
        float level = bucket_back(f, lag - ahead);

        highest = level > highest ? level : highest;
    }
    return highest;
}
