/* SPDX-License-Identifier: MIT */
/*
 * Figures over time, of the process or of a thread (threads.h): ten a second for a minute, one a
 * minute for a day, in rings of fixed size. Written at samples and by the keeper; what lies between
 * is filled in then: without a sample nothing changed as far as we know.
 *
 * A value is an estimate, of which a float's 24 bits are more than is known.
 */
#ifndef TIDE_PROFILE_SERIES_H
#define TIDE_PROFILE_SERIES_H

#include "base/compiler.h"

enum series_figure {
    SERIES_LIVE_BYTES = 0,       /* at the end of the interval */
    SERIES_ALLOCATED_RATE = 1,   /* bytes a second */
    SERIES_FREED_RATE = 2,       /* bytes a second */
    SERIES_ALLOCATIONS_RATE = 3, /* a second */
    SERIES_THREAD_FIGURES = 4,   /* those of a thread */
    SERIES_RESIDENT_BYTES = 4,   /* as of the keeper's last pass; 0: never told */
    SERIES_RETAINED_BYTES = 5,   /* likewise: free, and still resident */
    SERIES_FIGURES = 6,
};

enum series_ring { SERIES_FINE = 0, SERIES_COARSE = 1, SERIES_RINGS = 2 };

/* What samples come to: of the process as in site_totals, of a thread what it did; live is what it
 * allocated. */
typedef struct series_totals {
    uint64_t allocated_bytes;
    uint64_t allocated_milli;
    uint64_t freed_bytes;
    int64_t live_bytes;
} series_totals_t;

/* All fields: lock(profile), and const after series_make the number of figures. */
typedef struct series {
    series_totals_t totals;
    uint32_t figures;
    struct {
        float *values;  /* the figures of each interval; NULL: no series */
        uint64_t first; /* interval it begins with */
        uint64_t closed;
        series_totals_t before; /* at the beginning of the open interval */
    } rings[SERIES_RINGS];
} series_t;

extern series_t series_process;

/* Bytes of a series of so many figures. */
size_t series_bytes(unsigned figures);
/* The process's series begins; the clock of all others, too. 0 or ENOMEM. Once. All functions
 * below: lock(profile) held. */
int series_init(uint64_t now_ns);
/* Makes one that begins now in zeroed memory of series_bytes(figures), or anew in used one. */
void series_make_locked(series_t *series, unsigned figures, void *memory);

/* Before totals change, and now and then: it is this late now, and intervals of the process that
 * are over are closed. */
void series_advance_locked(uint64_t now_ns);
/* The same for another series, as of that time. */
void series_follow_locked(series_t *series);
void series_memory_locked(uint64_t resident_bytes, uint64_t retained_bytes);
/* Counts intervals of ten a second. */
uint64_t series_tick_locked(void);
/* What the process's samples come to. */
series_totals_t series_totals_locked(void);

struct series_view {
    uint64_t interval_ns;
    uint64_t first_ns; /* end of the first interval that is kept */
    uint32_t count;
};
struct series_view series_view_locked(const series_t *series, enum series_ring ring);
/* The index-th value kept, oldest first. */
int64_t series_value_locked(const series_t *series, enum series_ring ring,
                            enum series_figure figure, uint32_t index);

#endif
