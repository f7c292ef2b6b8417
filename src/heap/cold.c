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

/* Gives back the os pages between two block boundaries. */
static size_t
purge_between(const span_t *span, size_t from_block, size_t to_block)
{
    size_t from = align_up(from_block * span->block_size, OS_PAGE);
    size_t to = to_block * (size_t)span->block_size;

    /* Behind the last block ever linked nothing was touched: its page has no other tenant. */
    to = to_block == span->linked ? align_up(to, OS_PAGE) : align_down(to, OS_PAGE);
    if (to <= from || os_purge(span->start + from, to - from) != 0) {
        return 0;
    }
    return to - from;
}

TIDE_COLD size_t
span_cool(span_t *span, uint32_t *live)
{
    block_t *chain = list_end();
    size_t purged = 0;
    size_t run = 0;

    if (span->bitmap == NULL) {
        span->bitmap = span_bitmap_alloc(span);
        if (span->bitmap == NULL) {
            return 0;
        }
    }
    *live -= span_take_remote(span, &chain);
    span->bitmap_count += list_to_bitmap(span, span->own) + list_to_bitmap(span, chain);
    span->own = list_end();
    for (size_t i = 0; i <= span->linked; i++) {
        if (i < span->linked && bit_is_set(span->bitmap, i)) {
            continue;
        }
        if (i > run) {
            purged += purge_between(span, run, i);
        }
        run = i + 1;
    }
    if (purged > 0) {
        span->flags |= SPAN_FLAG_HOLES;
        arena_count_hole_purge(span->start, purged);
    }
    return purged;
}

TIDE_COLD size_t
heap_purge_holes(uint32_t before_tick, size_t max_bytes)
{
    size_t purged = 0;

    for (unsigned c = 0; c < TIDE_CLASS_COUNT && purged < max_bytes; c++) {
        /* A thread that keeps freeing in what was just cooled must not keep us here. */
        uint32_t most = pool_length(c);
        span_t *span;

        while (most-- > 0 && purged < max_bytes && os_has(OS_FEATURE_DONTNEED) &&
               (span = pool_take_oldest(c, (uint16_t)before_tick)) != NULL) {
            uint32_t live = atomic_load_relaxed(&span->pool_live);

            purged += span_cool(span, &live);
            if (live == 0 || span->bitmap == NULL) {
                bool failed = span->bitmap == NULL;

                span_let_go(NULL, span, live);
                if (failed) {
                    return purged; /* no metadata: the span is as it was, and old as before */
                }
            } else {
                pool_put_cold(span, live);
            }
        }
    }
    return purged;
}
