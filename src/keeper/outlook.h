/* SPDX-License-Identifier: MIT */
/*
 * What the keeper forecasts, and why its rules do what they do, for whoever asks (`tide forecast`,
 * `tide why`). The last pass is kept in any case. With predict:on and a page, samples of the passes
 * go to predict/shadow at OUTLOOK_INTERVAL_MS, and what was forecast and what came is kept for
 * OUTLOOK_HISTORY of them; nothing acts on the forecasts. Otherwise that memory is not touched.
 */
#ifndef TIDE_KEEPER_OUTLOOK_H
#define TIDE_KEEPER_OUTLOOK_H

#include "predict/advice.h"
#include "predict/forecaster.h"

#define OUTLOOK_INTERVAL_MS 100u
#define OUTLOOK_HORIZON 32u   /* samples */
#define OUTLOOK_HISTORY 1800u /* samples */

enum keep_reason {
#define KEEP_REASON(name, text) KEEP_##name,
#include "keeper/reasons.def"
};

enum outlook_series {
#define OUTLOOK_SERIES(name, shift, brief) OUTLOOK_##name,
#include "keeper/outlook.def"
    OUTLOOK_SERIES_COUNT
};

enum outlook_state {
    OUTLOOK_OFF = 0,      /* predict:off, no page, or no thread: the rule's figures only */
    OUTLOOK_LEARNING = 1, /* too few samples for a forecast */
    OUTLOOK_READY = 2,
};

struct outlook {
    enum outlook_state state;
    const char *keep_reason; /* names of reasons.def */
    const char *rise_reason;
    uint32_t weight_ppm[FORECASTER_KINDS];
#define OUTLOOK_FIGURE(name, unit, brief) int64_t name;
#include "keeper/outlook.def"
};

/* What a pass saw and decided. */
struct outlook_pass {
    uint64_t now_ns;
    struct tide_record record;
    uint64_t level_bytes; /* the rule's */
    uint64_t window_ms;
    uint64_t spare_bytes; /* kept in any case */
    uint64_t grow_bytes;  /* of these, for growth */
    uint64_t keep_bytes;
    bool purges;
};

/* By the keeper's thread, once: from now on. */
void outlook_begin(void);
/* And when it ends: who passes by does not wait for what was missed. */
void outlook_end(void);
/* lock(pass) held. */
void outlook_note_locked(const struct outlook_pass *pass);
/* Any thread; may wait a moment. (slow) */
void outlook_look(struct outlook *out);

struct outlook_view {
    uint64_t first_ns; /* os_now_ns() at which the first value stands */
    uint64_t interval_ns;
    uint32_t count;
};
/* The last values of a series, in slices, OUTLOOK_UNKNOWN where there is none. As above. */
#define OUTLOOK_UNKNOWN UINT32_MAX
struct outlook_view outlook_history(enum outlook_series series, uint32_t values[OUTLOOK_HISTORY]);

/* What is known is another process's. */
void outlook_fork_child(void);

#endif
