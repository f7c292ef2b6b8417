/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for sampling: fast, seeded, the same on every machine, not for secrets. Pure; the
 * state is the caller's. No libm: the preloaded library depends on libc alone.
 */
#ifndef TIDE_BASE_RANDOM_H
#define TIDE_BASE_RANDOM_H

#include <string.h>

#include "base/compiler.h"

/* splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
 * doi:10.1145/2660193.2660195): any state will do, equal ones give equal sequences. */
static inline uint64_t
random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ln(x) for a normal x > 0, to 1e-12: x = m * 2^e with m within a factor sqrt(2) of 1, and
 * ln(m) = 2 artanh((m - 1) / (m + 1)), whose series ends where it adds nothing any more. */
static inline double
random_ln(double x)
{
    uint64_t bits;
    int exponent;
    double m;
    double t;
    double square;
    double sum = 0;

    memcpy(&bits, &x, sizeof bits);
    exponent = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309505) {
        m /= 2;
        exponent++;
    }
    t = (m - 1) / (m + 1);
    square = t * t;
    for (int k = 15; k >= 1; k -= 2) {
        sum = sum * square + 1.0 / k;
    }
    return 2 * t * sum + exponent * 0.693147180559945309;
}

/* 1 - exp(-x) for x >= 0, to 1e-12 of itself: the series where it converges fast, else halved and
 * squared (1 - exp(-2y) = (1 - exp(-y)) (1 + exp(-y))). */
static inline double
random_one_minus_exp(double x)
{
    double term = 1;
    double sum = 0;
    unsigned halved = 0;

    if (x > 40) {
        return 1;
    }
    while (x > 0.5) {
        x /= 2;
        halved++;
    }
    for (int k = 1; k <= 12; k++) {
        term *= -x / k;
        sum -= term;
    }
    while (halved-- > 0) {
        sum *= 2 - sum;
    }
    return sum;
}

/* Exponentially distributed with mean 1: how far it is to the next event of a Poisson process.
 * Never 0, at most 37. */
static inline double
random_exponential(uint64_t *state)
{
    /* 53 bits, and the middle of each step, so that it is neither 0 nor 1. */
    double uniform = ((double)(random_next(state) >> 11) + 0.5) * 0x1p-53;

    return -random_ln(uniform);
}

#endif
