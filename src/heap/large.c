/* SPDX-License-Identifier: MIT */
/*
 * Large blocks: a span each, sized to os pages, aligned to slices. Freed slices go back to
 * the arena with their pages, which the next block of any size takes first.
 *
 * Growth: in place while the slices behind are free; else the pages move to clean addresses
 * (os_move_pages, no copy, no second resident copy) with room behind for the next growths, so that
 * a block that keeps growing moves a logarithmic number of times; else it is copied by the caller.
 * A block whose pages moved sits in a mapping of its own; when it is freed the range is renewed
 * and merges with its neighbours again. The number of such blocks is bounded (VMAs are).
 */
#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/report.h"
#include "os/os.h"

#define MOVE_MIN_BYTES ((size_t)256 << 10) /* below, copying is cheaper than two VMA changes */
#define MOVED_BLOCKS_MAX 4096u             /* of 65530 VMAs a process may have */
#define MAKE_UP_SLICES 32u /* 1 MiB: below, a purge costs more than the memory is worth */
#define GROWTH_ROOM_MAX ((size_t)1 << 30)
#define DENSE_MAX_BYTES ((size_t)32 << 20)

static uint32_t moved_blocks; /* atomic(relaxed) */

static size_t
slices_for(size_t bytes)
{
    return (bytes + SLICE_BYTES - 1) >> SLICE_SHIFT;
}

static void
large_describe(span_t *span, char *start, size_t bytes, size_t slices, size_t touched)
{
    span->inverse = 0;
    span->shift = 0;
    span->start = start;
    span->own = &list_end;
    span->left = 0;
    span->block_size = 0;
    atomic_store_relaxed(&span->size_class, (uint8_t)0);
    span->live_floor = 0;
    atomic_store_relaxed(&span->linked, 0);
    atomic_store_relaxed(&span->kind, (uint8_t)SPAN_LARGE);
    span->bitmap = NULL;
    span->bitmap_count = 0;
    span->bytes = bytes;
    span->capacity = 1;
    span->slice_count = (uint32_t)slices;
    atomic_store_relaxed(&span->touched_slices, (uint32_t)touched);
    span->flags = 0;
    span->next = span->previous = NULL;
    atomic_store_relaxed(&span->remote, 0);
    space_map_span(span, start, slices);
}

/* Fresh pages of the arena's own mapping for the range, with the advice its chunks had. */
static bool
renew(char *start, size_t bytes)
{
    char *end = start + bytes;

    if (os_renew(start, bytes) != 0) {
        return false;
    }
    for (char *at = start; at < end;) {
        size_t chunk = chunk_of_address(at);
        char *next = chunk_address(chunk + 1) < end ? chunk_address(chunk + 1) : end;
        bool huge = space.chunks[chunk].kind == CHUNK_HUGE_PAGES;

        if (huge || os_has(OS_FEATURE_THP_ALWAYS)) {
            os_advise_huge(at, (size_t)(next - at), huge);
        }
        at = next;
    }
    os_name_range(start, bytes, "tidemalloc");
    return true;
}

/* The span's address range as the arena wants it back; how many slices may hold pages. */
static size_t
forget_move(span_t *span)
{
    if ((span->flags & SPAN_FLAG_MOVED) == 0 ||
        !renew(span->start, (size_t)span->slice_count << SLICE_SHIFT)) {
        return span->touched_slices;
    }
    atomic_sub_relaxed(&moved_blocks, 1);
    return 0;
}

/* A freed block of exactly so many slices that the heap kept, or NULL. */
static void *
cache_take(heap_t *heap, size_t count, size_t bytes)
{
    span_t *span = heap->large_cache[count];

    if (span == NULL) {
        return NULL;
    }
    heap->large_cache[count] = NULL;
    span->bytes = bytes;
    atomic_store_relaxed(&span->remote, 0);
    return span->start;
}

/* Keeps a freed block; the slice map goes on naming it, so that a double free is told. */
static bool
cache_keep(heap_t *heap, span_t *span)
{
    size_t count = span->slice_count;

    if (heap == &heap_empty || count > HEAP_LARGE_CACHE || heap->large_cache[count] != NULL ||
        (span->flags & SPAN_FLAG_MOVED) != 0) {
        return false;
    }
    heap->large_cache[count] = span;
    return true;
}

static void
large_release(span_t *span)
{
    size_t dirty = forget_move(span);

    slices_free(span->start, span->slice_count, dirty);
    span_record_free(span);
}

void
large_let_go_cache(heap_t *heap)
{
    for (unsigned i = 1; i <= HEAP_LARGE_CACHE; i++) {
        span_t *span = heap->large_cache[i];

        heap->large_cache[i] = NULL;
        if (span != NULL) {
            large_release(span);
        }
    }
}

void *
large_alloc(size_t size, size_t align, bool *zero)
{
    size_t bytes = align_up(max_zu(size, 1), OS_PAGE);
    size_t count = slices_for(bytes);
    struct slices slices;
    span_t *span;

    if (unlikely(size > PTRDIFF_MAX - OS_PAGE || count > UINT32_MAX / 2)) {
        errno = ENOMEM;
        return NULL;
    }
    if (count <= HEAP_LARGE_CACHE && align <= SLICE_BYTES) {
        heap_t *heap = heap_attach();
        void *p = heap == NULL ? NULL : cache_take(heap, count, bytes);

        if (p != NULL) {
            return p; /* *zero stays false */
        }
    }
    span = span_record_alloc();
    if (span == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    slices = slices_alloc(count, max_zu(align, SLICE_BYTES),
                          bytes <= DENSE_MAX_BYTES ? SLICES_DENSE : SLICES_SPARSE);
    if (slices.start == NULL) {
        span_record_free(span);
        errno = ENOMEM;
        return NULL;
    }
    large_describe(span, slices.start, bytes, count, count);
    heap_count(large_allocs, 1);
    if (zero != NULL) {
        *zero = slices.clean == slices.count;
    }
    if (slices.clean >= MAKE_UP_SLICES) {
        arena_make_up_for(slices.clean);
    }
    return slices.start;
}

void
large_free(void *p, span_t *span)
{
    uint64_t freed = (uint64_t)SPAN_FULL << REMOTE_STATE_SHIFT;

    /* Two threads that free the same block: one of them is told. */
    if (atomic_exchange_acquire(&span->remote, freed) != 0) {
        report_pointer("free", REPORT_DOUBLE_FREE, p, span);
        return;
    }
    if (cache_keep(heap_self(), span)) {
        return;
    }
    heap_count(large_frees, 1);
    large_release(span);
    heap_poke_keeper();
}

static void
large_shrink(span_t *span, size_t bytes)
{
    size_t keep = slices_for(bytes);
    size_t drop = span->slice_count - keep;
    size_t dirty = span->touched_slices > keep ? span->touched_slices - keep : 0;
    char *tail = span->start + (keep << SLICE_SHIFT);

    span->bytes = bytes;
    if (drop == 0) {
        return;
    }
    if ((span->flags & SPAN_FLAG_MOVED) != 0 && renew(tail, drop << SLICE_SHIFT)) {
        dirty = 0;
    }
    span->slice_count = (uint32_t)keep;
    span->capacity = (uint32_t)min_zu(span->capacity, keep);
    span->touched_slices = (uint32_t)min_zu(span->touched_slices, keep);
    slices_free(tail, drop, dirty);
}

static bool
large_grow_in_place(span_t *span, size_t bytes)
{
    size_t need = slices_for(bytes);
    bool zero;

    if (need > span->slice_count) {
        size_t more = need - span->slice_count;

        if ((span->flags & SPAN_FLAG_MOVED) != 0 ||
            !slices_extend(span->start, span->slice_count, more, &zero)) {
            return false;
        }
        space_map_span(span, span->start + ((size_t)span->slice_count << SLICE_SHIFT), more);
        span->slice_count = (uint32_t)need;
    }
    if (need > span->touched_slices) {
        span->touched_slices = (uint32_t)need;
    }
    span->bytes = bytes;
    return true;
}

/* Moves the pages to clean addresses with room to grow. */
static void *
large_move(span_t *span, size_t bytes)
{
    /* Whole slices: a block shrunk within a slice has pages behind its end, too. */
    size_t used = (size_t)span->touched_slices << SLICE_SHIFT;
    size_t need = slices_for(bytes);
    size_t room = slices_for(min_zu(bytes, GROWTH_ROOM_MAX));
    char *old = span->start;
    size_t old_count = span->slice_count;
    struct slices to;

    if ((span->flags & SPAN_FLAG_MOVED) != 0 && span->touched_slices > span->capacity) {
        return NULL; /* grown into its room: two mappings, which kernels before 6.17 do not move */
    }
    if (used < MOVE_MIN_BYTES || !os_has(OS_FEATURE_MREMAP_DONTUNMAP) ||
        atomic_load_relaxed(&moved_blocks) >= MOVED_BLOCKS_MAX) {
        return NULL;
    }
    to = slices_alloc_clean(need + room, SLICES_DENSE);
    if (to.start == NULL) {
        return NULL;
    }
    if (os_move_pages(old, to.start, used) != 0) {
        /* The kernel may have unmapped the target before it refused. Not to be had back: lost. */
        if (renew(to.start, used)) {
            slices_free(to.start, to.count, 0);
        }
        return NULL;
    }
    atomic_add_relaxed(&arena_counters.moved_bytes, used);
    atomic_add_relaxed(&moved_blocks, 1);
    heap_count(realloc_moved, 1);
    (void)forget_move(span);
    large_describe(span, to.start, bytes, to.count, need);
    span->flags = SPAN_FLAG_MOVED;
    span->capacity = (uint32_t)slices_for(used);
    slices_free(old, old_count, 0);
    return to.start;
}

void *
large_realloc(span_t *span, size_t size)
{
    size_t bytes = align_up(max_zu(size, 1), OS_PAGE);

    if (size > PTRDIFF_MAX - OS_PAGE) {
        return NULL;
    }
    if (bytes <= span->bytes) {
        if (size <= TIDE_SMALL_MAX) {
            return NULL; /* fits a class now: copying little frees much */
        }
        large_shrink(span, bytes);
        heap_count(realloc_in_place, 1);
        return span->start;
    }
    if (large_grow_in_place(span, bytes)) {
        heap_count(realloc_in_place, 1);
        return span->start;
    }
    return large_move(span, bytes);
}
