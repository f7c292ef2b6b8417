/* SPDX-License-Identifier: MIT */
/* Weights of experts; see hedge.h. */
#include "predict/hedge.h"

#include "base/assert.h"
#include "base/random.h"

#define LOSS_MAX 0x1p200  /* its quotients and sums are numbers */
#define LOSS_MIN 0x1p-200 /* less is none */

TIDE_COLD void
hedge_init(struct hedge *h, uint32_t experts, uint32_t overlap)
{
    tide_assert(experts >= 1 && experts <= HEDGE_EXPERTS_MAX && overlap >= 1);
    *h = (struct hedge){.experts = experts, .rate = HEDGE_RATE * 3 / (2.0 + overlap)};
    for (uint32_t i = 0; i < experts; i++) {
        h->weight[i] = 1.0 / experts;
    }
}

TIDE_COLD void
hedge_favour(struct hedge *h, uint32_t expert, double factor)
{
    double sum = 1 + (factor - 1) * h->weight[expert];

    tide_assert(expert < h->experts && factor > 0);
    h->weight[expert] *= factor;
    for (uint32_t i = 0; i < h->experts; i++) {
        h->weight[i] /= sum;
    }
}

/* exp(-x) for x >= 0, to 1e-12; base/random.h has it the other way round. */
static double
exp_minus(double x)
{
    return 1 - random_one_minus_exp(x);
}

static double
loss_of(double loss)
{
    if (!(loss > 0)) { /* NaN, too */
        return 0;
    }
    return loss < LOSS_MAX ? loss : LOSS_MAX;
}

/* By how much each is worse than the best; the largest of them. */
static double
excess_of(const struct hedge *h, const double loss[], double excess[])
{
    double best = LOSS_MAX;
    double worst = 0;

    for (uint32_t i = 0; i < h->experts; i++) {
        excess[i] = loss_of(loss[i]);
        best = excess[i] < best ? excess[i] : best;
        worst = excess[i] > worst ? excess[i] : worst;
    }
    for (uint32_t i = 0; i < h->experts; i++) {
        excess[i] -= best;
    }
    return worst - best;
}

TIDE_COLD void
hedge_observe(struct hedge *h, const double loss[])
{
    double excess[HEDGE_EXPERTS_MAX];
    double worst = excess_of(h, loss, excess);
    double sum = 0;

    h->scale *= 1 - HEDGE_SCALE_DECAY;
    h->scale = worst > h->scale ? worst : h->scale;
    if (!(h->scale > LOSS_MIN)) { /* all are alike: nothing to learn */
        return;
    }
    for (uint32_t i = 0; i < h->experts; i++) {
        h->weight[i] *= exp_minus(h->rate * (excess[i] / h->scale));
        sum += h->weight[i];
    }
    for (uint32_t i = 0; i < h->experts; i++) {
        h->weight[i] = (1 - HEDGE_SHARE) * h->weight[i] / sum + HEDGE_SHARE / h->experts;
    }
}

TIDE_COLD double
hedge_mean(const struct hedge *h, const double forecast[])
{
    double mean = 0;

    for (uint32_t i = 0; i < h->experts; i++) {
        mean += h->weight[i] * forecast[i];
    }
    return mean;
}

TIDE_COLD double
hedge_floor(const struct hedge *h)
{
    return HEDGE_SHARE / h->experts;
}
