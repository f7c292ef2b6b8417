/* SPDX-License-Identifier: MIT */
/*
 * Whom to believe: weights of experts, by what believing each of them would have cost.
 *
 * Hedge (Freund and Schapire 1997): after each round a weight is multiplied by exp(-rate * loss)
 * and all are scaled to a sum of 1. Fixed share (Herbster and Warmuth 1998): each then gives the
 * part HEDGE_SHARE of its weight to all alike, so that the best expert of another time can come
 * back within some ln(1 / share) / rate rounds; without it, weights of 10^-100 would have to be
 * earned back first.
 *
 * Losses may have any unit: what counts is by how much each is worse than the best of its round, as
 * a share of the largest such difference of late. A disaster therefore moves weights by no more
 * than exp(-rate), and quietens the rounds after it until HEDGE_SCALE_DECAY has forgotten it.
 *
 * Rounds that overlap have much of their outcome in common and are no evidence of their own: with
 * so many of them under way at a time the rate is 3 / (2 + overlap) of HEDGE_RATE. At the full rate
 * one surprise was taken for eight, and the weights went to whoever had been lucky.
 *
 * Invariant: weights are at least hedge_floor() and their sum is 1, whatever the losses. Pure; the
 * caller synchronises.
 */
#ifndef TIDE_PREDICT_HEDGE_H
#define TIDE_PREDICT_HEDGE_H

#include "base/compiler.h"

#define HEDGE_EXPERTS_MAX 8u

/* Per largest difference of late, where rounds come one after the other. Higher: the best is found
 * sooner, and mistaken sooner. */
#define HEDGE_RATE 1.0
/* Higher: changes are followed sooner, and the best never gets more than 1 - share. */
#define HEDGE_SHARE 0.004
/* Of the largest difference, per round: it is halved in 70. */
#define HEDGE_SCALE_DECAY 0.01

struct hedge {
    double weight[HEDGE_EXPERTS_MAX];
    double scale; /* largest difference of late between an expert and the best; 0: none was yet */
    double rate;
    uint32_t experts;
};

/* All weights are equal at first. overlap: rounds that are under way at a time, at least 1. */
void hedge_init(struct hedge *h, uint32_t experts, uint32_t overlap);
/* Before the first round: that expert has so much (> 0) of the weight that it would have. */
void hedge_favour(struct hedge *h, uint32_t expert, double factor);
/* One round: what each expert lost. What is no number or below 0 counts as 0. */
void hedge_observe(struct hedge *h, const double loss[]);
/* The mean of what they say, by weight. */
double hedge_mean(const struct hedge *h, const double forecast[]);
/* No weight is ever below this. */
double hedge_floor(const struct hedge *h);

/*
 * The pinball loss of a forecast for a quantile (Koenker and Bassett 1978): what is too little
 * costs quantile per byte, what is too much 1 - quantile. With quantile = c_under / (c_under +
 * c_over) that is the cost of the decision, in units of c_under + c_over.
 */
static inline double
pinball_loss(double quantile, double forecast, double outcome)
{
    return outcome > forecast ? quantile * (outcome - forecast)
                              : (1 - quantile) * (forecast - outcome);
}

#endif
