/* SPDX-License-Identifier: MIT */
/*
 * The hot half of malloc. Call tree:
 *   heap_alloc      size → class → bin → pop                     nearly always
 *     heap_alloc_slow   the bin is empty, a link is damaged, or the thread has no heap yet
 *       span_take_remote, span_extend, another span, a new span (refill.c)
 *     large_alloc       above TIDE_SMALL_MAX
 *
 * One compare answers "is there a block", "is its link whole" and "is this thread initialised":
 * list end, with which the bins of a thread without a heap begin, fails it like a damaged link
 * does. The size is the only argument and stays in its register for the tail calls.
 */
#ifndef TIDE_HEAP_ALLOC_H
#define TIDE_HEAP_ALLOC_H

#include "heap/heap.h"

/* The pop; NULL when it takes the slow path. */
TIDE_HOT void *
heap_try_pop(size_t size)
{
    front_t *front = front_self();
    size_t at = (size + 15) >> TIDE_CLASS_STEP_SHIFT;
    block_t *block;
    block_t *next;
    uintptr_t sum;

    if (likely(size <= TIDE_FRONT_SIZE_MAX)) {
        at = front->lookup[at];
    } else if (size <= TIDE_SMALL_MAX) {
        at = size_class_lookup[at];
    } else {
        return NULL;
    }
    block = front_bin(front, 8 * at)->head;
    TIDE_IN_RESULT(block);
    next = block->next;
    sum = (uintptr_t)block + (uintptr_t)next;
    TIDE_OPAQUE(sum);
    if (unlikely(sum + atomic_load_hot(&heap_guards.word) != block->guard)) { /* !block_is_linked */
        return NULL;
    }
    TIDE_OPAQUE(at); /* or the sum with front would cost an instruction */
    front_bin(front, 8 * at)->head = next;
    __builtin_prefetch(next); /* to read: it may be a list end */
    TIDE_OPAQUE(at);
    front_bin(front, 8 * at)->left++;
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
