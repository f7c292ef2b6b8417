/* SPDX-License-Identifier: MIT */
/*
 * The hot half of free; alloc.h's mirror. Call tree:
 *   heap_free       address → span → mine, a block's start, not free already → push
 *     foreign_free       not below the frontier: NULL, a block of libc's, an error
 *     heap_free_slow     another thread's span, nobody's, a large block, no span at all
 *     heap_free_misplaced, heap_free_twice
 *     heap_free_look     the span's countdown ran out: it is (nearly) empty
 *     heap_bin_look      the bin's countdown ran out: it may be too long
 *
 * Blocks of the current span and of full spans that are still ours go to the bin and are the next
 * to be handed out; blocks of spans that have room go to their span, so that emptiness is seen at
 * once.
 */
#ifndef TIDE_HEAP_FREE_H
#define TIDE_HEAP_FREE_H

#include "heap/heap.h"

/* A block that does not go to the bin: to its span if that is ours. `strange` is the span's owner
 * word ^ our key. */
TIDE_HOT void
heap_free_direct(block_t *block, span_t *span, uintptr_t strange)
{
    uintptr_t guard = heap_guard + (uintptr_t)block;

    if (OWNER_KEY(strange) != 0) {
        heap_free_slow(block, span);
        return;
    }
    if (unlikely(!span_has_block_at(span, block))) {
        heap_free_misplaced(block, span);
        return;
    }
    if (unlikely((uintptr_t)block->next + guard == block->guard)) {
        heap_free_twice(block, span);
        return;
    }
    block->next = span->own;
    block->guard = (uintptr_t)span->own + guard;
    span->own = block;
    if (unlikely(--span->left == 0)) {
        heap_free_look(heap_self(), span);
    }
}

TIDE_HOT void
heap_free(void *p)
{
    block_t *block = p;
    size_t slice = space_slice_of(p);
    uintptr_t key = heap_self_key;
    uintptr_t guard;
    uintptr_t owner;
    span_t *span;
    bin_t *bin;

    if (unlikely(slice >= atomic_load_hot(&space.slice_limit))) {
        foreign_free(p);
        return;
    }
    span = atomic_load_hot(&space.map[slice]);
    owner = atomic_load_relaxed(&span->owner);
    bin = (bin_t *)((uintptr_t)heap_self()->bins + OWNER_BIN(owner));
    if (((owner ^ key) & (uintptr_t)(intptr_t)bin->strict) != 0) {
        heap_free_direct(block, span, owner ^ key);
        return;
    }
    if (unlikely(!span_has_block_at(span, p))) {
        heap_free_misplaced(p, span);
        return;
    }
    guard = heap_guard + (uintptr_t)block; /* block_is_linked and block_link, sharing a sum */
    if (unlikely((uintptr_t)block->next + guard == block->guard)) {
        heap_free_twice(p, span);
        return;
    }
    block->next = bin->head;
    block->guard = (uintptr_t)bin->head + guard;
    bin->head = block;
    if (unlikely(--bin->left == 0)) {
        heap_bin_look(heap_self(), span->size_class);
    }
}

#endif
