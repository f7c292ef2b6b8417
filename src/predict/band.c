/* SPDX-License-Identifier: MIT */
/* An upper band; see band.h. */
#include "predict/band.h"

#define RESIDUAL_MAX 0x1p64 /* larger than any difference of forecasts */

TIDE_COLD void
band_init(struct band *b, double miss_rate)
{
    miss_rate = miss_rate > 0 && miss_rate < 1 ? miss_rate : 0.1;
    *b = (struct band){.miss_rate = miss_rate, .wanted = miss_rate};
}

TIDE_COLD void
band_observe(struct band *b, double residual, double given)
{
    double size = residual < 0 ? -residual : residual;
    bool missed;

    if (!(size <= RESIDUAL_MAX)) { /* NaN, too */
        return;
    }
    b->scale = b->rounds == 0 ? size : b->scale + BAND_SCALE_GAIN * (size - b->scale);
    b->rounds++;
    missed = residual > given;
    b->misses += missed;
    b->wanted += BAND_RATE_GAIN * (b->miss_rate - (missed ? 1 : 0));
    b->wanted = b->wanted > 0 ? b->wanted : 0;
    b->wanted = b->wanted < 2 * b->miss_rate ? b->wanted : 2 * b->miss_rate;
    b->margin += BAND_STEP * b->scale * ((residual > b->margin ? 1 : 0) - b->wanted);
}

TIDE_COLD double
band_margin(const struct band *b)
{
    return b->margin;
}

TIDE_COLD double
band_coverage(const struct band *b)
{
    return b->rounds == 0 ? 1 - b->miss_rate : 1 - (double)b->misses / (double)b->rounds;
}
