/* SPDX-License-Identifier: MIT */
/*
 * The hot half of free; alloc.h's mirror. Call tree:
 *   heap_free       address → span → mine, room in the bin, sound → push   nearly always
 *     foreign_free       not below the frontier: NULL, a block of libc's, an error
 *     heap_free_direct   to the span's own list: it has room, or the bin is full
 *     heap_free_slow     another thread's span, nobody's, lent, a large block, no span at all
 *     heap_free_pass_on  the bin is full and passes blocks on to other threads
 *     heap_free_misplaced, heap_free_twice
 *     heap_free_look     the span's countdown ran out: it is (nearly) empty
 *
 * Blocks of the current span and of full spans that are still ours go to the bin, while it has
 * room, and are the next to be handed out; blocks of spans that have room go to their span, so that
 * emptiness is seen at once.
 */
#ifndef TIDE_HEAP_FREE_H
#define TIDE_HEAP_FREE_H

#include "heap/heap.h"

/* Puts the block in front of the list. False, after the report: the pointer is no block's start, or
 * the block is free already (block_is_linked and block_link, sharing a sum). */
TIDE_HOT bool
heap_free_push(block_t *block, const span_t *span, block_t **list)
{
    uintptr_t guard = heap_guard + (uintptr_t)block;
    block_t *head;

    if (unlikely(!span_has_block_at(span, block))) {
        heap_free_misplaced(block, span);
        return false;
    }
    if (unlikely((uintptr_t)block->next + guard == block->guard)) {
        heap_free_twice(block, span);
        return false;
    }
    head = *list;
    block->next = head;
    block->guard = (uintptr_t)head + guard;
    *list = block;
    return true;
}

/* A block that does not go to the bin: to its span if that is ours. `strange` is the span's owner
 * word ^ our key. */
TIDE_HOT void
heap_free_direct(block_t *block, span_t *span, uintptr_t strange)
{
    if ((strange & (OWNER_KEY(UINTPTR_MAX) | OWNER_LENT)) != 0) {
        heap_free_slow(block, span);
        return;
    }
    if (heap_free_push(block, span, &span->own) && unlikely(--span->left == 0)) {
        heap_free_look(heap_self(), span);
    }
}

TIDE_HOT void
heap_free(void *p)
{
    block_t *block = p;
    size_t slice = space_slice_of(p);
    uintptr_t key = heap_self_key;
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
    if (likely(--bin->left >= 0)) {
        (void)heap_free_push(block, span, &bin->head); /* an error only makes the bin shorter */
        return;
    }
    bin->left = 0;
    if (bin->strict == BIN_OPEN) {
        heap_free_pass_on(block, OWNER_BIN(owner) / sizeof *bin);
    } else {
        heap_free_direct(block, span, owner ^ key);
    }
}

#endif
