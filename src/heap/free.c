/* SPDX-License-Identifier: MIT */
/*
 * The slow side of free: blocks of other heaps, of nobody, large ones, errors; and what happens
 * when a span of ours has become (nearly) empty.
 *
 * Policy of the two thresholds: a span with no live block is released (and waits as a spare one for
 * any class). A span with few (see live_floor_of) goes to the pool when the heap has others with
 * room and the frees have come to one of those: a span that is mostly free should not wait for a
 * thread that may never allocate again, and what is pooled can be purged around its survivors by
 * the keeper. Its last frees then cost a compare-and-swap each (batched per span).
 */
#include "heap/free.h"

#include "base/assert.h"
#include "base/random.h"
#include "heap/remote.h"
#include "heap/report.h"
#include "heap/sample.h"
#include "heap/transfer.h"

#define WITH_ROOM_KEEP 2u /* spans with room a heap keeps per class however empty they are */

static void
with_room_add(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];

    span->flags |= SPAN_FLAG_ON_LIST;
    span->previous = NULL;
    span->next = hc->with_room;
    if (hc->with_room != NULL) {
        hc->with_room->previous = span;
    } else {
        hc->oldest = span;
    }
    hc->with_room = span;
    hc->with_room_count++;
}

void
heap_with_room_remove(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];

    tide_assert((span->flags & SPAN_FLAG_ON_LIST) != 0);
    span->flags &= (uint8_t)~SPAN_FLAG_ON_LIST;
    if (span->previous != NULL) {
        span->previous->next = span->next;
    } else {
        hc->with_room = span->next;
    }
    if (span->next != NULL) {
        span->next->previous = span->previous;
    } else {
        hc->oldest = span->previous;
    }
    span->next = span->previous = NULL;
    hc->with_room_count--;
}

/* What others freed in the heap's oldest span of the class comes home; a heap that does not
 * allocate the class passes the span on. Once per claim, so neither can pile up. */
static void
visit_oldest(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    span_t *span = hc->oldest;
    block_t *chain = list_end();
    uint32_t count;

    if (hc->with_room_count <= WITH_ROOM_KEEP) {
        return;
    }
    count = span_take_remote(span, &chain);
    if (count > 0) {
        block_t *tail = chain;

        while (!is_list_end(tail->next) && block_is_linked(tail)) {
            tail = tail->next;
        }
        span_add_free(heap, span, chain, tail, count);
    } else if (hc->current == NULL && hc->with_room_count > 2 * WITH_ROOM_KEEP) {
        heap_with_room_remove(heap, span);
        span_let_go(heap, span, span->left + span->live_floor);
        return;
    }
    if (hc->oldest == span && hc->with_room != span) { /* next time another one */
        heap_with_room_remove(heap, span);
        with_room_add(heap, span);
    }
}

/* The number of live blocks at which a span is better off in the pool: half of it where that may
 * leave os pages to give back, or other threads could use it; else an eighth. */
static uint32_t
live_floor_of(const span_t *span)
{
    if (atomic_load_relaxed(&heap_live_count) > 1 && pool_is_wanted(span->size_class)) {
        return span->capacity / 2;
    }
    return (uint32_t)min_zu(size_classes[span->size_class].keep_live, span->capacity / 2);
}

/* A span that is freed from one end to the other is all free soon after it was nearly so: it goes
 * to the pool only when the frees have come to another one. */
static void
visit_latest(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    span_t *span = hc->with_room;
    uint32_t floor;

    if (hc->with_room_count <= WITH_ROOM_KEEP || span->live_floor != 0) {
        return;
    }
    floor = live_floor_of(span);
    if (span->left <= floor) {
        heap_with_room_remove(heap, span);
        span_let_go(heap, span, span->left);
    } else { /* the floor was higher when the countdown ran out: another one */
        span->live_floor = (uint16_t)floor;
        span->left -= floor;
    }
}

void
span_claim(heap_t *heap, span_t *span, uint32_t live)
{
    uint32_t floor;

    if (heap != NULL) {
        visit_latest(heap, span->size_class);
        visit_oldest(heap, span->size_class);
    }
    floor = live_floor_of(span);
    if (floor >= live) {
        floor = 0;
    }
    span->live_floor = (uint16_t)floor;
    span->left = live - floor;
    if (heap != NULL) {
        with_room_add(heap, span);
        counter_add(&heap->counters.claimed, 1);
        span_set_owner(span, span_owner_word(heap, span->size_class, OWNER_DIRECT));
    }
}

/* The span's countdown ran out. */
static void
span_look(heap_t *heap, span_t *span)
{
    heap_class_t *hc = &heap->classes[span->size_class];
    uint32_t live = span->live_floor;

    if (hc->current == span) {
        return; /* all free, but we are allocating from it */
    }
    if (live == 0 || (hc->with_room_count > WITH_ROOM_KEEP && hc->with_room != span)) {
        heap_with_room_remove(heap, span);
        span_let_go(heap, span, live);
        return;
    }
    span->live_floor = 0;
    span->left = live;
}

void
heap_free_look(heap_t *heap, span_t *span)
{
    span_look(heap, span);
    heap_poke_keeper(); /* last: it may start a thread, which allocates */
}

void
span_add_free(heap_t *heap, span_t *span, block_t *head, block_t *tail, uint32_t count)
{
    uint32_t live = span->left + span->live_floor - count;

    block_link(tail, span->own);
    span->own = head;
    if (heap == NULL) {
        span_let_go(NULL, span, live);
    } else if (live > span->live_floor) {
        span->left = live - span->live_floor;
    } else {
        span->live_floor = (uint16_t)live;
        span->left = 0;
        span_look(heap, span);
    }
}

/* A block from a bin goes back to its span, whoever has that by now. */
static void
route(heap_t *heap, block_t *block)
{
    span_t *span = space_span_of(block);
    uintptr_t owner = span_owner(span);
    unsigned c = span->size_class;
    heap_class_t *hc = &heap->classes[c];
    bool bin_full = bin_room(&heap->bins[c]) <= 0;

    if (OWNER_KEY(owner) != heap->key) {
        remote_free(heap, span, block);
        return;
    }
    hc->bin_full |= bin_full;
    if (hc->current == span) {
        if ((owner & OWNER_DIRECT) == 0 && bin_full) {
            /* It is not asked again before a span refills it. */
            span_set_owner(span, span_owner_word(heap, c, OWNER_DIRECT));
        }
    } else if ((owner & OWNER_DIRECT) == 0) {
        uint64_t full = (uint64_t)SPAN_FULL << REMOTE_STATE_SHIFT;

        /* Lent: ours again unless another thread is faster. */
        if (!atomic_cas_acquire(&span->remote, &full, 0)) {
            remote_free(heap, span, block);
            return;
        }
        span_claim(heap, span, span->capacity);
    }
    block_link(block, span->own);
    span->own = block;
    if (--span->left == 0) {
        span_look(heap, span);
    }
}

static void
route_list(heap_t *heap, block_t *list)
{
    while (!is_list_end(list)) {
        block_t *next = list->next;

        if (!block_is_linked(list)) {
            report_pointer("free", REPORT_CORRUPTED, list, space_span_of(list));
            return; /* what hung behind the damage counts as live for good */
        }
        route(heap, list);
        list = next;
    }
}

static void
count_open_bins(heap_t *heap, uint32_t more)
{
    heap->open_bins += more;
    if (heap == heap_self()) {
        heap_front_reach(heap);
    }
}

static void
bin_be_open(heap_t *heap, unsigned size_class)
{
    bin_t *bin = &heap->bins[size_class];

    if (!bin->open) {
        bin->open = 1;
        if (bin_room(bin) > (int32_t)transfer_chain_blocks(size_class)) {
            bin_set_room(heap, size_class, (int32_t)transfer_chain_blocks(size_class));
        }
        count_open_bins(heap, 1);
    }
}

void
heap_bin_be_strict(heap_t *heap, unsigned size_class)
{
    bin_t *bin = &heap->bins[size_class];

    heap->classes[size_class].foreign = 0;
    if (bin->open) {
        bin->open = 0;
        count_open_bins(heap, (uint32_t)-1);
    }
}

/* An open bin that is full is laid aside; what was laid aside before goes to the transfer list.
 * (The loaded and the previous magazine: Bonwick and Adams, "Magazines and Vmem", USENIX 2001.) */
static void
bin_pass_on(heap_t *heap, unsigned size_class)
{
    bin_t *bin = &heap->bins[size_class];
    heap_class_t *hc = &heap->classes[size_class];
    block_t *chain = hc->aside;

    bin_set_room(heap, size_class, (int32_t)transfer_chain_blocks(size_class));
    if (is_list_end(bin->head)) {
        return;
    }
    hc->aside = bin->head;
    bin->head = list_end();
    if (size_classes[size_class].size > TRANSFER_SMALL) { /* a handful is no chain to keep */
        chain = hc->aside;
        hc->aside = NULL;
    }
    if (chain != NULL) {
        if (transfer_put(size_class, chain)) {
            transfer_count_given(hc);
            if (hc->foreign < FOREIGN_GIVES_ONLY &&
                random_next(&heap->random) % FOREIGN_AGAIN == 0) {
                heap_bin_be_strict(heap, size_class);
            }
        } else {
            heap_bin_be_strict(heap, size_class);
            route_list(heap, chain);
        }
    }
    heap_poke_keeper();
}

static TIDE_NOINLINE void
pass_on_and_free(void *p, unsigned size_class)
{
    bin_pass_on(heap_self(), size_class);
    heap_free(p); /* the bin may be strict now */
}

static TIDE_NOINLINE void
free_direct(void *p, const slice_t *slice)
{
    uintptr_t bin = atomic_load_relaxed(&slice->owner) - heap_front.origin;

    heap_free_direct(p, slice, bin - FRONT_STRICT(&heap_front));
}

/* The bin is full. What it took too many of while nobody looked goes home. */
static void
drop_excess(heap_t *heap, unsigned c)
{
    bin_t *bin = &heap->bins[c];

    while (bin_room(bin) < 0 && !is_list_end(bin->head) && block_is_linked(bin->head)) {
        block_t *block = bin->head;

        bin->head = block->next;
        bin->left++;
        route(heap, block);
    }
    bin_set_room(heap, c, 0);
}

static TIDE_NOINLINE void
free_into_full(void *p, const slice_t *slice, unsigned c)
{
    heap_t *heap = heap_self();

    drop_excess(heap, c);
    if (heap->bins[c].open) {
        pass_on_and_free(p, c);
    } else {
        free_direct(p, slice);
    }
}

/* While a bin is in balance, looks come less and less often. */
TIDE_HOT int32_t
frees_until_look(const heap_class_t *hc, unsigned c, int32_t room, bool open)
{
    int32_t armed_frees = (int32_t)((uint32_t)hc->armed >> 16);
    int32_t frees = 2 * armed_frees + 1;

    if (open || (int16_t)hc->armed - room > armed_frees / 4) {
        return room;
    }
    frees = frees > size_classes[c].horizon ? size_classes[c].horizon : frees;
    return frees < room ? room : frees;
}

void
heap_free_counted(void *p, const slice_t *slice, bin_t *bin)
{
    heap_t *heap = heap_self();
    unsigned c = (unsigned)(bin - heap->bins);
    heap_class_t *hc = &heap->classes[c];
    int32_t left = bin->left + BIN_FREE;
    int32_t room = (int16_t)left - 1;
    int32_t frees;
    uintptr_t sum;

    if (unlikely(room < 0)) {
        bin->left = left;
        free_into_full(p, slice, c);
        return;
    }
    if (!heap_free_check(p, slice, &sum)) {
        bin->left = left;
        return;
    }
    heap_free_push(p, bin->head, sum);
    bin->head = p;
    if (unlikely(hc->foreign != 0) && !bin->open) {
        transfer_count_own(hc, bin_frees_since_armed(bin, hc));
    }
    frees = frees_until_look(hc, c, room, bin->open);
    if (likely(heap_is_quiet(heap))) {
        bin_arm(bin, hc, room, frees);
    } else if (!sample_try_arm(heap, c, bin_until(left, hc) - 1, room, frees)) {
        sample_looked(heap, c, left, frees);
    }
}

/* As short as heap_free where the bin is open and has room. */
void
heap_free_open(void *p, const slice_t *slice)
{
    block_t *block = p;
    heap_front_t *front = &heap_front;
    uintptr_t owner = atomic_load_relaxed(&slice->owner);
    bin_t *bin = (bin_t *)((char *)front + OWNER_BIN(owner));
    uintptr_t sum;

    if (unlikely(!bin->open) && (owner - front->origin >= FRONT_STRICT(front) || bin->left == 0)) {
        free_direct(p, slice);
        return;
    }
    if (unlikely(!bin_take_room(bin))) {
        heap_free_counted(p, slice, bin);
        return;
    }
    if (heap_free_check(block, slice, &sum)) {
        heap_free_push(block, bin->head, sum);
        bin->head = block;
    }
}

void
heap_empty_bin(heap_t *heap, unsigned size_class)
{
    bin_t *bin = &heap->bins[size_class];
    heap_class_t *hc = &heap->classes[size_class];
    span_t *span = hc->current;
    block_t *list = bin->head;
    block_t *aside = hc->aside;

    bin->head = list_end();
    hc->aside = NULL;
    heap_bin_be_strict(heap, size_class);
    hc->bin_more = 0;
    hc->bin_full = false;
    bin_set_room(heap, size_class, size_classes[size_class].bin_limit);
    if (span != NULL) {
        hc->current = NULL;
        with_room_add(heap, span);
        span_set_owner(span, span_owner_word(heap, size_class, OWNER_DIRECT));
        if (span->left == 0) { /* nothing of it is out, not even in the bin */
            span_look(heap, span);
        }
    }
    route_list(heap, list);
    if (aside != NULL) {
        route_list(heap, aside);
    }
}

void
heap_let_go_with_room(heap_t *heap, uint32_t keep)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        while (heap->classes[c].with_room_count > keep) {
            span_t *span = heap->classes[c].oldest;

            heap_with_room_remove(heap, span);
            span_let_go(heap, span, span->left + span->live_floor);
        }
    }
}

void
heap_let_go_all(heap_t *heap)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        heap_empty_bin(heap, c);
        heap->classes[c].spans = 0;
    }
    heap_let_go_with_room(heap, 0);
    /* What the bins held of others' spans waits in the ring; sending it may take spans over. */
    remote_flush(heap);
    heap_let_go_with_room(heap, 0);
    large_let_go_cache(heap);
    span_let_go_spare(heap, 0);
}

TIDE_COLD void
heap_free_misplaced(void *p)
{
    const span_t *span = space_span_of(p);

    if (span == NULL) {
        foreign_free(p);
    } else {
        report_pointer("free", heap_pointer_error(p, span), p, span);
    }
}

TIDE_COLD void
heap_free_twice(void *p)
{
    report_pointer("free", REPORT_DOUBLE_FREE, p, space_span_of(p));
}

const char *
heap_pointer_error(const void *p, const span_t *span)
{
    if (span == NULL) {
        return REPORT_FOREIGN;
    }
    if (span->kind == SPAN_NONE) {
        return span == &span_none ? REPORT_NOT_ALLOCATED : REPORT_DOUBLE_FREE;
    }
    if (span->kind == SPAN_LARGE) {
        if (atomic_load_relaxed(&span->remote) == LARGE_FREED) {
            return REPORT_DOUBLE_FREE; /* freed, and kept for the next block of its size */
        }
        return p == span->start ? NULL : REPORT_INTERIOR;
    }
    if (!slice_has_block_at(space_slice_at(p), p)) {
        size_t offset = (size_t)((const char *)p - span->start);

        return offset / span->block_size >= span->linked ? REPORT_NOT_ALLOCATED : REPORT_INTERIOR;
    }
    /* In a cold span, too: the block may wait in a bin. If it is free for the span, its page may be
     * gone and read as zero; pool_free_cold finds that out. */
    return block_is_linked(p) ? REPORT_DOUBLE_FREE : NULL;
}

/* All that is not another heap's small block, or may be an error. */
TIDE_NOINLINE static void
free_rare(void *p, span_t *span)
{
    const char *error = heap_pointer_error(p, span);
    heap_t *heap = heap_self();

    if (unlikely(error != NULL)) {
        report_pointer("free", error, p, span);
        return;
    }
    if (span->kind == SPAN_LARGE) {
        large_free(p, span);
        return;
    }
    if (span->kind == SPAN_SAMPLED) {
        sample_free(p, span);
        return;
    }
    if (unlikely(heap == &heap_empty)) {
        heap = heap_attach(); /* a thread that only frees: it may own spans like any other */
    }
    remote_free(heap, span, p);
}

/* Another heap's block: enough of those, and the bin takes them from the next one on. */
static void
count_foreign(heap_t *heap, unsigned c)
{
    heap_class_t *hc = &heap->classes[c];
    uint32_t enough = FOREIGN_WEIGHT * transfer_keep_after(c);

    if (heap->bins[c].open) {
        return; /* it counts other things now */
    }
    /* No more than enough: while there is no room the count is not to grow for later. */
    hc->foreign = (uint16_t)min_zu(hc->foreign + FOREIGN_WEIGHT, enough);
    if (hc->foreign == enough && transfer_has_room(c)) {
        hc->foreign = FOREIGN_MOST;
        bin_be_open(heap, c);
    }
}

void
heap_free_slow(void *p)
{
    heap_t *heap = heap_self();
    span_t *span = space_span_of(p);
    enum span_state state;

    if (span == NULL) {
        if (p != NULL) {
            foreign_free(p);
        }
        return;
    }
    if (atomic_load_relaxed(&span->kind) == SPAN_LARGE && p == span->start) {
        large_free(p, span);
        return;
    }
    state = remote_state(atomic_load_acquire(&span->remote));
    if (likely(atomic_load_relaxed(&span->kind) == SPAN_SMALL && heap != &heap_empty) &&
        state != SPAN_COLD && slice_has_block_at(space_slice_at(p), p) && !block_is_linked(p)) {
        uintptr_t owner_key = OWNER_KEY(span_owner(span));

        if (owner_key == heap->key) {
            route(heap, p); /* lent or current, and the bin is full */
            return;
        }
        if (owner_key != OWNER_NOBODY_KEY) {
            count_foreign(heap, span->size_class);
        }
        if (state != SPAN_FULL) {
            remote_ring_add(heap, span, p);
            return;
        }
    }
    free_rare(p, span);
}
