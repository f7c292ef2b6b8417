/* SPDX-License-Identifier: MIT */
/*
 * The slow side of free: blocks of other heaps, of nobody, large ones, errors; and what happens
 * when a span of ours has become (nearly) empty.
 *
 * Policy of the two thresholds: a span with no live block goes back to the arena at once. A span
 * with few (size_class.keep_live) goes to the pool when the heap has others with room: a span that
 * is mostly free should not wait for a thread that may never allocate again, and what is pooled can
 * be purged around its survivors by the keeper. Its last frees then cost a compare-and-swap each
 * (batched per span).
 */
#include "base/assert.h"
#include "heap/heap.h"
#include "heap/report.h"

#define WITH_ROOM_KEEP 2u /* spans with room a heap keeps per class however empty they are */

static void
with_room_add(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];

    span->flags |= SPAN_FLAG_ON_LIST;
    span->previous = NULL;
    span->next = hc->with_room;
    if (hc->with_room != NULL) {
        hc->with_room->previous = span;
    } else {
        hc->oldest = span;
    }
    hc->with_room = span;
    hc->with_room_count++;
}

void
heap_with_room_remove(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];

    tide_assert((span->flags & SPAN_FLAG_ON_LIST) != 0);
    span->flags &= (uint8_t)~SPAN_FLAG_ON_LIST;
    if (span->previous != NULL) {
        span->previous->next = span->next;
    } else {
        hc->with_room = span->next;
    }
    if (span->next != NULL) {
        span->next->previous = span->previous;
    } else {
        hc->oldest = span->previous;
    }
    span->next = span->previous = NULL;
    hc->with_room_count--;
}

/* What others freed in the heap's oldest span of the class comes home; a heap that does not
 * allocate the class passes the span on. Once per claim, so neither can pile up. */
static void
visit_oldest(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    span_t *span = hc->oldest;
    block_t *chain = &list_end;
    uint32_t count;

    if (hc->with_room_count <= WITH_ROOM_KEEP) {
        return;
    }
    count = span_take_remote(span, &chain);
    if (count > 0) {
        block_t *tail = chain;

        while (tail->next != &list_end && block_is_linked(tail)) {
            tail = tail->next;
        }
        span_add_free(heap, span, chain, tail, count);
    } else if (hc->current == NULL && hc->with_room_count > 2 * WITH_ROOM_KEEP) {
        heap_with_room_remove(heap, span);
        span_let_go(heap, span, span->left + span->live_floor);
        return;
    }
    if (hc->oldest == span && hc->with_room != span) { /* next time another one */
        heap_with_room_remove(heap, span);
        with_room_add(heap, span);
    }
}

/* The number of live blocks at which a span is better off in the pool: an eighth or a quarter
 * of it, half when other threads could use it. */
static uint32_t
live_floor_of(const span_t *span)
{
    if (atomic_load_relaxed(&heap_live_count) > 1) {
        return span->capacity / 2;
    }
    return size_classes[span->size_class].keep_live;
}

void
span_claim(heap_t *heap, span_t *span, uint32_t live)
{
    uint32_t floor = live_floor_of(span);

    if (floor >= live) {
        floor = 0;
    }
    span->live_floor = (uint16_t)floor;
    span->left = live - floor;
    span->sink = &span->own;
    if (heap != NULL) {
        visit_oldest(heap, span->size_class);
        with_room_add(heap, span);
        counter_add(&heap->counters.claimed, 1);
        atomic_store_relaxed(&span->owner, heap_key(heap));
    }
}

void
span_add_free(heap_t *heap, span_t *span, block_t *head, block_t *tail, uint32_t count)
{
    uint32_t live = span->left + span->live_floor - count;

    block_link(tail, span->own);
    span->own = head;
    if (heap == NULL) {
        span_let_go(NULL, span, live);
    } else if (live > span->live_floor) {
        span->left = live - span->live_floor;
    } else {
        span->live_floor = (uint16_t)live;
        span->left = 0;
        heap_free_look(heap, span);
    }
}

void
heap_free_look(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];
    uint32_t live = span->live_floor;

    if (span->sink != &span->own) {
        return; /* current: the countdown means nothing */
    }
    if (hc->current == span) { /* fifo reuse: blocks in the bin count as live, so some are left */
        span->live_floor = 0;
        span->left = live;
        return;
    }
    if (live == 0 || hc->with_room_count > WITH_ROOM_KEEP) {
        heap_with_room_remove(heap, span);
        span_let_go(heap, span, live);
        heap_poke_keeper(); /* last: it may start a thread, which allocates */
        return;
    }
    span->live_floor = 0;
    span->left = live;
}

void
heap_detach_current(heap_t *heap, unsigned size_class)
{
    block_t **bin = &heap->bins[size_class];
    span_t *span = heap->classes[size_class].current;
    block_t *last = NULL;
    uint32_t listed = 0;
    uint32_t live;

    if (span == NULL) {
        return;
    }
    for (block_t *b = *bin; b != &list_end && block_is_linked(b); b = b->next) {
        listed++;
        last = b;
    }
    if (span->sink == bin) {
        live = span_linked(span) - span->bitmap_count - listed;
    } else {
        live = span->left + span->live_floor - listed;
    }
    if (last != NULL) {
        block_link(last, span->own);
        span->own = *bin;
    }
    *bin = &list_end;
    heap->classes[size_class].current = NULL;
    span_let_go(heap, span, live);
}

void
heap_let_go_all(heap_t *heap)
{
    remote_flush(heap);
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        span_t *span;

        heap_detach_current(heap, c);
        while ((span = heap->classes[c].with_room) != NULL) {
            heap_with_room_remove(heap, span);
            span_let_go(heap, span, span->left + span->live_floor);
        }
    }
}

TIDE_COLD void
heap_free_misplaced(void *p, const span_t *span)
{
    report_pointer("free", heap_pointer_error(p, span), p, span);
}

TIDE_COLD void
heap_free_twice(void *p, const span_t *span)
{
    report_pointer("free", REPORT_DOUBLE_FREE, p, span);
}

const char *
heap_pointer_error(const void *p, const span_t *span)
{
    if (span == NULL) {
        return REPORT_FOREIGN;
    }
    if (span->kind == SPAN_NONE) {
        return span == &span_gone ? REPORT_DOUBLE_FREE : REPORT_NOT_ALLOCATED;
    }
    if (span->kind == SPAN_LARGE) {
        return p == span->start ? NULL : REPORT_INTERIOR;
    }
    if (!span_has_block_at(span, p)) {
        size_t offset = (size_t)((const char *)p - span->start);

        return offset / span->block_size >= span->linked ? REPORT_NOT_ALLOCATED : REPORT_INTERIOR;
    }
    if (remote_state(atomic_load_acquire(&span->remote)) == SPAN_COLD) {
        return NULL; /* its data is not touched; pool_free_cold looks under the lock */
    }
    return block_is_linked(p) ? REPORT_DOUBLE_FREE : NULL;
}

void
heap_free_slow(void *p, span_t *span)
{
    const char *error = heap_pointer_error(p, span);
    heap_t *heap = heap_self();

    if (unlikely(error != NULL)) {
        report_pointer("free", error, p, span);
        return;
    }
    if (span->kind == SPAN_LARGE) {
        large_free(p, span);
        return;
    }
    if (unlikely(heap == &heap_empty)) {
        heap = heap_attach(); /* a thread that only frees: it may own spans like any other */
    }
    remote_free(heap, span, p);
}
