/* SPDX-License-Identifier: MIT */
/* AR of the steps by recursive least squares; see ar.h. */
#include "predict/ar.h"

/* How uncertain the coefficients are at first, in units of the first step: so large that what is
 * fitted is least squares to 6 digits after a few samples like it. */
#define START_VARIANCE 1e6
/* Of the largest step, per sample: it is halved in 90. */
#define LARGEST_DECAY (1.0 / 128)

TIDE_COLD void
ar_init(struct forecast_ar *f, const struct forecast_params *params)
{
    *f = (struct forecast_ar){.memory = params->memory};
}

/* The step that follows those. */
static double
next_step(const struct forecast_ar *f, const double step[AR_ORDER])
{
    double next = 0;

    for (unsigned i = 0; i < AR_ORDER; i++) {
        next += f->coefficient[i] * step[i];
    }
    return next;
}

static void
begin(struct forecast_ar *f, double first)
{
    f->start = START_VARIANCE / (first * first);
    for (unsigned i = 0; i < AR_ORDER; i++) {
        f->d[i] = f->start;
    }
}

/* Bierman's update: `step` are the regressors, `error` is what they left unexplained. */
static void
learn(struct forecast_ar *f, double error)
{
    double gain[AR_ORDER];
    double variance = f->memory; /* of the error so far, in units of its own noise */
    double *column = f->u;

    for (unsigned j = 0; j < AR_ORDER; column += j++) {
        double projected = f->step[j]; /* U' step */
        double weighted;               /* D U' step */
        double before = variance;

        for (unsigned i = 0; i < j; i++) {
            projected += column[i] * f->step[i];
        }
        weighted = f->d[j] * projected;
        variance += weighted * projected;
        f->d[j] *= before / (variance * f->memory);
        if (f->d[j] > f->start) {
            f->d[j] = f->start;
        }
        gain[j] = weighted;
        for (unsigned i = 0; i < j; i++) {
            double old = column[i];

            column[i] = old - gain[i] * projected / before;
            gain[i] += old * weighted;
        }
    }
    for (unsigned i = 0; i < AR_ORDER; i++) {
        f->coefficient[i] += gain[i] * error / variance;
    }
}

TIDE_COLD void
ar_observe(struct forecast_ar *f, double level)
{
    double step = level - f->level;
    double size = step < 0 ? -step : step;

    f->level = level;
    if (f->samples == 0) {
        f->samples = 1;
        return;
    }
    if (f->start == 0 && size >= 1) { /* smaller: no bytes, and their square may not be a number */
        begin(f, size);
    }
    if (f->samples > AR_ORDER && f->start > 0) {
        learn(f, step - next_step(f, f->step));
    } else {
        f->samples++;
    }
    for (unsigned i = AR_ORDER - 1; i > 0; i--) {
        f->step[i] = f->step[i - 1];
    }
    f->step[0] = step;
    f->largest = forecast_max(size, f->largest * (1 - LARGEST_DECAY));
}

TIDE_COLD double
ar_predict(const struct forecast_ar *f, uint32_t horizon)
{
    double step[AR_ORDER];
    double level = f->level;
    double highest = 0;

    for (unsigned i = 0; i < AR_ORDER; i++) {
        step[i] = f->step[i];
    }
    for (uint32_t ahead = 0; ahead < horizon && ahead < AR_AHEAD; ahead++) {
        double next = next_step(f, step);

        next = next < f->largest ? next : f->largest;
        next = next > -f->largest ? next : -f->largest;
        for (unsigned i = AR_ORDER - 1; i > 0; i--) {
            step[i] = step[i - 1];
        }
        step[0] = next;
        level += next;
        highest = forecast_max(highest, level);
    }
    return highest;
}
