/* SPDX-License-Identifier: MIT */
/*
 * The forecaster bank: for one series of levels, the high-water mark of the next `horizon` samples.
 *
 * All forecasters see every sample. To what each says its own margin is added (band.h), which turns
 * a forecast of the mean into one of the quantile under_cost / (under_cost + over_cost); without,
 * those that only ever forecast too little could not help. A round writes down what they say then,
 * their mean by weight and the upper band. When the horizon has passed, the highest level since is
 * the outcome: the pinball losses at that quantile move the weights (hedge.h), the residuals move
 * the margins. At most BANK_ROUNDS rounds are under way, evenly apart: each sample opens one up to
 * that horizon, longer ones take a sample in horizon / BANK_ROUNDS. That bounds the memory, and
 * rounds that overlap more would say little new.
 *
 * Nothing is to be acted on before `ready`: min_samples, and a horizon after the first. Until then
 * growth that is forecast counts only in part (samples / min_samples): a start looks like a ramp
 * that never ends, and linear extrapolation of it has misfired elsewhere. To damp it for as long
 * again cost 7 to 13 % of the loss on traces of real programs: they do go on growing. What goes on
 * as it did lately begins with the less weight, the further ahead that is (BANK_GROWTH): a
 * hundred samples ahead it is the worst of all, and rounds are few there to find that out.
 *
 * Answers are finite and at most FORECAST_MAX. Equal samples give equal answers. No clock (the
 * caller's samples are the time), no allocation, no lock: the caller synchronises. A bank takes
 * BANK_BYTES_MAX at most, forecasters, rounds and all.
 */
#ifndef TIDE_PREDICT_BANK_H
#define TIDE_PREDICT_BANK_H

#include "predict/band.h"
#include "predict/forecaster.h"
#include "predict/hedge.h"

#define BANK_ROUNDS 8u
#define BANK_BYTES_MAX 4096
#define BANK_GROWTH 8.0 /* samples ahead at which growth that goes on is believed half as much */
#define BANK_SAMPLES_DEFAULT 32u /* before anything is advised; a start shorter than that is lost */

/* 0 anywhere means the default. */
struct bank_params {
    uint32_t horizon;     /* samples; default BANK_ROUNDS */
    uint32_t min_samples; /* default BANK_SAMPLES_DEFAULT; at least two horizons in any case */
    double under_cost;    /* of a byte too few, any unit; default 9 */
    double over_cost;     /* of a byte too many; default 1 */
    double miss_rate;     /* of the band; default over_cost / (under_cost + over_cost) */
};

/* A forecast that waits for its outcome. */
struct bank_round {
    double said[FORECASTER_KINDS];      /* by the forecasters */
    double corrected[FORECASTER_KINDS]; /* with the margins of their own */
    double mean;                        /* of the corrected ones, by weight */
    double upper;
    double given_forecast; /* mean and upper as they were given: damped at the start, which */
    double given_upper;    /* the margins must not learn, or they would undo it */
    double peak;           /* highest level since */
    uint32_t age;
};

struct bank {
    struct forecaster forecaster[FORECASTER_KINDS];
    struct bank_round round[BANK_ROUNDS]; /* a ring */
    struct hedge hedge;
    struct band own[FORECASTER_KINDS];
    struct band band; /* of the mean */
    double quantile;
    double loss_sum; /* of the means, over the rounds that ended */
    uint64_t level_bytes;
    uint64_t samples;
    uint64_t scored;  /* rounds that ended */
    uint64_t covered; /* of them with the outcome not above the upper band */
    uint32_t horizon;
    uint32_t min_samples;
    uint32_t oldest; /* round */
    uint32_t open;   /* rounds */
    uint32_t wait;   /* samples until the next round is opened */
};

struct bank_forecast {
    uint64_t level_bytes;    /* now */
    uint64_t forecast_bytes; /* the high-water mark: the quantile that costs least */
    uint64_t upper_bytes;    /* which it stays below with frequency 1 - miss_rate */
    uint64_t error_bytes;    /* mean pinball loss of forecasts so far */
    uint64_t samples;
    uint64_t scored; /* rounds that error and coverage are of */
    double coverage; /* share of outcomes not above their upper band; 0 when none was scored */
    double weight[FORECASTER_KINDS];
    bool ready; /* may be acted on */
};

void bank_init(struct bank *bank, const struct bank_params *params);
/* The next sample: the highest level since the one before. */
void bank_observe(struct bank *bank, uint64_t level_bytes);
struct bank_forecast bank_predict(const struct bank *bank);

#endif
