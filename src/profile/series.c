/* SPDX-License-Identifier: MIT */
/* See series.h. */
#include "profile/series.h"

#include <errno.h>

#include "base/bits.h"
#include "os/os.h"
#include "profile/sites.h"

#define SECOND_NS 1000000000u

static const struct {
    uint64_t interval_ns;
    uint32_t len;
} shape[SERIES_RINGS] TIDE_COLD_DATA = {
    [SERIES_FINE] = {100000000u, 600},
    [SERIES_COARSE] = {60000000000u, 1440},
};

series_t series_process;
static uint64_t start_ns;           /* const after init */
static uint64_t over[SERIES_RINGS]; /* lock(profile): intervals since the start that are over */
static uint64_t resident;           /* lock(profile): */
static uint64_t retained;           /* lock(profile): */

size_t
series_bytes(unsigned figures)
{
    return (shape[SERIES_FINE].len + shape[SERIES_COARSE].len) * figures * sizeof(float);
}

int
series_init(uint64_t now_ns)
{
    size_t bytes = align_up(series_bytes(SERIES_FIGURES), OS_PAGE);
    void *memory = os_map(bytes, "tidemalloc profile: series");

    if (memory == NULL) {
        return ENOMEM;
    }
    start_ns = now_ns;
    series_make_locked(&series_process, SERIES_FIGURES, memory);
    return 0;
}

void
series_make_locked(series_t *series, unsigned figures, void *memory)
{
    float *values = memory;

    *series = (series_t){.figures = figures};
    for (unsigned i = 0; i < SERIES_RINGS; i++) {
        series->rings[i].values = values;
        series->rings[i].first = series->rings[i].closed = over[i];
        values += shape[i].len * figures;
    }
}

static float *
values_at(const series_t *series, unsigned ring, uint64_t interval)
{
    return series->rings[ring].values + interval % shape[ring].len * series->figures;
}

/* A second. */
static float
rate(uint64_t amount, unsigned ring)
{
    return (float)((double)(int64_t)amount * SECOND_NS / (double)shape[ring].interval_ns);
}

/* All that happened since the last interval was closed belongs to the first of these. */
static void
close_intervals(series_t *series, unsigned ring)
{
    const series_totals_t *totals = &series->totals;
    const series_totals_t *before = &series->rings[ring].before;
    uint64_t from = series->rings[ring].closed;
    uint64_t end = over[ring];

    for (uint64_t i = end - from > shape[ring].len ? end - shape[ring].len : from; i < end; i++) {
        float *values = values_at(series, ring, i);
        bool first = i == from;

        values[SERIES_LIVE_BYTES] = (float)totals->live_bytes;
        values[SERIES_ALLOCATED_RATE] =
            first ? rate(totals->allocated_bytes - before->allocated_bytes, ring) : 0;
        values[SERIES_FREED_RATE] =
            first ? rate(totals->freed_bytes - before->freed_bytes, ring) : 0;
        values[SERIES_ALLOCATIONS_RATE] =
            first ? rate(totals->allocated_milli - before->allocated_milli, ring) / 1000 : 0;
        if (series->figures > SERIES_RESIDENT_BYTES) {
            values[SERIES_RESIDENT_BYTES] = (float)resident;
            values[SERIES_RETAINED_BYTES] = (float)retained;
        }
    }
    series->rings[ring].closed = end;
    series->rings[ring].before = *totals;
}

void
series_follow_locked(series_t *series)
{
    for (unsigned ring = 0; ring < SERIES_RINGS; ring++) {
        if (series->rings[ring].values != NULL && series->rings[ring].closed < over[ring]) {
            close_intervals(series, ring);
        }
    }
}

void
series_advance_locked(uint64_t now_ns)
{
    for (unsigned ring = 0; ring < SERIES_RINGS; ring++) {
        uint64_t now = now_ns > start_ns ? (now_ns - start_ns) / shape[ring].interval_ns : 0;

        over[ring] = now > over[ring] ? now : over[ring]; /* a clock may go back */
    }
    series_process.totals = series_totals_locked();
    series_follow_locked(&series_process);
}

void
series_memory_locked(uint64_t resident_bytes, uint64_t retained_bytes)
{
    resident = resident_bytes;
    retained = retained_bytes;
}

uint64_t
series_tick_locked(void)
{
    return over[SERIES_FINE];
}

series_totals_t
series_totals_locked(void)
{
    return (series_totals_t){
        .allocated_bytes = site_totals.allocated_bytes,
        .allocated_milli = site_totals.allocated_milli,
        .freed_bytes = site_totals.freed_bytes,
        .live_bytes = site_totals.live_bytes,
    };
}

static uint64_t
kept(const series_t *series, unsigned ring)
{
    uint64_t count = series->rings[ring].closed - series->rings[ring].first;

    return count < shape[ring].len ? count : shape[ring].len;
}

struct series_view
series_view_locked(const series_t *series, enum series_ring ring)
{
    uint64_t count = series->rings[ring].values == NULL ? 0 : kept(series, ring);

    return (struct series_view){
        .interval_ns = shape[ring].interval_ns,
        .first_ns = start_ns + (series->rings[ring].closed - count + 1) * shape[ring].interval_ns,
        .count = (uint32_t)count,
    };
}

int64_t
series_value_locked(const series_t *series, enum series_ring ring, enum series_figure figure,
                    uint32_t index)
{
    uint64_t interval = series->rings[ring].closed - kept(series, ring) + index;

    return (int64_t)values_at(series, ring, interval)[figure];
}
