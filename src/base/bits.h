/* SPDX-License-Identifier: MIT */
/* Arithmetic on words: rounding, logarithms, runs of set bits. Pure; no state. */
#ifndef TIDE_BASE_BITS_H
#define TIDE_BASE_BITS_H

#include "base/compiler.h"

TIDE_HOT size_t
align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

TIDE_HOT size_t
align_down(size_t n, size_t align)
{
    return n & ~(align - 1);
}

TIDE_HOT bool
is_pow2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* floor(log2(n)); n > 0. */
TIDE_HOT unsigned
log2_floor(size_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* ceil(log2(n)); 0 for 0. */
TIDE_HOT unsigned
log2_ceil(size_t n)
{
    return n <= 1 ? 0 : log2_floor(n - 1) + 1;
}

TIDE_HOT size_t
min_zu(size_t a, size_t b)
{
    return a < b ? a : b;
}

TIDE_HOT size_t
max_zu(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Ones in the mask. Not the builtin: without -mpopcnt that is a call into libgcc. */
TIDE_HOT uint32_t
bits_count(uint64_t mask)
{
    mask -= mask >> 1 & 0x5555555555555555u;
    mask = (mask & 0x3333333333333333u) + (mask >> 2 & 0x3333333333333333u);
    mask = (mask + (mask >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(mask * 0x0101010101010101u >> 56);
}

/* Bit i is set where mask has n consecutive ones starting at bit i; 1 <= n <= 64. */
TIDE_HOT uint64_t
run_starts(uint64_t mask, unsigned n)
{
    unsigned have = 1;

    while (have < n && mask != 0) {
        unsigned step = n - have < have ? n - have : have;
        mask &= mask >> step;
        have += step;
    }
    return mask;
}

/* Length of the longest run of ones: doubles the length while a run of it exists, then fills in
 * the smaller powers of two. */
TIDE_HOT unsigned
longest_run(uint64_t mask)
{
    uint64_t starts[7]; /* [k]: where 2^k ones in a row begin */
    uint64_t at;
    unsigned k = 0;
    unsigned n;

    if (mask == 0 || mask == UINT64_MAX) {
        return mask == 0 ? 0 : 64;
    }
    starts[0] = mask;
    while ((starts[k + 1] = starts[k] & starts[k] >> (1u << k)) != 0) {
        k++;
    }
    n = 1u << k;
    at = starts[k];
    while (k-- > 0) {
        uint64_t longer = at & starts[k] >> n;

        if (longer != 0) {
            at = longer;
            n += 1u << k;
        }
    }
    return n;
}

/* n ones starting at bit `at`; n >= 1, n + at <= 64. */
TIDE_HOT uint64_t
run_mask(unsigned at, unsigned n)
{
    return (UINT64_MAX >> (64 - n)) << at;
}

#endif
