/* SPDX-License-Identifier: MIT */
/* How long a key's blocks live; see lifetime.h. */
#include "predict/lifetime.h"

#include "base/assert.h"

TIDE_STATIC_ASSERT(sizeof(struct lifetime_key) == 8, "there are thousands of them");

void
lifetime_observe(struct lifetime_key *key, const struct lifetime_params *params, bool is_long)
{
    uint32_t all;
    bool fits;

    if (is_long) {
        key->longer++;
    } else {
        key->shorter++;
    }
    if (key->seen < UINT16_MAX) {
        key->seen++;
    }
    all = (uint32_t)key->shorter + key->longer;
    fits = (uint64_t)key->longer * params->sure <= all;
    if (key->is_short && !fits) {
        key->is_short = false;
        key->seen = 0;
        if (key->demoted < LIFETIME_DEMOTED_MAX) {
            key->demoted++;
        }
    } else if (fits && key->seen >= (uint64_t)params->min_blocks << key->demoted) {
        key->is_short = true;
    }
    if (all >= LIFETIME_COUNT_MAX) {
        key->shorter /= 2;
        key->longer /= 2;
    }
}
