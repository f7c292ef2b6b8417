/* SPDX-License-Identifier: MIT */
/*
 * The slow side of malloc: the bin is empty. Looked for in order of cost: what others freed in the
 * current span, its blocks never used so far, another span of this heap with room, a span from
 * the pool, a new span. A span that is used up is lent: its owner's frees still reach the bin
 * without an atomic, but the first other thread that frees in it takes it over, so memory follows
 * need and not each thread's past peak.
 */
#include <errno.h>

#include "base/assert.h"
#include "heap/alloc.h"
#include "heap/callers.h"
#include "heap/report.h"
#include "heap/sample.h"
#include "heap/transfer.h"

#define LOOK_AROUND_REFILLS 128u
#define BIN_STEP 8u /* blocks; 1 takes too long (live-wide 9 % slower) */

/* Blocks that move from a span's list, or fresh, into the bin count as live. */
static bool
moved_to_bin(span_t *span, uint32_t count)
{
    span->left += count;
    return count > 0;
}

/* Cuts a list behind its first `most` blocks; what was behind. *count says how many it has then. A
 * damaged link ends it: that is found and reported when it is handed out. */
static block_t *
cut_behind(block_t *list, uint32_t most, uint32_t *count)
{
    block_t *rest;
    uint32_t n = 1;

    while (n < most && !is_list_end(list->next) && block_is_linked(list)) {
        list = list->next;
        n++;
    }
    if (!block_is_linked(list)) {
        return list_end();
    }
    rest = list->next;
    block_link(list, list_end());
    *count = n;
    return rest;
}

/* How many blocks the bin takes until the next refill: more than before if it was full and then
 * empty. So a thread keeps many blocks of what it frees and allocates over and over, and few of all
 * else. */
static int32_t
bin_takes(heap_class_t *hc, const struct size_class *sc)
{
    if (hc->bin_full) {
        hc->bin_full = false;
        hc->bin_more = (uint8_t)min_zu(hc->bin_more + BIN_STEP, sc->bin_most - sc->bin_limit);
    }
    return sc->bin_limit + hc->bin_more;
}

/* Fills the bin from the span's list. An open bin, whose chains travel, takes no more than one. */
static bool
refill_from_list(heap_t *heap, unsigned c, span_t *span)
{
    bin_t *bin = &heap->bins[c];
    uint32_t count = 0;

    bin->head = span->own;
    span->own = list_end();
    if (bin->open) {
        span->own = cut_behind(bin->head, transfer_chain_blocks(span->size_class), &count);
    }
    if (is_list_end(span->own)) {
        count = span_linked(span) - span->bitmap_count - span->left;
    }
    if (!bin->open) {
        transfer_count_own(&heap->classes[c],
                           count + bin_frees_since_armed(bin, &heap->classes[c]));
    }
    bin_refilled(heap, c, count, bin->open ? 0 : bin_takes(&heap->classes[c], &size_classes[c]));
    return moved_to_bin(span, count);
}

/* More blocks from the current span. */
static bool
refill_from(heap_t *heap, unsigned c, span_t *span)
{
    if (is_list_end(span->own)) {
        /* On the list they do not count as live. */
        span->left -= span_take_remote(span, &span->own);
    }
    if (is_list_end(span->own)) {
        (void)span_extend(span, &span->own);
    }
    return !is_list_end(span->own) && refill_from_list(heap, c, span);
}

/* The span has handed out everything. It stays ours for our own frees, which go to the bin; the
 * first other thread that frees in it takes it over. False: others freed in it just now. */
static bool
lend(span_t *span)
{
    uint64_t none = 0;

    /* Release pairs with the acquire of whoever takes it over. */
    return atomic_cas_release(&span->remote, &none, (uint64_t)SPAN_FULL << REMOTE_STATE_SHIFT);
}

static void
make_current(heap_t *heap, span_t *span, unsigned c, uint32_t live)
{
    span->left = live;
    span->live_floor = 0;
    heap->classes[c].current = span;
    span_set_owner(span, span_owner_word(heap, c, 0));
}

/* The next span to allocate from becomes the current one. */
static span_t *
next_span(heap_t *heap, unsigned c)
{
    span_t *span = heap->classes[c].with_room;
    uint32_t live = 0;

    if (span != NULL) {
        heap_with_room_remove(heap, span);
        live = span->left + span->live_floor;
    } else if ((span = pool_take(c)) != NULL) {
        live = atomic_load_relaxed(&span->pool_live);
        counter_add(&heap->counters.pool_takes, 1);
    } else {
        span = span_new_small(heap, c);
    }
    if (span != NULL) {
        make_current(heap, span, c, live);
    }
    return span;
}

/* Fills the empty bin with a chain, which is all that it should hold if it is open. */
static bool
take_chain(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    block_t *chain = hc->aside;

    hc->aside = NULL;
    if (chain == NULL && !transfer_is_empty(c)) {
        chain = transfer_take(c);
        if (chain != NULL && heap->bins[c].open) {
            transfer_count_taken(hc);
        }
    }
    if (chain == NULL) {
        return false;
    }
    heap->bins[c].head = chain;
    bin_set_room(heap, c, 0);
    return true;
}

/* Fills the empty bin of the class. False: no memory. */
static bool
refill(heap_t *heap, unsigned c)
{
    bin_t *bin = &heap->bins[c];
    span_t *span = heap->classes[c].current;

    if (take_chain(heap, c)) {
        return true;
    }
    if (bin->open && (--heap->classes[c].foreign & FOREIGN_MOST) == 0) {
        heap_bin_be_strict(heap, c);
    }
    if (span != NULL && (span_owner(span) & OWNER_DIRECT) != 0) { /* the bin was full; see route */
        span_set_owner(span, span_owner_word(heap, c, 0));
    }
    do {
        while (span != NULL) {
            if (refill_from(heap, c, span)) {
                return true;
            }
            if (lend(span)) {
                heap->classes[c].current = NULL;
                break;
            }
        }
        span = next_span(heap, c);
    } while (span != NULL);
    return false;
}

static void *
pop_or_refill(heap_t *heap, unsigned c, size_t size)
{
    bin_t *bin = &heap->bins[c];

    for (;;) {
        block_t *block = bin->head;

        if (!is_list_end(block) && block_is_linked(block)) {
            uintptr_t mark = block_mark_of(block);

            bin->head = block->next;
            bin->left++;
            block->guard = 0;
            return unlikely(mark != 0) ? sample_take(heap, block, mark, size) : block;
        }
        if (!is_list_end(block)) {
            report_pointer("malloc", REPORT_CORRUPTED, block, space_span_of(block));
            bin->head = list_end(); /* what hung behind the damage counts as live for good */
        }
        if (!refill(heap, c)) {
            errno = ENOMEM;
            return NULL;
        }
    }
}

void
heap_look_around(heap_t *heap)
{
    uint32_t epoch = atomic_load_relaxed(&heap_trim_epoch);

    heap->collect_at = LOOK_AROUND_REFILLS;
    span_forget_made(heap);
    remote_flush(heap);
    if (unlikely(heap->trim_epoch != epoch)) {
        heap->trim_epoch = epoch;
        heap_let_go_all(heap);
    }
    heap_poke_keeper();
}

TIDE_NOINLINE static void *
alloc_without_heap(size_t size)
{
    heap_t *heap = heap_attach();

    return heap != NULL ? pop_or_refill(heap, size_class_of(size), size)
                        : heap_fallback_alloc(size_class_of(size));
}

void *
heap_alloc_slow(size_t size)
{
    CALLERS_NOTE(heap_self());
    return heap_alloc_slow_inside(size);
}

void *
heap_alloc_slow_inside(size_t size)
{
    heap_t *heap = heap_self();

    if (size == 0) { /* `none` never has a block; size 1 has */
        return heap_alloc(1);
    }
    if (size > TIDE_SMALL_MAX) {
        void *p = large_alloc_kept(heap, size); /* the empty heap keeps none */

        return p != NULL ? p : heap_alloc_large(size);
    }
    if (unlikely(heap == &heap_empty)) {
        return alloc_without_heap(size);
    }
    counter_add(&heap->counters.refills, 1);
    if (unlikely(--heap->collect_at == 0)) {
        heap_look_around(heap);
    }
    return pop_or_refill(heap, size_class_of(size), size);
}

static lock_t fallback_lock;
static heap_t *fallback; /* atomic: set once; its fields are under lock(fallback) */

/* Made outside the fallback lock, which ranks above the one for the list of heaps. */
static heap_t *
fallback_heap(void)
{
    heap_t *heap = atomic_load_acquire(&fallback);
    heap_t *none = NULL;

    if (heap != NULL) {
        return heap;
    }
    heap = heap_new(NULL);
    if (heap == NULL) { /* no memory, or others were faster and had the last numbers */
        return atomic_load_acquire(&fallback);
    }
    if (!atomic_cas_acq_rel(&fallback, &none, heap)) {
        heap = none; /* another thread was faster; ours stays unused */
    }
    return heap;
}

void *
heap_fallback_alloc(unsigned size_class)
{
    heap_t *heap = tide_init_once() == 0 ? fallback_heap() : NULL;
    void *p;

    if (heap == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    lock_acquire(&fallback_lock);
    p = pop_or_refill(heap, size_class, size_classes[size_class].size);
    lock_release(&fallback_lock);
    return p;
}

void
heap_fallback_lock(bool acquire, bool in_child)
{
    if (acquire) {
        lock_acquire(&fallback_lock);
    } else {
        lock_release_after_fork(&fallback_lock, in_child);
    }
}
