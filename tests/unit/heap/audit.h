/* SPDX-License-Identifier: MIT */
/*
 * The whole truth about spans of some size classes: each block that was ever linked is exactly one
 * of live (the test has it), on its span's list, in a bin, in the bitmap, on the remote chain or
 * waiting in a heap's ring; the counts of types.h agree; each span is on the list that its state
 * names.
 *
 * Only while all other threads stand still. A test works in size classes that had no span when
 * it began, so that nobody else's blocks are among them.
 */
#ifndef TIDE_TESTS_UNIT_AUDIT_H
#define TIDE_TESTS_UNIT_AUDIT_H

#include "../unit.h"

#include "heap/transfer.h"
#include "tidemalloc.h"

/* --- the live blocks of the test -------------------------------------------------------------- */

struct held {
    unsigned char *p; /* NULL: none */
    size_t size;
    unsigned char mark;
};

/* Fills a block so that held_check notices any change: its ends, and words between. */
static TIDE_UNUSED void
held_fill(struct held *h)
{
    size_t ends = min_zu(h->size, 64);

    memset(h->p, h->mark, ends);
    memset(h->p + h->size - ends, h->mark, ends);
    for (size_t at = 512; at + 16 <= h->size; at += 1024) {
        memset(h->p + at, h->mark, 16);
    }
}

static TIDE_UNUSED bool
held_is_whole(const struct held *h)
{
    size_t ends = min_zu(h->size, 64);

    for (size_t at = 512; at + 16 <= h->size; at += 1024) {
        if (!unit_is_filled(h->p + at, h->mark, 16)) {
            return false;
        }
    }
    return unit_is_filled(h->p, h->mark, ends) &&
           unit_is_filled(h->p + h->size - ends, h->mark, ends);
}

static TIDE_UNUSED void
held_alloc(struct held *h, size_t size, unsigned char mark)
{
    *h = (struct held){tide_malloc(size), size, mark};
    require(h->p != NULL);
    require_eq((uintptr_t)h->p % 16, 0);
    held_fill(h);
}

static TIDE_UNUSED void
held_free(struct held *h)
{
    require(held_is_whole(h));
    tide_free(h->p);
    h->p = NULL;
}

/* --- what is audited -------------------------------------------------------------------------- */

#define AUDIT_SLICES ((size_t)1 << 17)
#define AUDIT_BLOCKS ((size_t)1 << 16)

static bool audit_class[TIDE_CLASS_COUNT];
static uint32_t audit_live[AUDIT_SLICES]; /* by the slice in which the span starts */
static uint8_t audit_seen[AUDIT_BLOCKS];  /* blocks of the span being looked at */

static TIDE_UNUSED size_t
audit_slice(const span_t *span)
{
    size_t slice = space_slice_of(span->start);

    require_le(slice + 1, AUDIT_SLICES);
    return slice;
}

/* Calls see() for each span of audited classes. */
static TIDE_UNUSED void
audit_each_span(void (*see)(span_t *span, void *arg), void *arg)
{
    size_t limit = atomic_load_relaxed(&space.slice_limit);

    require_le(limit, AUDIT_SLICES);
    for (size_t i = 0; i < limit; i++) {
        span_t *span = space_span_of(slice_address(i));

        if (span != NULL && span->kind == SPAN_SMALL && audit_class[span->size_class] &&
            span->start == slice_address(i)) {
            see(span, arg);
        }
    }
}

static TIDE_UNUSED void
audit_count_one(span_t *span, void *arg)
{
    (void)span;
    *(size_t *)arg += 1;
}

static TIDE_UNUSED size_t
audit_span_count(void)
{
    size_t n = 0;

    audit_each_span(audit_count_one, &n);
    return n;
}

/* Chooses up to n classes that nobody has a span of, spread over the sizes from `from` on. */
static TIDE_UNUSED size_t
audit_choose_classes(unsigned classes[], size_t n, unsigned from)
{
    size_t step = (TIDE_CLASS_COUNT - from) / n;
    size_t got = 0;

    memset(audit_class, 0, sizeof audit_class);
    for (unsigned c = from; c < TIDE_CLASS_COUNT && got < n; c++) {
        audit_class[c] = true;
        if (audit_span_count() == 0 && (got == 0 || c >= classes[got - 1] + step)) {
            classes[got++] = c;
        }
        audit_class[c] = false;
    }
    require_gt(got, 0);
    for (size_t i = 0; i < got; i++) {
        audit_class[classes[i]] = true;
    }
    return got;
}

/* --- one span --------------------------------------------------------------------------------- */

static TIDE_UNUSED void
audit_see_block(const span_t *span, const void *p)
{
    size_t offset = (size_t)((const char *)p - span->start);
    size_t i = offset / span->block_size;

    require_eq(offset % span->block_size, 0);
    require(i < span_linked(span));
    require_eq(audit_seen[i], 0); /* in one place only */
    audit_seen[i] = 1;
}

static TIDE_UNUSED uint32_t
audit_chain(const span_t *span, const block_t *head, const block_t **last)
{
    uint32_t n = 0;

    *last = NULL;
    for (const block_t *b = head; !is_list_end(b); b = b->next) {
        audit_see_block(span, b);
        require(block_is_linked(b));
        *last = b;
        n++;
    }
    return n;
}

static TIDE_UNUSED bool
audit_on_list(const span_t *list, const span_t *span)
{
    while (list != NULL && list != span) {
        list = list->next;
    }
    return list != NULL;
}

static TIDE_UNUSED uint32_t
audit_bitmap(const span_t *span)
{
    uint32_t n = 0;

    for (uint32_t i = 0; span->bitmap != NULL && i < span->capacity; i++) {
        if ((span->bitmap[i / 64] >> (i % 64) & 1) != 0) {
            audit_see_block(span, span->start + (size_t)i * span->block_size);
            n++;
        }
    }
    require_eq(span->bitmap_count, n);
    return n;
}

/* Blocks of the span on a list of blocks of its class. */
static TIDE_UNUSED uint32_t
audit_list(const span_t *span, const block_t *list)
{
    uint32_t n = 0;

    for (const block_t *b = list; !is_list_end(b); b = b->next) {
        require(block_is_linked(b));
        if (space_span_of(b) == span) {
            audit_see_block(span, b);
            n++;
        }
    }
    return n;
}

/* Blocks of the span in bins, and what was laid aside of those. */
static TIDE_UNUSED uint32_t
audit_bins(const span_t *span)
{
    uint32_t n = 0;

    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        const block_t *aside = h->classes[span->size_class].aside;

        n += audit_list(span, h->bins[span->size_class].head);
        n += aside != NULL ? audit_list(span, aside) : 0;
    }
    return n;
}

/* Blocks of the span on their way between threads. */
static TIDE_UNUSED uint32_t
audit_transfers(const span_t *span)
{
    const struct transfer *t = &transfers[span->size_class];
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->count; i++) {
        n += audit_list(span, t->chains[i]);
    }
    return n;
}

/* Blocks of the span that wait in rings. */
static TIDE_UNUSED uint32_t
audit_rings(const span_t *span)
{
    const block_t *last;
    uint32_t n = 0;

    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        for (unsigned i = 0; i < HEAP_RING_LEN; i++) {
            if (h->ring[i].span == span) {
                uint32_t count = audit_chain(span, h->ring[i].head, &last);

                require_eq(count, h->ring[i].count);
                require(last == h->ring[i].tail);
                n += count;
            }
        }
    }
    return n;
}

static TIDE_UNUSED void
audit_owned(const span_t *span, uint32_t live)
{
    const heap_t *owner = unit_owner(span);
    unsigned c = span->size_class;
    bool current;

    require(owner != NULL && owner != &heap_empty);
    current = owner->classes[c].current == span;
    require_eq(span_owner(span) | (current ? OWNER_DIRECT : 0), /* the current one may be either */
               span_owner_word(owner, c, OWNER_DIRECT));
    require_eq((span->flags & SPAN_FLAG_ON_LIST) != 0, !current);
    require_eq(audit_on_list(owner->classes[c].with_room, span), !current);
    require_eq(span->left + span->live_floor, live);
}

static TIDE_UNUSED void
audit_span(span_t *span, void *arg)
{
    const struct size_class *sc = &size_classes[span->size_class];
    uint64_t word = atomic_load_acquire(&span->remote);
    enum span_state state = remote_state(word);
    const heap_t *owner = unit_owner(span);
    const block_t *last;
    uint32_t own;
    uint32_t bits;
    uint32_t remote;
    uint32_t live; /* as the span has to count them */

    (void)arg;
    require_eq(span->block_size, sc->size);
    require_le(span->slice_count, sc->slices);
    require_eq(span->capacity, span->slice_count * SLICE_BYTES / sc->size);
    require_ge(span->capacity, 1);
    require_le(span_linked(span), span->capacity);
    require_le(span->capacity, AUDIT_BLOCKS);
    for (uint32_t i = 0; i < span->slice_count; i++) {
        const slice_t *slice = span_slice(span, i);

        require(space_span_of(span->start + ((size_t)i << SLICE_SHIFT)) == span);
        require(slice->start == span->start);
        require_eq(slice->owner, span_owner(span));
        require_eq(slice->reciprocal, sc->reciprocal);
        require_eq(slice->marks, span_linked(span) * sc->step);
    }
    memset(audit_seen, 0, span->capacity);
    own = audit_chain(span, span->own, &last);
    bits = audit_bitmap(span);
    remote = audit_chain(span, remote_head(span, word), &last);
    require_eq(remote, remote_count(word));
    live = audit_live[audit_slice(span)] + remote + audit_rings(span) + audit_bins(span) +
           audit_transfers(span);
    require_eq(live + own + bits, span_linked(span));
    switch (state) {
    case SPAN_OWNED:
        audit_owned(span, live);
        break;
    case SPAN_FULL: /* nobody's, or lent */
        require_eq(live, span->capacity);
        require_eq(remote, 0);
        require(owner == NULL || span_owner(span) == span_owner_word(owner, span->size_class, 0));
        require(owner == NULL || owner->classes[span->size_class].current != span);
        require_eq(span->flags & SPAN_FLAG_ON_LIST, 0);
        break;
    case SPAN_COLD:
    case SPAN_POOLED:
        require(owner == NULL);
        require_eq(span->pool_live, live);
        require_gt(live, remote); /* or it would have been released */
        require_eq(span->flags & SPAN_FLAG_ON_LIST, 0);
        if (state == SPAN_COLD) {
            require_eq(own + remote, 0);
            require(span->bitmap != NULL);
        }
        break;
    default:
        require(!"a state");
    }
}

static TIDE_UNUSED void
audit_count_pooled(span_t *span, void *arg)
{
    uint64_t *counts = arg; /* by class: spans, then live */

    if (unit_state(span) == SPAN_POOLED || unit_state(span) == SPAN_COLD) {
        counts[2 * span->size_class]++;
        counts[2 * span->size_class + 1] +=
            span->pool_live - remote_count(atomic_load_relaxed(&span->remote));
    }
}

static TIDE_UNUSED void
audit_heap(const heap_t *heap)
{
    uint32_t waiting = 0;
    uint32_t spare = 0;
    uint32_t open = 0;

    for (unsigned i = 0; i < HEAP_RING_LEN; i++) {
        waiting += heap->ring[i].span != NULL;
    }
    require_eq(heap->ring_used, waiting);
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        open += heap->bins[c].open;
        require_ge(heap->bins[c].left, 0);
    }
    require_eq(heap->open_bins, open);
    if (heap == heap_self()) {
        require_eq(front_self()->reach, open > 0 ? FRONT_OPEN : FRONT_STRICT(&heap_front));
        require_le(front_self()->none.left, 0);
    }
    for (const span_t *s = heap->spare.first; s != NULL; s = s->next) {
        require_eq(s->kind, SPAN_NONE);
        require_eq(s->slice_count, 1);
        require(unit_owner(s) == NULL);
        require(space_span_of(s->start) == s);
        require(s->bitmap == NULL);
        spare++;
    }
    require_eq(heap->spare.count, spare);
    require(spare == 0 || heap->state != HEAP_EMPTY);
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const heap_class_t *hc = &heap->classes[c];
        uint32_t n = 0;
        uint32_t empty = 0;

        if (!audit_class[c]) {
            continue;
        }
        for (const span_t *s = hc->with_room; s != NULL; s = s->next) {
            require(unit_owner(s) == heap);
            require_eq(s->size_class, c);
            require_eq(unit_state(s), SPAN_OWNED);
            require(s->next == NULL ? hc->oldest == s : s->next->previous == s);
            empty += s->left + s->live_floor == 0;
            n++;
        }
        require_eq(hc->with_room_count, n);
        require_le(empty, 1); /* one may be kept */
        if (heap->state == HEAP_EMPTY) {
            require(hc->current == NULL);
            require(is_list_end(heap->bins[c].head));
            require_eq(n + waiting, 0);
        }
    }
}

/* Everything, when the test holds exactly these blocks of the audited classes. */
static TIDE_UNUSED void
audit(const struct held *held, size_t count)
{
    static uint64_t pooled[2 * TIDE_CLASS_COUNT];

    memset(audit_live, 0, sizeof audit_live[0] * atomic_load_relaxed(&space.slice_limit));
    for (size_t i = 0; i < count; i++) {
        const span_t *span = held[i].p == NULL ? NULL : space_span_of(held[i].p);

        if (held[i].p == NULL || (span != NULL && span->kind == SPAN_LARGE)) {
            continue;
        }
        require(span != NULL && span->kind == SPAN_SMALL);
        require(slice_has_block_at(space_slice_at(span->start), held[i].p));
        require(held_is_whole(&held[i]));
        audit_live[audit_slice(span)]++;
    }
    audit_each_span(audit_span, NULL);
    for (heap_t *h = heap_first(); h != NULL; h = h->next) {
        audit_heap(h);
    }
    memset(pooled, 0, sizeof pooled);
    audit_each_span(audit_count_pooled, pooled);
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        uint64_t spans;
        uint64_t live;

        if (audit_class[c]) {
            pool_counts(c, &spans, &live);
            require_eq(spans, pooled[2 * c]);
            require_eq(live, pooled[2 * c + 1]);
        }
    }
}

#endif
