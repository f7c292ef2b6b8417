/* SPDX-License-Identifier: MIT */
/*
 * A forecast that nothing acts on, beside the rule that acts (peak.h): what each said the
 * high-water mark of the next horizon would be, how wrong that was, and what keeping free memory by
 * it would have come to.
 *
 * Forecast: the bank's, with the upper end of its band, and a lower end of the same kind below it:
 * outcomes are within with frequency 1 - 2 * SHADOW_MISS_RATE. The rule's word is its level, the
 * highest within its window. Both are scored a horizon later by the same rounds: pinball loss at
 * the bank's quantile, and how often the outcome was not above.
 *
 * Counterfactual, once the bank may be acted on: two models of one process, of which one keeps
 * pages up to the forecast and the other up to the rule's level, or `spare_bytes` above what is
 * used if that is more. In a sample what rises above the pages held is taken (page faults), and
 * afterwards what is held above the level goes back. Of what is taken, as much as went back within
 * the horizon before is regretted, the latest first: a level that rises again passes it first.
 * These are models of both; what the rule really did is in the keeper's counters, and differs by
 * its quota, its windows between two samples, and what cannot be given back.
 *
 * Time is samples. Pure; the caller synchronises. Cost: the bank's, and some 50 ns a sample.
 */
#ifndef TIDE_PREDICT_SHADOW_H
#define TIDE_PREDICT_SHADOW_H

#include "predict/bank.h"

#define SHADOW_MISS_RATE 0.05 /* at each end of the band */
#define SHADOW_SLOTS 8u       /* of a horizon, in which what went back is remembered */

struct shadow_sample {
    uint64_t peak_bytes;  /* highest use since the sample before */
    uint64_t used_bytes;  /* now */
    uint64_t free_bytes;  /* and free with pages */
    uint64_t rule_bytes;  /* the acting rule's level */
    uint64_t spare_bytes; /* free memory that is kept in any case */
};

/* What keeping by a level comes to; bytes. */
struct shadow_model {
    uint64_t held;                /* with pages, used or not */
    uint64_t kept_sum;            /* of what was held and not used, over the samples */
    uint64_t returned;            /* given back */
    uint64_t taken;               /* came with page faults */
    uint64_t regretted;           /* of these, what had been given back within a horizon */
    uint64_t slots[SHADOW_SLOTS]; /* given back of late, and not taken again */
};

/* What was said, until the horizon has passed. */
struct shadow_round {
    double forecast, lower, upper;
    double rule;
    double peak; /* highest since */
    uint32_t age;
};

struct shadow {
    struct bank bank;
    struct band below; /* of the forecast: how far the outcome stays below */
    struct shadow_round round[BANK_ROUNDS];
    struct shadow_model by_forecast, by_rule;
    double loss_sum;
    double rule_loss_sum;
    uint64_t scored;       /* rounds that are over */
    uint64_t covered;      /* of them not above the band */
    uint64_t within;       /* of them within it */
    uint64_t rule_covered; /* of them not above the rule's level */
    uint64_t model_samples;
    uint32_t horizon; /* samples */
    uint32_t oldest;  /* round; as the next three as in the bank */
    uint32_t open;
    uint32_t wait;
    uint32_t slot; /* of the models */
    uint32_t slot_age;
};

struct shadow_view {
    struct bank_forecast forecast;
    uint64_t lower_bytes;      /* lower end of the band */
    uint64_t scored;           /* rounds that the following are of */
    uint64_t error_bytes;      /* mean pinball loss of the forecast */
    uint64_t rule_error_bytes; /* and of the rule's level */
    double coverage;           /* share of outcomes not above the band */
    double within;             /* share of outcomes within it */
    double rule_coverage;      /* share of outcomes not above the rule's level */
    uint64_t model_samples;    /* that the models have run for */
};

/* horizon: samples, at least 1. */
void shadow_init(struct shadow *s, uint32_t horizon);
void shadow_observe(struct shadow *s, const struct shadow_sample *sample);
struct shadow_view shadow_look(const struct shadow *s);
/* The mean of what a model kept beyond use, bytes. */
uint64_t shadow_kept_mean(const struct shadow *s, const struct shadow_model *model);

#endif
