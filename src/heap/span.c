/* SPDX-License-Identifier: MIT */
/*
 * Small spans: made, extended, collected from, released. Every function expects the caller to be
 * the only one who works on the span (its owner, or whoever moved the remote word to SPAN_OWNED).
 *
 * Fresh blocks are linked an os page at a time so that untouched pages stay untouched.
 */
#include <string.h>

#include "base/assert.h"
#include "heap/callers.h"
#include "heap/ready.h"
#include "os/os.h"

#define EXTEND_BYTES ((size_t)4096)
#define EXTEND_DIRTY_BYTES ((size_t)16 << 10) /* where pages are there already */
#define EXTEND_DIRTY_BLOCKS ((size_t)32)
#define SPARE_PEAK_MAX 1024u /* 32 MiB */
#define DONORS_LOOKED_AT 4u
#define SLICES_WASTE(count, block_bytes) (((count) << SLICE_SHIFT) % (block_bytes))
#define WASTE_MOST(count) ((count) << SLICE_SHIFT >> 3)
#define BITMAP_UNIT 64u /* bytes; bitmaps are 1, 2, 4 or 8 of them */
#define BITMAP_SIZES 4u

list_end_t list_ends[LIST_ENDS];
struct heap_guards heap_guards;

void
heap_guard_init(uintptr_t guard)
{
    uintptr_t inverse = guard; /* right in its low three bits; each step of Newton doubles them */

    for (unsigned bits = 3; bits < 64; bits *= 2) {
        inverse *= 2 - guard * inverse;
    }
    atomic_store_relaxed(&heap_guards.word, guard);
    atomic_store_relaxed(&heap_guards.inverse, inverse);
}

static struct {
    lock_t lock; /* rank meta */
    uint64_t *free[BITMAP_SIZES];
} bitmaps;

static unsigned
bitmap_size_log2(const span_t *span)
{
    size_t units = ((span->capacity + 63) / 64 * 8 + BITMAP_UNIT - 1) / BITMAP_UNIT;

    return log2_ceil(units);
}

uint64_t *
span_bitmap_alloc(const span_t *span)
{
    unsigned k = bitmap_size_log2(span);
    uint64_t *map;

    lock_acquire(&bitmaps.lock);
    map = bitmaps.free[k];
    if (map != NULL) {
        bitmaps.free[k] = (uint64_t *)(uintptr_t)map[0];
    }
    lock_release(&bitmaps.lock);
    if (map == NULL) {
        return meta_alloc((size_t)BITMAP_UNIT << k);
    }
    memset(map, 0, (size_t)BITMAP_UNIT << k);
    return map;
}

void
span_bitmap_free(span_t *span)
{
    unsigned k = bitmap_size_log2(span);

    if (span->bitmap == NULL) {
        return;
    }
    lock_acquire(&bitmaps.lock);
    span->bitmap[0] = (uintptr_t)bitmaps.free[k];
    bitmaps.free[k] = span->bitmap;
    lock_release(&bitmaps.lock);
    span->bitmap = NULL;
    span->bitmap_count = 0;
}

uintptr_t
span_owner_word(const heap_t *heap, unsigned size_class, uintptr_t direct)
{
    return heap->key + BIN_OFFSET(size_class) + direct;
}

void
span_set_owner(const span_t *span, uintptr_t owner)
{
    for (uint32_t i = 0; i < span->slice_count; i++) {
        atomic_store_relaxed(&span_slice(span, i)->owner, owner);
    }
}

/* What free checks a pointer against. */
static void
set_slices(const span_t *span, uint64_t reciprocal)
{
    for (uint32_t i = 0; i < span->slice_count; i++) {
        slice_t *slice = span_slice(span, i);

        slice->start = span->start;
        slice->reciprocal = reciprocal;
        atomic_store_relaxed(&slice->marks, 0);
    }
}

static span_t *
spare_take_locked(spare_spans_t *spare)
{
    span_t *span = spare->first;

    if (span != NULL) {
        spare->first = span->next;
        atomic_store_relaxed(&spare->count, spare->count - 1);
        spare->low = spare->count < spare->low ? spare->count : spare->low;
        span->zero = 0;
    }
    return span;
}

static span_t *
spare_take(heap_t *heap)
{
    spare_spans_t *spare = &heap->spare;
    span_t *span;

    if (atomic_load_relaxed(&spare->count) == 0) {
        return NULL;
    }
    lock_acquire(&spare->lock);
    span = spare_take_locked(spare);
    lock_release(&spare->lock);
    return span;
}

/* False: it has enough. */
static bool
spare_keep(heap_t *heap, span_t *span)
{
    spare_spans_t *spare = &heap->spare;

    if (span->slice_count != 1 ||
        atomic_load_relaxed(&spare->count) >= HEAP_SPARE_SPANS + spare->peak) {
        return false;
    }
    atomic_store_relaxed(&span->kind, (uint8_t)SPAN_NONE); /* a free of its blocks is told */
    lock_acquire(&spare->lock);
    span->next = spare->first;
    spare->first = span;
    atomic_store_relaxed(&spare->count, spare->count + 1);
    lock_release(&spare->lock);
    return true;
}

/* Spans in use by the heap are unknown (others claim and release them); what it made and has not
 * released of late is near enough. */
static void
note_span_made(heap_t *heap)
{
    spare_spans_t *spare = &heap->spare;

    counter_add(&heap->counters.spans_new, 1);
    spare->made++;
    spare->peak = (uint32_t)min_zu(max_zu(spare->made, spare->peak), SPARE_PEAK_MAX);
}

void
span_forget_made(heap_t *heap)
{
    heap->spare.peak -= heap->spare.peak / 16;
    heap->spare.made -= heap->spare.made / 64;
}

/* Another heap that has more spare spans than a few. Some are looked at, from where there was one
 * the last time; NULL: none of them has. */
static heap_t *
spare_donor(const heap_t *heap)
{
    static heap_t *next; /* atomic(relaxed): NULL: the first of all */
    heap_t *other = atomic_load_relaxed(&next);

    for (unsigned i = 0; i < DONORS_LOOKED_AT; i++) {
        if (other == NULL && (other = heap_first()) == NULL) {
            return NULL; /* no heap at all: none could be made */
        }
        if (other != heap && atomic_load_relaxed(&other->spare.count) > HEAP_SPARE_SPANS) {
            atomic_store_relaxed(&next, other);
            return other;
        }
        other = other->next;
    }
    atomic_store_relaxed(&next, other);
    return NULL;
}

/* Before the process touches memory for the first time: what other heaps keep for later, so that
 * threads that work by turns do not each have memory for the most that any of them needs. */
static span_t *
spare_take_from_others(const heap_t *heap)
{
    heap_t *donor = slices_have_dirty(1) ? NULL : spare_donor(heap);

    return donor == NULL ? NULL : spare_take(donor);
}

/* The same for several slices in a row, which they may be in the arena. */
static void
spares_of_others_let_go(const heap_t *heap, size_t count)
{
    heap_t *donor = count > CHUNK_SLICES || slices_have_dirty(count) ? NULL : spare_donor(heap);

    if (donor != NULL) {
        size_t has = atomic_load_relaxed(&donor->spare.count);

        span_let_go_spare(donor,
                          (uint32_t)max_zu(has - min_zu(has, CHUNK_SLICES), HEAP_SPARE_SPANS));
    }
}

struct slices
span_slices_alloc(size_t count, size_t align, enum slices_want want)
{
    struct slices slices;

    if (count > 1) {
        spares_of_others_let_go(heap_self(), count);
    }
    slices = slices_alloc(count, align, want);
    if (unlikely(slices.start == NULL)) {
        heap_let_go_spares(0);
        (void)ready_drop_all();
        slices = slices_alloc(count, align, want);
    }
    if (unlikely(atomic_load_relaxed(&callers_on) != 0)) {
        callers_grew(heap_self(), count);
    }
    if (unlikely(arena_runs_low())) {
        heap_poke_rise();
    }
    return slices;
}

/* What the first touch takes, which comes at once in any case, tells whether huge pages pay. Not by
 * CPU time, which takes a system call that a sandbox may forbid: two in a row decide. */
static TIDE_NOINLINE TIDE_COLD void
touch_huge(char *start)
{
    uint64_t begin_ns = os_now_ns();

    atomic_store_relaxed(start, 0); /* as it reads */
    heap_note_huge_touch(os_now_ns() - begin_ns);
}

static void
count_spans(heap_class_t *hc, bool made)
{
    unsigned n = hc->spans;

    n = made ? n + (n < HEAP_SPANS_MOST) : n - (n > 0);
    hc->spans = n & HEAP_SPANS_MOST;
}

/* A heap's first span of a class is one slice, the nth at least n if so many waste no more than an
 * eighth: where pages are there already all of a span is resident, and most threads never have more
 * than a few blocks of most large classes. */
static uint16_t
slices_of_next(const heap_t *heap, unsigned size_class)
{
    const struct size_class *sc = &size_classes[size_class];
    uint32_t count = heap->classes[size_class].spans + 1u;

    while (count > 1 && count < sc->slices && SLICES_WASTE(count, sc->size) > WASTE_MOST(count)) {
        count++;
    }
    return (uint16_t)min_zu(sc->slices, count);
}

/* A record with so many slices from the arena, which name it; NULL without memory. */
static span_t *
span_from_arena(heap_t *heap, unsigned size_class, uint16_t count)
{
    heap_class_t *hc = &heap->classes[size_class];
    span_t *span = span_record_alloc();
    enum slices_want want;
    struct slices slices;

    if (span == NULL) {
        return NULL;
    }
    if (count > 1) {
        span_let_go_spare(heap, HEAP_SPARE_SPANS); /* side by side they may be what is wanted */
    }
    /* A heap's first span of a class may stay mostly empty; the ones after it fill up. */
    want = !hc->had_spans ? SLICES_SPARSE : SLICES_DENSE;
    if (want == SLICES_DENSE) {
        heap_ask_for_huge();
    }
    slices = span_slices_alloc(count, SLICE_BYTES, want);
    if (slices.start == NULL) {
        span_record_free(span);
        return NULL;
    }
    if (unlikely(slices.brings_all)) {
        touch_huge(slices.start);
    }
    span->start = slices.start;
    span->slice_count = count;
    span->zero = slices.clean == slices.count;
    return span;
}

span_t *
span_new_small(heap_t *heap, unsigned size_class)
{
    const struct size_class *sc = &size_classes[size_class];
    heap_class_t *hc = &heap->classes[size_class];
    uint16_t count = slices_of_next(heap, size_class);
    span_t *span = count == 1 ? spare_take(heap) : NULL;
    bool known = span != NULL; /* its slices name it already */

    if (span == NULL && count == 1) {
        span = spare_take_from_others(heap);
        known = span != NULL;
    }
    if (span == NULL) {
        pool_want(size_class);
        span = span_from_arena(heap, size_class, count);
    }
    if (span == NULL) {
        return NULL;
    }
    hc->had_spans = 1;
    count_spans(hc, true);
    span->own = list_end();
    span->left = 0;
    span->block_size = sc->size;
    span->live_floor = 0;
    /* A thread that just freed in the span this record was before must not take it for empty. */
    atomic_store_relaxed(&span->pool_live, UINT32_MAX);
    atomic_store_release(&span->size_class, (uint8_t)size_class);
    span->bitmap = NULL;
    span->bitmap_count = 0;
    atomic_store_relaxed(&span->linked, 0);
    span->capacity =
        count == sc->slices ? sc->capacity : (uint32_t)count * (uint32_t)SLICE_BYTES / sc->size;
    span->flags = 0;
    span->next = span->previous = NULL;
    atomic_store_relaxed(&span->remote, 0);
    atomic_store_relaxed(&span->kind, (uint8_t)SPAN_SMALL);
    if (!known) {
        space_map_span(span, span->start, count);
    }
    set_slices(span, sc->reciprocal);
    note_span_made(heap);
    return span;
}

static void
span_to_arena(span_t *span)
{
    uint32_t count = span->slice_count;
    size_t used_bytes = align_up((size_t)span->linked * span->block_size, SLICE_BYTES);
    /* Slices behind the last block ever linked were never touched. */
    size_t dirty = span->zero ? min_zu(used_bytes >> SLICE_SHIFT, count) : count;

    slices_free(span->start, count, dirty);
    span_record_free(span);
}

void
span_let_go_spare(heap_t *heap, uint32_t keep)
{
    spare_spans_t *spare = &heap->spare;
    span_t *list = NULL;
    span_t *span;

    if (atomic_load_relaxed(&spare->count) <= (keep == SPARE_NEEDED ? 0 : keep)) {
        return;
    }
    lock_acquire(&spare->lock);
    if (keep == SPARE_NEEDED) {
        keep = spare->count - spare->low;
        spare->low = keep;
    }
    while (spare->count > keep) {
        span = spare_take_locked(spare);
        span->next = list;
        list = span;
    }
    lock_release(&spare->lock);
    while ((span = list) != NULL) {
        list = span->next;
        span_to_arena(span);
    }
}

void
span_release(heap_t *heap, span_t *span)
{
    tide_assert((span->flags & SPAN_FLAG_ON_LIST) == 0);
    span_set_owner(span, OWNER_NOBODY);
    span_bitmap_free(span);
    if (heap != NULL) {
        counter_add(&heap->counters.spans_released, 1);
        heap->spare.made -= heap->spare.made > 0;
        count_spans(&heap->classes[span->size_class], false);
    }
    if (heap == NULL || !spare_keep(heap, span)) {
        span_to_arena(span);
    }
}

uint32_t
span_take_remote(span_t *span, block_t **list)
{
    uint64_t word;

    if (atomic_load_relaxed(&span->remote) == 0) {
        return 0;
    }
    /* Acquire pairs with the release in remote.c: the chain's links are visible. */
    word = atomic_exchange_acquire(&span->remote, 0);
    tide_assert_internal(remote_state(word) == SPAN_OWNED);
    *list = remote_head(span, word);
    return remote_count(word);
}

/* Links `count` blocks from `first` on, in address order, before `head`. */
static block_t *
link_run(span_t *span, uint32_t first, uint32_t count, block_t *head)
{
    size_t size = span->block_size;
    char *at = span->start + (size_t)first * size;
    char *last = at + (size_t)(count - 1) * size;
    block_t *result = (block_t *)(void *)at;

    for (; at < last; at += size) {
        block_link((block_t *)(void *)at, (block_t *)(void *)(at + size));
    }
    block_link((block_t *)(void *)last, head);
    return result;
}

/* Held-back blocks of the first os page that has any. */
static uint32_t
extend_from_bitmap(span_t *span, block_t **list)
{
    size_t words = (span->capacity + 63) / 64;
    block_t *head = list_end();
    uint32_t count = 0;
    size_t page_end = 0;

    for (size_t w = 0; w < words; w++) {
        while (span->bitmap[w] != 0) {
            uint32_t i = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(span->bitmap[w]);
            size_t offset = (size_t)i * span->block_size;

            if (count == 0) {
                page_end = align_down(offset, OS_PAGE) + OS_PAGE;
            } else if (offset >= page_end) {
                goto out;
            }
            span->bitmap[w] &= span->bitmap[w] - 1;
            head = link_run(span, i, 1, head);
            count++;
        }
    }
out:
    *list = head;
    span->bitmap_count -= count;
    if (span->bitmap_count == 0) {
        span_bitmap_free(span);
    }
    return count;
}

static void
count_linked(span_t *span, uint32_t more)
{
    const struct size_class *sc = &size_classes[span->size_class];
    uint32_t linked = span_linked(span) + more;

    atomic_store_relaxed(&span->linked, linked);
    for (uint32_t i = 0; i < span->slice_count; i++) {
        atomic_store_relaxed(&span_slice(span, i)->marks, linked * sc->step);
    }
}

uint32_t
span_extend(span_t *span, block_t **list)
{
    uint32_t left = span->capacity - span_linked(span);
    uint32_t count;

    if (span->bitmap_count > 0) {
        return extend_from_bitmap(span, list);
    }
    if (left == 0) {
        return 0;
    }
    count = (uint32_t)max_zu(EXTEND_BYTES / span->block_size, 1);
    if (!span->zero) {
        size_t more = min_zu(EXTEND_DIRTY_BYTES / span->block_size, EXTEND_DIRTY_BLOCKS);

        count = (uint32_t)max_zu(count, more);
    }
    count = (uint32_t)min_zu(count, left);
    *list = link_run(span, span_linked(span), count, list_end());
    count_linked(span, count);
    return count;
}

void
span_locks_acquire(void)
{
    lock_acquire(&bitmaps.lock);
}

void
span_locks_release(bool in_child)
{
    lock_release_after_fork(&bitmaps.lock, in_child);
}
