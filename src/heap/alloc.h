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

void *heap_alloc_large(size_t size);

TIDE_HOT void *
heap_alloc(size_t size)
{
    heap_t *heap = heap_self();
    bin_t *bin;
    block_t *block;

    if (unlikely(size > TIDE_SMALL_MAX)) {
        return heap_alloc_large(size);
    }
    bin = (bin_t *)((char *)heap->bins + 8 * size_class_twice_of(size));
    block = bin->head;
    if (unlikely(!block_is_linked(block))) {
        return heap_alloc_slow(size);
    }
    bin->head = block->next;
    bin->left++;
    block->guard = 0;
    return block;
}

#endif
