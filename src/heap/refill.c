/* SPDX-License-Identifier: MIT */
/*
 * The slow side of malloc: the bin is empty. Looked for in order of cost: what others freed in the
 * current span, its blocks never used so far, another span of this heap with room, a span from
 * the pool, a new span. A span that is used up is let go: it is nobody's until a block in it is
 * freed, so memory follows need and not each thread's past peak.
 */
#include <errno.h>

#include "base/assert.h"
#include "heap/alloc.h"
#include "heap/report.h"

#define LOOK_AROUND_REFILLS 128u

static void
attach_current(heap_t *heap, span_t *span, unsigned c)
{
    block_t **bin = &heap->bins[c];

    tide_assert(*bin == &list_end);
    *bin = span->own;
    span->own = &list_end;
    if (heap_config.lifo) {
        span->left = 0; /* no countdown: it wraps, and free looks once in 2^32 */
        span->sink = bin;
    } else {
        /* Blocks in the bin count as live while the span keeps its own countdown. */
        uint32_t n = span_linked(span) - span->bitmap_count - (span->left + span->live_floor);

        span->left += n;
    }
    heap->classes[c].current = span;
}

/* Blocks moved to the bin: in fifo order of reuse they count as live from now on. */
static bool
moved_to_bin(span_t *span, uint32_t count, bool from_live)
{
    if (!heap_config.lifo && count > 0 && !from_live) {
        span->left += count;
    }
    return count > 0;
}

/* More blocks from the span the bin came from. */
static bool
refill_from_current(span_t *span, block_t **bin)
{
    if (!heap_config.lifo && span->own != &list_end) {
        uint32_t live = span->left + span->live_floor;

        *bin = span->own;
        span->own = &list_end;
        return moved_to_bin(span, span_linked(span) - span->bitmap_count - live, false);
    }
    return moved_to_bin(span, span_take_remote(span, bin), true) ||
           moved_to_bin(span, span_extend(span, bin), false);
}

/* The next span to allocate from, not yet attached; the heap owns it. */
static span_t *
next_span(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    span_t *span = hc->with_room;

    if (span != NULL) {
        heap_with_room_remove(heap, span);
        return span;
    }
    span = pool_take(c);
    if (span != NULL) {
        uint32_t live = atomic_load_relaxed(&span->pool_live);

        counter_add(&heap->counters.pool_takes, 1);
        span->left = live;
        span->live_floor = 0;
        atomic_store_relaxed(&span->owner, heap_key(heap));
        return span;
    }
    span = span_new_small(heap, c);
    if (span != NULL) {
        atomic_store_relaxed(&span->owner, heap_key(heap));
    }
    return span;
}

/* Fills the empty bin of the class. False: no memory. */
static bool
refill(heap_t *heap, unsigned c)
{
    block_t **bin = &heap->bins[c];
    span_t *span = heap->classes[c].current;

    if (span != NULL) {
        if (refill_from_current(span, bin)) {
            return true;
        }
        heap->classes[c].current = NULL;
        span_let_go(heap, span, span_linked(span));
    }
    for (;;) {
        span = next_span(heap, c);
        if (span == NULL) {
            return false;
        }
        attach_current(heap, span, c);
        if (*bin != &list_end || refill_from_current(span, bin)) {
            return true;
        }
        /* Its room was lost to a damaged list: full after all. */
        heap->classes[c].current = NULL;
        span_let_go(heap, span, span_linked(span));
    }
}

static void *
pop_or_refill(heap_t *heap, unsigned c)
{
    block_t **bin = &heap->bins[c];

    for (;;) {
        block_t *block = *bin;

        if (block != &list_end && block_is_linked(block)) {
            *bin = block->next;
            block->guard = 0;
            return block;
        }
        if (block != &list_end) {
            report_pointer("malloc", REPORT_CORRUPTED, block, space_span_of(block));
            *bin = &list_end; /* what hung behind the damage counts as live for good */
        }
        if (!refill(heap, c)) {
            errno = ENOMEM;
            return NULL;
        }
    }
}

void
heap_look_around(heap_t *heap)
{
    uint32_t epoch = atomic_load_relaxed(&heap_trim_epoch);

    heap->collect_at = LOOK_AROUND_REFILLS;
    remote_flush(heap);
    if (unlikely(heap->trim_epoch != epoch)) {
        heap->trim_epoch = epoch;
        heap_let_go_all(heap);
    }
    heap_poke_keeper();
}

TIDE_COLD static void *
alloc_without_heap(size_t size)
{
    heap_t *heap = heap_attach();

    return heap != NULL ? pop_or_refill(heap, size_class_of(size))
                        : heap_fallback_alloc(size_class_of(size));
}

void *
heap_alloc_slow(size_t size)
{
    heap_t *heap = heap_self();

    if (unlikely(heap == &heap_empty)) {
        return alloc_without_heap(size);
    }
    counter_add(&heap->counters.refills, 1);
    if (unlikely(--heap->collect_at == 0)) {
        heap_look_around(heap);
    }
    return pop_or_refill(heap, size_class_of(size));
}

static lock_t fallback_lock;
static heap_t *fallback; /* lock(fallback) */

void *
heap_fallback_alloc(unsigned size_class)
{
    void *p = NULL;

    if (tide_init_once() != 0) {
        errno = ENOMEM;
        return NULL;
    }
    lock_acquire(&fallback_lock);
    if (fallback == NULL) {
        fallback = heap_new();
    }
    if (fallback != NULL) {
        p = pop_or_refill(fallback, size_class);
    } else {
        errno = ENOMEM;
    }
    lock_release(&fallback_lock);
    return p;
}

void
heap_fallback_lock(bool acquire, bool in_child)
{
    if (acquire) {
        lock_acquire(&fallback_lock);
    } else if (in_child) {
        fallback_lock = (lock_t){0};
    } else {
        lock_release(&fallback_lock);
    }
}
