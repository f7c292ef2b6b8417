/* SPDX-License-Identifier: MIT */
/*
 * The hot half of freeing another heap's block: put it with the others of its span that wait in the
 * freeing heap's ring. See remote.c.
 */
#ifndef TIDE_HEAP_REMOTE_H
#define TIDE_HEAP_REMOTE_H

#include "heap/heap.h"

/* What may wait per span. More: fewer atomics; less: less memory in transit. */
#define RING_BATCH_BLOCKS 64u
#define RING_BATCH_BYTES 4096u

void remote_batch_send(heap_t *heap, remote_batch_t *batch);

TIDE_HOT void
remote_ring_add(heap_t *heap, span_t *span, block_t *block)
{
    remote_batch_t *batch = &heap->ring[space_slice_of(span->start) % HEAP_RING_LEN];

    if (likely(batch->span == span)) {
        block_link(block, batch->head);
        batch->head = block;
        batch->count++;
    } else {
        if (batch->span != NULL) {
            remote_batch_send(heap, batch);
        }
        block_link(block, list_end());
        *batch = (remote_batch_t){span, block, block, 1, 0};
        heap->ring_used++;
    }
    if (unlikely(batch->count >= RING_BATCH_BLOCKS ||
                 batch->count * span->block_size >= RING_BATCH_BYTES)) {
        remote_batch_send(heap, batch);
    }
}

#endif
