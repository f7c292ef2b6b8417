/* SPDX-License-Identifier: MIT */
/*
 * A step is forecast from the AR_ORDER steps before it: AR(p) of the differences of the level,
 * fitted by recursive least squares with the weights memory^age. Of differences, because levels
 * wander off and a constant series then needs no coefficient at all.
 *
 * The inverse information matrix is kept as U D U' (Bierman 1977, "Factorization Methods for
 * Discrete Sequential Estimation", chapter V): the plain recursion loses its symmetry and its sign
 * in the end, this one cannot. No direction gets less certain than at the start, or forgetting
 * would let the matrix grow for ever while nothing moves.
 *
 * The path is followed for AR_AHEAD samples at most; no step of it is larger than those seen of
 * late, so that coefficients of a wild series cannot run away. Wrong where steps say nothing about
 * the next: bursts, sudden levels.
 */
#ifndef TIDE_PREDICT_AR_H
#define TIDE_PREDICT_AR_H

#include "predict/forecast.h"

#define AR_ORDER 4
#define AR_AHEAD 32u

struct forecast_ar {
    double memory;
    double level;
    double largest;                          /* step of late, without its sign */
    double start;                            /* of each D */
    double coefficient[AR_ORDER];            /* of the step 1, 2, … samples ago */
    double step[AR_ORDER];                   /* the last one first */
    double d[AR_ORDER];                      /* diagonal D */
    double u[AR_ORDER * (AR_ORDER - 1) / 2]; /* what of U is above its ones, by columns */
    uint32_t samples;                        /* up to when there are enough to fit */
};

void ar_init(struct forecast_ar *f, const struct forecast_params *params);
void ar_observe(struct forecast_ar *f, double level);
double ar_predict(const struct forecast_ar *f, uint32_t horizon);

#endif
