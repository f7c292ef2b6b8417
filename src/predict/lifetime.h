/* SPDX-License-Identifier: MIT */
/*
 * Will the next block of a key (who calls, how high the stack is, which size class) be short-lived?
 * Answered from how long its blocks have lived. Long is a block that still lives when some multiple
 * of the live bytes was allocated since it came; it is counted at that moment and not when it dies,
 * or what lives for ever would never be heard of. The caller says which blocks are long.
 *
 * Estimator: counts of short and long blocks, halved when there are LIFETIME_COUNT_MAX, so that a
 * key that changes its ways is found out after some hundred blocks. A key is short when all but one
 * in `sure` of at least `min_blocks` were. All others are not: to be wrong there costs a hole that
 * the next block fills, while a long block among short ones holds a page of them for good. A key
 * that was short and is not any more was wrong, and needs twice as many blocks each time to be
 * believed again.
 *
 * Wrong when lifetimes depend on what the key does not know. Zeros know nothing. 8 bytes a key,
 * O(1). Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_LIFETIME_H
#define TIDE_PREDICT_LIFETIME_H

#include "base/compiler.h"

#define LIFETIME_COUNT_MAX 256u
#define LIFETIME_DEMOTED_MAX 8u

struct lifetime_params {
    uint32_t min_blocks; /* fewer: late; more: what ends early is never learnt */
    uint32_t sure;       /* higher: fewer long blocks among short ones, and fewer keys */
};

struct lifetime_key {
    uint16_t shorter, longer; /* blocks of late */
    uint16_t seen;            /* since it was last wrong; stays at its highest */
    uint8_t demoted;          /* times it was wrong, up to LIFETIME_DEMOTED_MAX */
    bool is_short;            /* the advice */
};

/* A block of it died before it was long, or became so. */
void lifetime_observe(struct lifetime_key *key, const struct lifetime_params *params, bool is_long);

#endif
