/* SPDX-License-Identifier: MIT */
/*
 * Cooling a span: its free blocks leave the intrusive list for a bitmap outside the data, and
 * the os pages that hold no live block are given back although their neighbours live ("hole
 * purging"; measured by a mimalloc fork at 74 % of the peak after a burst with 1 survivor in 20).
 * Until somebody claims the span, frees into it set a bit and write to no data page. Claiming
 * warms it: blocks return to the list one os page at a time.
 *
 * The caller works on the span alone (pool_take_oldest).
 */
#include <string.h>

#include "base/assert.h"
#include "heap/heap.h"
#include "heap/report.h"
#include "os/os.h"

static uint32_t
list_to_bitmap(span_t *span, block_t *list)
{
    uint32_t count = 0;

    for (; !is_list_end(list); list = list->next) {
        size_t i = (size_t)((char *)(void *)list - span->start) / span->block_size;

        if (!block_is_linked(list)) {
            report_pointer("purge", REPORT_CORRUPTED, list, span);
            break; /* the rest counts as live */
        }
        span->bitmap[i / 64] |= 1ull << (i % 64);
        count++;
    }
    return count;
}

static bool
bit_is_set(const uint64_t *map, size_t i)
{
    return (map[i / 64] >> (i % 64) & 1) != 0;
}

/* Spans that are being cooled, and what of them is to go back: many a hole is one os page, and a
 * system call for each costs six times as much as one for all (os_purge_ranges). */
#define BATCH_SPANS 64u
#define SPAN_HOLES_MAX (TIDE_SPAN_SLICES_MAX * (SLICE_BYTES / OS_PAGE) / 2 + 1)

struct cooling {
    uint32_t span_count;
    uint32_t range_count;
    span_t *spans[BATCH_SPANS];
    uint32_t live[BATCH_SPANS];
    uint32_t first_range[BATCH_SPANS + 1]; /* of the span; the next one's first ends them */
    struct os_range ranges[OS_RANGES_MAX];
};
TIDE_STATIC_ASSERT(OS_RANGES_MAX >= SPAN_HOLES_MAX, "any span fits");

static TIDE_SPARSE struct cooling cooling; /* of the one caller there may be at a time */

/* A child of _Fork may find its parent's, who was in the middle of it. */
static void
cooling_begin(void)
{
    cooling.span_count = cooling.range_count = 0;
}

/* Notes the os pages between two block boundaries. */
static void
add_hole(const span_t *span, size_t from_block, size_t to_block)
{
    size_t from = align_up(from_block * span->block_size, OS_PAGE);
    size_t to = to_block * (size_t)span->block_size;

    /* Behind the last block ever linked nothing was touched: its page has no other tenant. */
    to = to_block == span->linked ? align_up(to, OS_PAGE) : align_down(to, OS_PAGE);
    if (to > from) {
        tide_assert(cooling.range_count < OS_RANGES_MAX);
        cooling.ranges[cooling.range_count++] = (struct os_range){span->start + from, to - from};
    }
}

static void
add_holes(const span_t *span)
{
    size_t run = 0;

    for (size_t i = 0; i <= span->linked; i++) {
        if (i < span->linked && bit_is_set(span->bitmap, i)) {
            continue;
        }
        if (i > run) {
            add_hole(span, run, i);
        }
        run = i + 1;
    }
}

/* Free blocks become bits, holes are noted. False: no metadata, and the span is as it was. */
static bool
cooling_add(span_t *span, uint32_t live)
{
    block_t *chain = list_end();
    uint32_t n = cooling.span_count;

    if (span->bitmap == NULL && (span->bitmap = span_bitmap_alloc(span)) == NULL) {
        return false;
    }
    live -= span_take_remote(span, &chain);
    span->bitmap_count += list_to_bitmap(span, span->own) + list_to_bitmap(span, chain);
    span->own = list_end();
    cooling.spans[n] = span;
    cooling.live[n] = live;
    cooling.first_range[n] = cooling.range_count;
    add_holes(span);
    cooling.first_range[n + 1] = cooling.range_count;
    cooling.span_count++;
    return true;
}

static size_t
holes_of(uint32_t n)
{
    size_t bytes = 0;

    for (uint32_t i = cooling.first_range[n]; i < cooling.first_range[n + 1]; i++) {
        bytes += cooling.ranges[i].size;
    }
    return bytes;
}

/* Gives back what was noted, as far as it goes; bytes. */
static size_t
purge_noted(void)
{
    size_t purged = 0;

    if (cooling.range_count == 0) {
        return 0;
    }
    (void)os_purge_ranges(cooling.ranges, cooling.range_count); /* refused: no bytes below */
    atomic_add_relaxed(&arena_counters.hole_purge_calls, 1);
    for (uint32_t n = 0; n < cooling.span_count; n++) {
        size_t bytes = holes_of(n);

        if (bytes > 0) {
            arena_count_hole_purge(cooling.spans[n]->start, bytes);
        }
        purged += bytes;
    }
    return purged;
}

TIDE_COLD size_t
span_cool(span_t *span, uint32_t *live)
{
    cooling_begin();
    if (!cooling_add(span, *live)) {
        return 0;
    }
    *live = cooling.live[0];
    return purge_noted();
}

/* Purges what was noted and puts the spans back. */
static size_t
finish(void)
{
    size_t purged = purge_noted();

    for (uint32_t n = 0; n < cooling.span_count; n++) {
        if (cooling.live[n] == 0) {
            span_let_go(NULL, cooling.spans[n], 0);
        } else {
            pool_put_cold(cooling.spans[n], cooling.live[n]);
        }
    }
    cooling_begin();
    return purged;
}

static bool
is_full(void)
{
    return cooling.span_count == BATCH_SPANS ||
           cooling.range_count + SPAN_HOLES_MAX > OS_RANGES_MAX;
}

/* Cools the class's next span, but for the purge; adds the bytes that are to go. False: there is
 * none, or it *failed. */
static bool
cool_next(unsigned c, uint32_t before_tick, size_t *bytes, bool *failed)
{
    span_t *span = pool_take_oldest(c, (uint16_t)before_tick);

    if (span == NULL) {
        return false;
    }
    if (!cooling_add(span, atomic_load_relaxed(&span->pool_live))) {
        span_let_go(NULL, span, atomic_load_relaxed(&span->pool_live));
        *failed = true; /* no metadata: the span is as it was, and old as before */
        return false;
    }
    *bytes += holes_of(cooling.span_count - 1);
    return true;
}

TIDE_COLD size_t
heap_purge_holes(uint32_t before_tick, size_t max_bytes)
{
    size_t purged = 0;
    size_t noted = 0;
    bool failed = false;
    uint32_t tick = atomic_load_relaxed(&arena_tick);

    if ((int32_t)(tick - before_tick) > INT16_MAX) { /* spans know the lower half of their tick */
        before_tick = tick - INT16_MAX;
    }
    cooling_begin();
    for (unsigned c = 0; c < TIDE_CLASS_COUNT && noted < max_bytes && !failed; c++) {
        /* A thread that keeps freeing in what was just cooled must not keep us here. */
        uint32_t most = pool_length(c);

        while (most-- > 0 && noted < max_bytes && os_has(OS_FEATURE_DONTNEED) &&
               cool_next(c, before_tick, &noted, &failed)) {
            if (is_full()) {
                purged += finish();
            }
        }
    }
    return purged + finish();
}
