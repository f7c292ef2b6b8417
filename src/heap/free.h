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
    size_t slice = space_slice_of(p);
    span_t *span;
    block_t **sink;
    uintptr_t key;

    if (unlikely(slice >= atomic_load_hot(&space.slice_limit))) {
        foreign_free(p);
        return;
    }
    span = atomic_load_hot(&space.map[slice]);
    if (unlikely(atomic_load_hot(&span->owner) != heap_self_key)) {
        heap_free_slow(p, span);
        return;
    }
    if (unlikely(!span_has_block_at(span, p))) {
        heap_free_misplaced(p, span);
        return;
    }
    key = heap_guard + (uintptr_t)block; /* block_is_linked and block_link, sharing a sum */
    if (unlikely((uintptr_t)block->next + key == block->guard)) {
        heap_free_twice(p, span);
        return;
    }
    sink = span->sink;
    block->next = *sink;
    block->guard = (uintptr_t)*sink + key;
    *sink = block;
    if (unlikely(--span->left == 0)) {
        heap_free_look(heap_self(), span);
    }
}

#endif
