/* SPDX-License-Identifier: MIT */
/*
 * The hot half of free; alloc.h's mirror. Call tree:
 *   heap_free       address → span → mine, a block's start, not free already → push
 *     foreign_free       not below the frontier: NULL, a block of libc's, an error
 *     heap_free_slow     another thread's span, nobody's, a large block, no span at all
 *     heap_free_misplaced, heap_free_twice
 *     heap_free_look     the countdown ran out: the span is (nearly) empty
 */
#ifndef TIDE_HEAP_FREE_H
#define TIDE_HEAP_FREE_H

#include "heap/heap.h"

TIDE_HOT void
heap_free(void *p)
{
    block_t *block = p;
    span_t *span = space_span_of(p);
    heap_t *heap;
    sink_t *sink;
    block_t *head;

    if (unlikely(span == NULL)) {
        foreign_free(p);
        return;
    }
    heap = heap_self;
    if (unlikely(atomic_load_relaxed(&span->owner) != heap)) {
        heap_free_slow(p, span);
        return;
    }
    if (unlikely(!span_has_block_at(span, p))) {
        heap_free_misplaced(p, span);
        return;
    }
    if (unlikely(block_is_linked(block, heap->guard))) {
        heap_free_twice(p, span);
        return;
    }
    sink = span->sink;
    head = sink->head;
    block_link(block, head, heap->guard);
    sink->head = block;
    if (unlikely(--sink->left == 0)) {
        heap_free_look(heap, span, sink);
    }
}

#endif
