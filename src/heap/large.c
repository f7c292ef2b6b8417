/* SPDX-License-Identifier: MIT */
/*
 * Large blocks: a span each, sized to os pages, aligned to slices. Freed slices go back to
 * the arena with their pages, which the next block of any size takes first.
 *
 * Growth: in place while the slices behind are free; else the pages move to clean addresses
 * (arena_move: no copy, no second resident copy) with room behind for the next growths, so that
 * a block that keeps growing moves a logarithmic number of times; else it is copied by the caller.
 */
#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/ready.h"
#include "heap/report.h"
#include "heap/sample.h"
#include "os/os.h"

#define MOVE_MIN_BYTES ((size_t)256 << 10) /* below, copying is cheaper than two VMA changes */
#define MAKE_UP_SLICES 32u /* 1 MiB: below, a purge costs more than the memory is worth */
#define GROWTH_ROOM_MAX ((size_t)1 << 30)

static size_t
slices_for(size_t bytes)
{
    return (bytes + SLICE_BYTES - 1) >> SLICE_SHIFT;
}

static void
large_describe(span_t *span, struct slices slices, size_t bytes, size_t touched, uint64_t remote)
{
    span->start = slices.start;
    span->own = list_end();
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
    span->slice_count = slices.count;
    atomic_store_relaxed(&span->touched_slices, (uint32_t)touched);
    span->flags = 0;
    span->next = span->previous = NULL;
    atomic_store_relaxed(&span->remote, remote);
    space_map_span(span, slices.start, slices.count);
}

/* size <= max <= HEAP_LARGE_KEPT_MAX, or NULL. */
TIDE_HOT span_t *
take_kept(heap_t *heap, size_t size, size_t max)
{
    size_t bytes = align_up(size, OS_PAGE);
    size_t count = slices_for(bytes);
    span_t *span;

    if (size > max || (span = heap->large_cache[count]) == NULL) {
        return NULL;
    }
    heap->large_cache[count] = span->next;
    heap->large_kept -= (uint32_t)count;
    span->next = NULL;
    span->bytes = bytes;
    span->flags = 0;
    atomic_store_relaxed(&span->remote, 0);
    return span;
}

/* The same while large blocks are drawn, if it is not this one's turn. */
static TIDE_NOINLINE span_t *
take_kept_counted(heap_t *heap, size_t size)
{
    span_t *span = NULL;

    if (sample_passes_large(heap, size)) {
        span = take_kept(heap, size, HEAP_LARGE_KEPT_MAX);
    }
    if (span != NULL) {
        heap->large_until -= (int64_t)size;
    }
    return span;
}

void *
large_alloc_kept(heap_t *heap, size_t size)
{
    size_t max = atomic_load_relaxed(&large_kept_max);
    span_t *span = take_kept(heap, size, max);

    if (unlikely(span == NULL && max == 0)) {
        span = take_kept_counted(heap, size);
    }
    return span == NULL ? NULL : span->start;
}

/* Slices behind the block that it may grow into without a move. */
static size_t
room_of(const span_t *span)
{
    return span->slice_count - span->touched_slices;
}

void
large_release(span_t *span)
{
    slices_free_with_room(span->start, span->slice_count, span->touched_slices, room_of(span));
    span_record_free(span);
}

/* Of a block that was resized: see leaving_pays. */
static uint8_t
resized_flags(uint8_t before, bool longer)
{
    before &= SPAN_FLAG_CUT | SPAN_FLAG_GREW;
    if (!longer) {
        return before | SPAN_FLAG_CUT;
    }
    return (before & SPAN_FLAG_CUT) != 0 ? before | SPAN_FLAG_GREW : before;
}

void
large_copied(const span_t *from, span_t *to)
{
    to->flags = resized_flags(from->flags, to->bytes > from->bytes);
}

/* One of so many slices, if there is one. */
static bool
let_go_kept(heap_t *heap, size_t count)
{
    span_t *span = heap->large_cache[count];

    if (span == NULL) {
        return false;
    }
    heap->large_cache[count] = span->next;
    heap->large_kept -= (uint32_t)count;
    heap_count(large_frees, 1);
    large_release(span);
    return true;
}

void
large_let_go_cache(heap_t *heap)
{
    for (size_t count = 1; count <= HEAP_LARGE_CACHE; count++) {
        while (let_go_kept(heap, count)) {
        }
    }
}

/* Nobody knows how long a size will be wanted: the first of one goes before any of others, or those
 * that were freed first would keep it out for as long as nobody asks for them. */
static TIDE_NOINLINE bool
make_room_for_first(heap_t *heap, size_t count)
{
    if (heap->large_cache[count] != NULL) {
        return false;
    }
    for (size_t other = 1; heap->large_kept + count > HEAP_LARGE_KEPT_SLICES;) {
        if (!let_go_kept(heap, other)) {
            other++; /* ends before the last, or nothing would be kept */
        }
    }
    return true;
}

/* Keeps a freed block; its slices go on naming it, so that a double free is told. */
static bool
cache_keep(heap_t *heap, span_t *span)
{
    size_t count = span->slice_count;

    if (heap == &heap_empty || count > HEAP_LARGE_CACHE || count == 1) {
        return false; /* one slice: it was to be aligned, and nobody looks for that here */
    }
    if (heap->large_kept + count > HEAP_LARGE_KEPT_SLICES && !make_room_for_first(heap, count)) {
        return false;
    }
    span->next = heap->large_cache[count];
    heap->large_cache[count] = span;
    heap->large_kept += (uint32_t)count;
    return true;
}

/* Memory that is new to the process should replace some that it has and does not use: by moving
 * that under the block, or else by giving as much back. False: the block cannot be used. */
static bool
make_up_for(struct slices *slices)
{
    if (!arena_gather(slices)) {
        return false;
    }
    if (slices->clean >= MAKE_UP_SLICES) {
        arena_make_up_for(slices->clean);
    }
    return true;
}

/* The keeper's: a block whose pages are there, and read as zero; NULL: no memory. */
TIDE_COLD span_t *
large_make_ready(size_t bytes)
{
    size_t count = slices_for(bytes);
    span_t *span = span_record_alloc();
    char *start = span == NULL ? NULL : slices_alloc_bare((unsigned)count);

    if (start == NULL) {
        if (span != NULL) {
            span_record_free(span);
        }
        return NULL;
    }
    large_describe(span, (struct slices){.start = start, .count = (uint32_t)count}, bytes, count,
                   LARGE_FREED); /* until it is taken */
    if (!arena_populate_used(start, bytes)) {
        large_release(span);
        return NULL;
    }
    return span;
}

/* One of those, unless it is to be aligned to more than a slice. */
static span_t *
take_ready(size_t bytes, size_t align, bool *zero)
{
    span_t *span = NULL;

    if (bytes <= (size_t)READY_PAGES_MAX << OS_PAGE_SHIFT && align <= SLICE_BYTES) {
        span = ready_take(bytes >> OS_PAGE_SHIFT);
    }
    if (span != NULL) {
        heap_count(large_allocs, 1);
        if (zero != NULL) {
            *zero = true;
        }
    }
    return span;
}

/* NULL: no memory, and errno is set. */
static span_t *
large_make(size_t size, size_t align, bool *zero)
{
    size_t bytes = align_up(max_zu(size, 1), OS_PAGE);
    size_t count = slices_for(bytes);
    struct slices slices;
    span_t *span;

    if (unlikely(size > PTRDIFF_MAX - OS_PAGE || count > UINT32_MAX / 2)) {
        errno = ENOMEM;
        return NULL;
    }
    span = take_ready(bytes, align, zero);
    if (span != NULL) {
        return span;
    }
    span_let_go_spare(heap_self(), HEAP_SPARE_SPANS); /* side by side they may be what is wanted */
    span = span_record_alloc();
    if (span == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    align = max_zu(align, SLICE_BYTES);
    /* Who knows how much of it will be written: of a huge page one byte brings all. */
    slices = span_slices_alloc(count, align, SLICES_SPARSE);
    if (slices.clean > 0 && !make_up_for(&slices)) {
        /* They are a hole now: the process is out of mappings. Once more, and nothing is moved. */
        slices = span_slices_alloc(count, align, SLICES_SPARSE);
    }
    if (slices.start == NULL) {
        span_record_free(span);
        errno = ENOMEM;
        return NULL;
    }
    large_describe(span, slices, bytes, count, 0);
    heap_count(large_allocs, 1);
    if (zero != NULL) {
        *zero = slices.clean == slices.count;
    }
    return span;
}

void *
large_alloc(size_t size, size_t align, bool *zero)
{
    heap_t *heap = heap_attach(); /* however large: who has none counts as a thread that ended */
    span_t *span = NULL;

    if (heap != NULL && size <= HEAP_LARGE_KEPT_MAX && align <= SLICE_BYTES) {
        span = take_kept(heap, max_zu(size, 1), HEAP_LARGE_KEPT_MAX); /* *zero stays false */
    }
    if (span == NULL && (span = large_make(size, align, zero)) == NULL) {
        return NULL;
    }
    if (unlikely(heap_sample_rate() != 0)) {
        sample_large(span, size);
    }
    return span->start;
}

void *
large_alloc_sampled(size_t size)
{
    span_t *span = large_make(size, SLICE_BYTES, NULL);

    if (span == NULL) {
        return NULL;
    }
    atomic_store_relaxed(&span->remote, LARGE_SAMPLED);
    return span->start;
}

/* Without keeping it. */
static TIDE_NOINLINE void
free_for_good(void *p, span_t *span)
{
    /* Two threads that free the same block: one of them is told. */
    uint64_t was = atomic_exchange_acquire(&span->remote, LARGE_FREED);

    if (unlikely(was == LARGE_FREED)) {
        report_pointer("free", REPORT_DOUBLE_FREE, p, span);
        return;
    }
    if (unlikely(was == LARGE_SAMPLED)) {
        sample_large_gone(p);
        if (cache_keep(heap_self(), span)) {
            return;
        }
    }
    heap_count(large_frees, 1);
    large_release(span);
    heap_poke_keeper();
}

void
large_free(void *p, span_t *span)
{
    /* No exchange where it is kept: it would wait for all that was just written to the block. */
    if (atomic_load_relaxed(&span->remote) == 0 && cache_keep(heap_self(), span)) {
        atomic_store_relaxed(&span->remote, LARGE_FREED);
        return;
    }
    free_for_good(p, span);
}

void
large_shrink(span_t *span, size_t size)
{
    size_t bytes = align_up(max_zu(size, 1), OS_PAGE);
    size_t keep = slices_for(bytes);
    size_t drop = span->slice_count - keep;
    size_t dirty = span->touched_slices > keep ? span->touched_slices - keep : 0;
    char *tail = span->start + (keep << SLICE_SHIFT);

    span->bytes = bytes;
    span->flags = resized_flags(span->flags, false);
    if (drop == 0) {
        return;
    }
    span->slice_count = (uint32_t)keep;
    span->touched_slices = (uint32_t)min_zu(span->touched_slices, keep);
    slices_free_with_room(tail, drop, dirty, drop - dirty);
}

/* The same for slices of a block that grows, from `from` on, of which so many are clean. */
static bool
make_up_for_growth(char *start, size_t from, size_t to, size_t clean)
{
    struct slices more = {.start = start + (from << SLICE_SHIFT),
                          .count = (uint32_t)(to - from),
                          .clean = (uint32_t)clean,
                          .dirty = UINT64_MAX};

    return clean == 0 || make_up_for(&more);
}

/* A block whose room is lost ends where it has pages. */
static bool
large_grow_in_place(span_t *span, size_t bytes)
{
    size_t need = slices_for(bytes);
    size_t had = span->slice_count;
    size_t touched = span->touched_slices;
    size_t room = min_zu(max_zu(need, touched), had) - touched; /* used now */
    size_t clean = 0;

    if (need > had) {
        if (!slices_extend(span->start, had, need - had, &clean)) {
            return false;
        }
        space_map_span(span, span->start + (had << SLICE_SHIFT), need - had);
        span->slice_count = (uint32_t)need;
    }
    if (need > touched) {
        arena_count_room_used(room);
        if (!make_up_for_growth(span->start, touched, need, room + clean)) {
            arena_count_room_used(max_zu(had, need) - need);
            span->slice_count = (uint32_t)touched;
            return false;
        }
        span->touched_slices = (uint32_t)need;
    }
    span->bytes = bytes;
    span->flags = resized_flags(span->flags, true);
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
    uint64_t live = atomic_load_relaxed(&span->remote);
    uint8_t flags = resized_flags(span->flags, true);
    struct slices to;
    size_t copied;

    if (used < MOVE_MIN_BYTES || !os_has(OS_FEATURE_MREMAP_DONTUNMAP)) {
        return NULL;
    }
    /* What moves is not used twice. */
    to = slices_alloc_clean(need + room, room + (used >> SLICE_SHIFT), SLICES_DENSE);
    if (to.start == NULL) {
        return NULL;
    }
    if (!make_up_for_growth(to.start, used >> SLICE_SHIFT, need, need - (used >> SLICE_SHIFT)) ||
        !arena_move(old, to.start, used, &copied)) {
        return NULL; /* lost, where it was taken: the process is out of mappings */
    }
    if (copied < used) {
        heap_count(realloc_moved, 1);
    } else {
        heap_count(realloc_copied, 1);
    }
    room = room_of(span);
    large_describe(span, to, bytes, need, live);
    span->flags = flags;
    if (unlikely(live == LARGE_SAMPLED)) {
        sample_large_moved(old, span, bytes);
    }
    slices_free_with_room(old, old_count, copied == 0 ? 0 : slices_for(used), room);
    arena_count_room_used(used >> SLICE_SHIFT);
    return to.start;
}

/* Is there free memory with pages for all of it, and are the pages a move would touch for the first
 * time worth more than copying the others? A first touch costs some twice as much as a copy. */
static bool
copying_pays(const span_t *span, size_t bytes)
{
    size_t need = slices_for(bytes);
    size_t used = span->touched_slices;

    return need <= CHUNK_SLICES && used <= 2 * (need - used) && slices_have_dirty(need);
}

/* Is a block that shrinks to half or less better copied into a shorter free run that holds pages?
 * Cut short where it is, it would leave too few slices for the next block as long as it was, and
 * programs that read into large buffers and cut them to what came want that one at once. One that
 * was cut and grew again may do so by turns, into what it leaves behind. */
static bool
leaving_pays(const span_t *span, size_t bytes)
{
    size_t need = slices_for(bytes);

    return need <= CHUNK_SLICES && bytes <= span->bytes / 2 &&
           (span->flags & SPAN_FLAG_GREW) == 0 && slices_have_dirty(need);
}

void *
large_realloc(span_t *span, size_t size)
{
    size_t bytes = align_up(max_zu(size, 1), OS_PAGE);

    if (size > PTRDIFF_MAX - OS_PAGE) {
        return NULL;
    }
    if (bytes <= span->bytes) {
        if (size <= TIDE_SMALL_MAX || leaving_pays(span, bytes)) {
            return NULL; /* copying little frees much */
        }
        large_shrink(span, size);
        heap_count(realloc_in_place, 1);
        return span->start;
    }
    if (large_grow_in_place(span, bytes)) {
        heap_count(realloc_in_place, 1);
        return span->start;
    }
    if (copying_pays(span, bytes)) {
        return NULL;
    }
    return large_move(span, bytes);
}
