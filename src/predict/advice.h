/* SPDX-License-Identifier: MIT */
/*
 * What a policy may say to the keeper. Advice has a clamp (it never asks for more than the
 * retained bytes it was told of), an expiry and, in the keeper, the counters advised / tried /
 * applied / regretted.
 */
#ifndef TIDE_PREDICT_ADVICE_H
#define TIDE_PREDICT_ADVICE_H

#include "base/compiler.h"

/* What was observed; bytes are of whole slices. */
struct tide_record {
    uint64_t now_ms;
    uint64_t used_bytes;     /* in spans now */
    uint64_t peak_bytes;     /* highest used_bytes since the last record */
    uint64_t retained_bytes; /* free, with pages */
    uint64_t faulted_bytes;  /* taken without pages since the last record */
    uint64_t readied_bytes;  /* taken since then with pages that had been made ready for it */
};

struct tide_advice {
    uint64_t keep_bytes;    /* of the retained ones: likely to be wanted again soon */
    uint64_t release_bytes; /* retained - keep, clamped at 0 */
    uint64_t expires_ms;    /* not to be acted on after this */
};

#endif
