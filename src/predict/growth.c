/* SPDX-License-Identifier: MIT */
/* A quantile of past growth; see growth.h. */
#include "predict/growth.h"

#include "base/bits.h"

/* Of a horizon's weight, a horizon later: half of it is left after 23. */
#define GROWTH_MEMORY 0.97f
/* Less is no evidence any more, and would end as numbers too small to divide by. */
#define GROWTH_LEAST 1e-6f

TIDE_COLD void
growth_init(struct forecast_growth *f, const struct forecast_params *params)
{
    *f = (struct forecast_growth){.horizon = params->horizon, .quantile = (float)params->quantile};
}

static unsigned
bucket_of(float growth)
{
    unsigned log2 = growth >= 0x1p14f ? log2_floor((uint64_t)growth) : 0;

    if (log2 < GROWTH_FIRST_LOG2) {
        return 0;
    }
    return (unsigned)min_zu(log2 - GROWTH_FIRST_LOG2 + 1, GROWTH_BUCKETS - 1);
}

static void
record(struct forecast_growth *f, float growth)
{
    unsigned bucket = bucket_of(growth);

    for (unsigned i = 0; i < GROWTH_BUCKETS; i++) {
        f->weight[i] *= GROWTH_MEMORY;
        f->sum[i] *= GROWTH_MEMORY;
        if (f->weight[i] < GROWTH_LEAST) {
            f->weight[i] = 0;
            f->sum[i] = 0;
        }
    }
    f->weight[bucket] += 1;
    f->sum[bucket] += growth;
}

TIDE_COLD void
growth_observe(struct forecast_growth *f, double level)
{
    f->level = level;
    if (f->age == 0) {
        f->base = (float)level;
        f->peak = (float)level;
        f->age = 1;
        return;
    }
    f->peak = (float)level > f->peak ? (float)level : f->peak;
    if (f->age++ == f->horizon) {
        record(f, f->peak - f->base);
        f->age = 0; /* the next one starts at the next sample */
    }
}

/* The mean of the bucket that the quantile falls into. */
TIDE_COLD double
growth_predict(const struct forecast_growth *f, uint32_t horizon)
{
    float total = 0;
    float below = 0;
    unsigned i;

    (void)horizon;
    for (i = 0; i < GROWTH_BUCKETS; i++) {
        total += f->weight[i];
    }
    if (!(total > 0)) {
        return f->level;
    }
    for (i = 0; i < GROWTH_BUCKETS - 1; i++) {
        below += f->weight[i];
        if (below >= f->quantile * total) {
            break;
        }
    }
    return f->level + (f->weight[i] > 0 ? (double)(f->sum[i] / f->weight[i]) : 0);
}
