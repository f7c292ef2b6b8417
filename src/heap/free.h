/* SPDX-License-Identifier: MIT */
/*
 * The hot half of free; alloc.h's mirror. Call tree:
 *   heap_free       address → slice → mine, room in the bin, sound → push   nearly always
 *     heap_free_direct   to the span's own list: it has room, or the bin is full
 *     heap_free_slow     another thread's span, nobody's, one whose bin is full, a large block,
 *                        not ours at all
 *     heap_free_open     some bins take blocks of all spans
 *     heap_free_misplaced, heap_free_twice
 *     heap_free_look     the span's countdown ran out: it is (nearly) empty
 *
 * Blocks of the current span and of full spans that are still ours go to the bin, while it has
 * room, and are the next to be handed out; blocks of spans that have room (and of the current one
 * from when the bin is full until it is refilled) go to their span, so that emptiness is seen at
 * once.
 */
#ifndef TIDE_HEAP_FREE_H
#define TIDE_HEAP_FREE_H

#include "heap/heap.h"

/* False, after the report: the pointer is no block's start, or the block is free already. *sum:
 * what a free block's guard is made of but for the next block (block_is_linked and block_link
 * share it). */
TIDE_HOT bool
heap_free_check(block_t *block, const slice_t *slice, uintptr_t *sum)
{
    *sum = heap_guards.word + (uintptr_t)block;
    if (unlikely(!slice_has_block_at(slice, block))) {
        heap_free_misplaced(block);
        return false;
    }
    if (unlikely((uintptr_t)block->next + *sum == block->guard)) {
        heap_free_twice(block);
        return false;
    }
    return true;
}

TIDE_HOT void
heap_free_push(block_t *block, block_t *head, uintptr_t sum)
{
    block->next = head;
    block->guard = (uintptr_t)head + sum;
}

/* A block that does not go to the bin: to its span if that is ours and has room. `beyond` is how
 * far what would be its bin is above FRONT_STRICT of the front. */
TIDE_HOT void
heap_free_direct(block_t *block, const slice_t *slice, uintptr_t beyond)
{
    uintptr_t sum;
    span_t *span;

    if (beyond >= OWNER_DIRECT) {
        heap_free_slow(block);
        return;
    }
    if (!heap_free_check(block, slice, &sum)) {
        return;
    }
    span = atomic_load_hot(&slice->span);
    heap_free_push(block, span->own, sum);
    span->own = block;
    if (unlikely(--span->left == 0)) {
        heap_free_look(heap_self(), span);
    }
}

TIDE_HOT void
heap_free(void *p)
{
    block_t *block = p;
    slice_t *slice = space_slice_at(p);
    front_t *front = front_self();
    bin_t *bin = (bin_t *)(atomic_load_hot(&slice->owner) - front->origin);
    uintptr_t sum;

    if (unlikely((uintptr_t)bin >= front->reach)) {
        TIDE_OPAQUE(front); /* or reach would be loaded for here */
        if (front->reach == FRONT_OPEN) {
            heap_free_open(block, slice);
        } else {
            heap_free_direct(block, slice, (uintptr_t)bin - front->reach);
        }
        return;
    }
    if (unlikely(!bin_take_room(bin))) {
        if (bin->left != -BIN_FREE) {
            heap_free_counted(block, slice, bin);
            return;
        }
        bin->left = 0; /* full, and known to be */
        heap_free_slow(block);
        return;
    }
    if (!heap_free_check(block, slice, &sum)) {
        return; /* the bin takes one less for it */
    }
    heap_free_push(block, bin->head, sum);
    bin->head = block;
}

#endif
