/* SPDX-License-Identifier: MIT */
/*
 * Synthetic series of levels for the tests of predict: what programs do to their memory, in small.
 * All have levels of some 100 MiB, so that losses can be compared; seeded, the same everywhere.
 */
#ifndef TIDE_TESTS_UNIT_PREDICT_SERIES_H
#define TIDE_TESTS_UNIT_PREDICT_SERIES_H

#include "../unit.h"

#define SERIES_LENGTH 2000
#define SERIES_MIB 0x1p20
/* Seeds from this one on are of series with other periods, by which no constant was chosen. */
#define SERIES_UNSEEN 1000

/* name, what it is like */
#define SERIES(X)                                                                                  \
    X(flat, "a server at rest")                                                                    \
    X(noise, "a level with noise")                                                                 \
    X(ramp, "growth for ever")                                                                     \
    X(start, "a ramp that ends")                                                                   \
    X(steps, "levels held for a while")                                                            \
    X(wave, "smooth waves")                                                                        \
    X(square, "full and empty in turn")                                                            \
    X(sawtooth, "grow and drop, with noise")                                                       \
    X(bursts, "rare short peaks, at random")                                                       \
    X(walk, "a random walk")                                                                       \
    X(phases, "all of these in turn")

#define SERIES_KIND(name, text) SERIES_##name,
enum series_kind { SERIES(SERIES_KIND) SERIES_KINDS };
#undef SERIES_KIND

static TIDE_UNUSED const char *const series_name[] = {
#define SERIES_NAME(name, text) #name,
    SERIES(SERIES_NAME)
#undef SERIES_NAME
};

/* |a - b| <= tolerance * |b|. */
#define require_near(a, b, tolerance)                                                              \
    do {                                                                                           \
        double near_a = (a);                                                                       \
        double near_b = (b);                                                                       \
        double near_by = near_a < near_b ? near_b - near_a : near_a - near_b;                      \
        if (!(near_by <= (tolerance) * (near_b < 0 ? -near_b : near_b))) {                         \
            dprintf(STDERR_FILENO, "%.17g and %.17g: ", near_a, near_b);                           \
            unit_fail(__FILE__, __LINE__, #a " near " #b, 0, 0, false);                            \
        }                                                                                          \
    } while (0)

/* 0 … 1 */
static TIDE_UNUSED double
series_uniform(struct unit_random *r)
{
    return (double)(unit_next(r) >> 11) * 0x1p-53;
}

/* In samples. */
struct series_periods {
    unsigned wave;
    unsigned square;
    unsigned sawtooth;
    unsigned rare; /* mean distance of bursts and of steps */
    unsigned phase;
};

struct series {
    struct unit_random random;
    struct series_periods of;
    double walk;
    double step;
    unsigned left; /* samples of the burst, or of the step */
};

static TIDE_UNUSED struct series
series_begin(uint64_t seed)
{
    struct series_periods seen = {25, 14, 16, 40, 250};
    struct series_periods unseen = {33, 23, 21, 70, 170};

    return (struct series){
        .random = {seed}, .of = seed < SERIES_UNSEEN ? seen : unseen, .walk = 100, .step = 100};
}

/* 0 … 1 … 0, a parabola for each half wave. */
static TIDE_UNUSED double
series_wave(unsigned at, unsigned period)
{
    double x = (double)(at % period) / period * 2;

    return x < 1 ? 0.5 + 2 * x * (1 - x) : 0.5 - 2 * (x - 1) * (2 - x);
}

/* The level at sample `at`, in MiB; to be asked for in turn. */
static TIDE_UNUSED double
series_next(struct series *s, enum series_kind kind, unsigned at)
{
    double noise = series_uniform(&s->random);
    bool now = unit_below(&s->random, s->of.rare) == 0;

    switch (kind) {
    case SERIES_flat:
        return 100;
    case SERIES_noise:
        return 100 + 20 * noise;
    case SERIES_ramp:
        return 20 + 0.5 * at + noise;
    case SERIES_start:
        return at < 200 ? 20 + 0.5 * at : 120 + noise;
    case SERIES_steps:
        if (now) {
            s->step = 50 + 100 * noise;
        }
        return s->step;
    case SERIES_wave:
        return 60 + 80 * series_wave(at, s->of.wave) + 2 * noise;
    case SERIES_square:
        return at % s->of.square < 5 ? 140 : 60;
    case SERIES_sawtooth:
        return 60 + 80.0 * (at % s->of.sawtooth) / s->of.sawtooth + 4 * noise;
    case SERIES_bursts:
        s->left = now ? 4 : s->left - (s->left > 0);
        return s->left > 0 ? 120 + 40 * noise : 60;
    case SERIES_walk:
        s->walk += 8 * (noise - 0.5);
        s->walk = s->walk < 20 ? 20 : s->walk;
        return s->walk;
    case SERIES_phases:
        return series_next(s, (enum series_kind)(at / s->of.phase % SERIES_phases),
                           at % s->of.phase);
    case SERIES_KINDS:
        break;
    }
    return 0;
}

static TIDE_UNUSED void
series_fill(double level[], unsigned n, enum series_kind kind, uint64_t seed)
{
    struct series s = series_begin(seed);

    for (unsigned i = 0; i < n; i++) {
        level[i] = series_next(&s, kind, i) * SERIES_MIB;
    }
}

/* The highest of the `horizon` levels after `at`. */
static TIDE_UNUSED double
series_peak(const double level[], unsigned at, unsigned horizon)
{
    double peak = 0;

    for (unsigned i = at + 1; i <= at + horizon; i++) {
        peak = level[i] > peak ? level[i] : peak;
    }
    return peak;
}

#endif
