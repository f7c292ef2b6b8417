/* SPDX-License-Identifier: MIT */
/*
 * Frees of blocks in spans of other heaps. They are collected per span in the freeing heap's ring
 * and travel as one chain with one compare-and-swap, so the owner takes one cache miss a span and
 * not one a block (the idea of snmalloc's BatchIt, doi:10.1145/3652024.3665506).
 *
 * A full span belongs to nobody: the first thread that frees in it becomes its owner, and its
 * further frees there are plain. So a consumer of messages pays one atomic per span.
 *
 * What waits in a ring is bounded: see remote.h.
 */
#include "heap/remote.h"

#include "heap/heap.h"
#include "heap/report.h"

static void
push_chain(heap_t *heap, span_t *span, block_t *head, block_t *tail, uint32_t count)
{
    uint64_t word = atomic_load_relaxed(&span->remote);
    /* Read while our blocks still keep the span what it is. */
    unsigned c = atomic_load_relaxed(&span->size_class);

    for (;;) {
        enum span_state state = remote_state(word);
        uint64_t next;

        if (state == SPAN_FULL) {
            /* Acquire pairs with the release in span_let_go. */
            if (atomic_cas_acquire(&span->remote, &word, 0)) {
                span_claim(heap, span, span->capacity);
                span_add_free(heap, span, head, tail, count);
                return;
            }
            continue;
        }
        if (state == SPAN_COLD) {
            if (pool_free_cold(heap, span, head, count)) {
                return;
            }
            word = atomic_load_relaxed(&span->remote);
            continue;
        }
        block_link(tail, remote_head(span, word));
        next = remote_word(state, span, head, remote_count(word) + count);
        /* Release pairs with the acquire in span_take_remote; acquire makes pool_live ours. */
        if (atomic_cas_acq_rel(&span->remote, &word, next)) {
            if (state == SPAN_POOLED &&
                remote_count(next) >= atomic_load_relaxed(&span->pool_live)) {
                pool_release_if_free(heap, span, c);
            }
            return;
        }
    }
}

void
remote_batch_send(heap_t *heap, remote_batch_t *batch)
{
    span_t *span = batch->span;

    batch->span = NULL;
    heap->ring_used--;
    counter_add(&heap->counters.remote_batches, 1);
    counter_add(&heap->counters.remote_blocks, batch->count);
    push_chain(heap, span, batch->head, batch->tail, batch->count);
}

void
remote_free(heap_t *heap, span_t *span, block_t *block)
{
    enum span_state state = remote_state(atomic_load_relaxed(&span->remote));

    if (heap == NULL || state == SPAN_FULL || state == SPAN_COLD) {
        push_chain(heap, span, block, block, 1);
    } else {
        remote_ring_add(heap, span, block);
    }
}

void
remote_free_chain(block_t *chain)
{
    while (!is_list_end(chain)) {
        block_t *next = chain->next;
        span_t *span = space_span_of(chain);

        if (!block_is_linked(chain)) {
            report_pointer("free", REPORT_CORRUPTED, chain, span);
            return; /* what hung behind the damage counts as live for good */
        }
        remote_free(NULL, span, chain);
        chain = next;
    }
}

void
remote_flush(heap_t *heap)
{
    for (unsigned i = 0; i < HEAP_RING_LEN && heap->ring_used > 0; i++) {
        if (heap->ring[i].span != NULL) {
            remote_batch_send(heap, &heap->ring[i]);
        }
    }
}
