/* SPDX-License-Identifier: MIT */
/*
 * The hot half of malloc. Call tree:
 *   heap_alloc      size → class → bin → pop                     nearly always
 *     heap_alloc_slow   the bin is empty, a link is damaged, or the thread has no heap yet
 *       span_take_remote, span_extend, another span, a new span (refill.c)
 *     large_alloc       above TIDE_SMALL_MAX
 *
 * One compare answers "is there a block", "is its link whole" and "is this thread initialised":
 * list_end and the empty heap fail it like a damaged link does. The size is the only argument and
 * stays in its register for the tail calls.
 */
#ifndef TIDE_HEAP_ALLOC_H
#define TIDE_HEAP_ALLOC_H

#include "heap/heap.h"

/* The pop; NULL when it takes the slow path. */
TIDE_HOT void *
heap_try_pop(size_t size)
{
    bin_t *bin;
    block_t *block;

    if (unlikely(size > TIDE_SMALL_MAX)) {
        return NULL;
    }
    bin = (bin_t *)((char *)heap_self()->bins + 8 * size_class_twice_of(size));
    block = bin->head;
    if (unlikely(!block_is_linked(block))) {
        return NULL;
    }
    bin->head = block->next;
    __builtin_prefetch(block->next); /* to read: list_end is everybody's */
    bin->left++;
    block->guard = 0;
    return block;
}

TIDE_HOT void *
heap_alloc(size_t size)
{
    void *p = heap_try_pop(size);

    return likely(p != NULL) ? p : heap_alloc_slow(size);
}

#endif
