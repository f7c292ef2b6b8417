/* SPDX-License-Identifier: MIT */
/*
 * The reservation: [slice records | chunk records | span records and heaps | chunk 0 … chunk n).
 * One mmap, inaccessible. Each part is made accessible from its bottom up in steps, so every
 * part stays one mapping: page faults and purges then only take the per-mapping lock, and
 * mlockall has nothing to populate but what is in use.
 *
 * But slice records are found by address bits, so that free neither subtracts nor compares: slice 0
 * has its record anywhere among them, and behind the last one it goes on with the first. What is
 * not in use of them is zeros that can be read: free looks there for whatever it is given.
 *
 * Refuses to know: what a slice or chunk is used for, when to grow, when to purge.
 * Locks: lock(arena) for the frontier, lock(meta) for metadata; both short, no calls out.
 */
#include "arena/arena.h"

#include <errno.h>

#include "base/assert.h"
#include "os/os.h"

#define META_STEP ((size_t)64 << 10)
#define SLICES_STEP ((size_t)256 << 10) /* records of 128 MiB */
#define META_EXTRA_LIMITED ((size_t)2 << 20)
#define META_EXTRA ((size_t)64 << 20) /* room for heaps and bitmaps beside one record per slice */
/* There are records for this much at least, so that a smaller reservation can be extended. */
#define MAP_FLOOR ((size_t)1 << 40)
#define RESERVE_FLOOR ((size_t)4 << 20)
/* Where we ask to live: far from libraries, stacks and the break, so that a small reservation can
 * be extended in place. Randomised by 16 bits of GiB; the kernel may put us elsewhere. */
#define HINT_BASE ((uintptr_t)0x100000000000u)
#define HINT_RANDOM_MASK 0x3fffu

/* const: for what is freed before there is a reservation */
static TIDE_SPARSE slice_t slice_unknown;
struct space space = {.slices = &slice_unknown};
TIDE_SPARSE span_t span_none;
TIDE_SPARSE span_t span_gone;
lock_t meta_lock;

/* A part of the reservation that becomes accessible from the bottom up. */
struct region {
    char *start;
    size_t committed; /* bytes */
    size_t limit;     /* bytes */
    bool shown;       /* the rest of it can be read: zeros */
};

static struct region slices_region;  /* from slice 0's record to the last one */
static struct region wrapped_region; /* from the first one to before slice 0's */
static struct region chunk_region;
static struct region meta_region; /* lock(meta) */
static size_t meta_used;          /* lock(meta) */
static size_t meta_prepared; /* lock(meta): has pages up to there, if it has from meta_used on */
static span_t *free_records; /* lock(meta) */

static int
region_require(struct region *region, size_t bytes, size_t step)
{
    size_t want = min_zu(align_up(bytes, step), region->limit);
    int error;

    if (bytes <= region->committed) {
        return 0;
    }
    if (bytes > region->limit) {
        return ENOMEM;
    }
    error = (region->shown ? os_commit_shown : os_commit)(region->start + region->committed,
                                                          want - region->committed);
    if (error == 0) {
        atomic_store_relaxed(&region->committed, want);
    }
    return error;
}

/* A power of two. */
static size_t
slice_records_for(size_t chunks)
{
    return (size_t)CHUNK_SLICES << log2_ceil(chunks);
}

static size_t
meta_bytes_for(size_t chunks)
{
    size_t per_chunk = CHUNK_SLICES * sizeof(span_t) + sizeof(chunk_t);

    /* Where addresses are scarce there are few threads to make heaps for. */
    size_t extra = os_info.address_limit == SIZE_MAX ? META_EXTRA : META_EXTRA_LIMITED;

    return align_up(slice_records_for(chunks) * sizeof(slice_t) + chunks * per_chunk + extra,
                    CHUNK_BYTES);
}

/* Under a limited address space: an eighth of it at first, extended while it lasts. */
static size_t
first_reservation(size_t want_bytes)
{
    if (os_info.address_limit == SIZE_MAX) {
        return want_bytes;
    }
    return align_down(min_zu(want_bytes, max_zu(os_info.address_limit / 8, RESERVE_FLOOR)),
                      CHUNK_BYTES);
}

/* Chunk 0 begins behind the metadata. */
static int
lay_out(char *start, size_t meta_size, size_t max_chunks)
{
    size_t slices_size = slice_records_for(max_chunks) * sizeof(slice_t);
    size_t chunks_size = align_up(max_chunks * sizeof(chunk_t), OS_PAGE);
    char *first; /* slice 0's record: at a page, since a chunk's records are one */
    int error = os_show_zeros(start, slices_size);

    if (error != 0) {
        return error;
    }
    chunk_region = (struct region){start + slices_size, 0, chunks_size, false};
    meta_region = (struct region){start + slices_size + chunks_size, 0,
                                  meta_size - slices_size - chunks_size, false};
    space.base = (uintptr_t)start + meta_size;
    space.chunks = (chunk_t *)(void *)chunk_region.start;
    space.max_chunks = max_chunks;
    space.slices = (slice_t *)(void *)start; /* before the mask: space_slice_at reads it last */
    atomic_store_release(&space.slice_mask, slices_size - sizeof(slice_t));
    first = (char *)space_slice_at((void *)space.base);
    slices_region = (struct region){first, 0, slices_size - (size_t)(first - start), true};
    wrapped_region = (struct region){start, 0, (size_t)(first - start), true};
    return 0;
}

/* What lies before the first and behind the last whole chunk: a later reservation continues
 * there. */
static void
give_back_ends(char *start, size_t total, size_t slack)
{
    size_t kept = slack + space.reserved_bytes;

    if (slack > 0) {
        os_unreserve(start, slack);
    }
    if (total > kept) {
        os_unreserve(start + kept, total - kept);
    }
}

int
space_init(size_t want_bytes)
{
    TIDE_WARM_TEXT(name, "tidemalloc");
    uintptr_t hint = HINT_BASE + ((os_random() & HINT_RANDOM_MASK) << 30);
    size_t bytes = first_reservation(align_up(want_bytes, CHUNK_BYTES));

    for (; bytes >= RESERVE_FLOOR; bytes = align_down(bytes / 2, CHUNK_BYTES)) {
        bool limited = os_info.address_limit != SIZE_MAX;
        size_t most = limited ? max_zu(bytes, os_info.address_limit) : max_zu(bytes, MAP_FLOOR);
        size_t max_chunks = most >> CHUNK_SHIFT;
        size_t meta_size = meta_bytes_for(max_chunks);
        size_t total = meta_size + bytes + CHUNK_BYTES;
        char *start = os_reserve((void *)hint, total);

        if (start != NULL) {
            size_t slack = align_up((uintptr_t)start, CHUNK_BYTES) - (uintptr_t)start;

            if (lay_out(start + slack, meta_size, max_chunks) != 0) {
                os_unreserve(start, total);
                continue;
            }
            space.reserved_chunks = (total - slack - meta_size) >> CHUNK_SHIFT;
            space.reserved_bytes = meta_size + (space.reserved_chunks << CHUNK_SHIFT);
            give_back_ends(start, total, slack);
            os_name_range(start + slack, space.reserved_bytes, name);
            return 0;
        }
    }
    return ENOMEM;
}

/* Extends the reservation in place when it is too small. */
static int
reserve_more_locked(size_t chunks)
{
    size_t missing = space.frontier + chunks - space.reserved_chunks;
    int error;

    if (space.frontier + chunks > space.max_chunks) {
        return ENOMEM;
    }
    error = os_reserve_at(chunk_address(space.reserved_chunks), missing << CHUNK_SHIFT);
    if (error == 0) {
        space.reserved_chunks += missing;
        counter_add(&space.reserved_bytes, missing << CHUNK_SHIFT);
    }
    return error;
}

static int
commit_chunks_locked(size_t first, size_t count, enum chunk_kind kind)
{
    char *start = chunk_address(first);
    size_t bytes = count << CHUNK_SHIFT;
    int error = os_commit(start, bytes);

    counter_add(&arena_counters.commit_calls, 1);
    if (error == 0 && kind == CHUNK_HUGE_PAGES) {
        os_advise_huge(start, bytes, true);
    } else if (error == 0 && os_has(OS_FEATURE_THP_ALWAYS)) {
        os_advise_huge(start, bytes, false);
    }
    return error;
}

/* Records of the first `count` slices can be written to. */
static int
slices_require(size_t count)
{
    size_t bytes = count * sizeof(slice_t);
    int error = region_require(&slices_region, min_zu(bytes, slices_region.limit), SLICES_STEP);

    if (error == 0 && bytes > slices_region.limit) {
        error = region_require(&wrapped_region, bytes - slices_region.limit, SLICES_STEP);
    }
    return error;
}

size_t
space_grow_locked(size_t count, enum chunk_kind kind)
{
    size_t first = space.frontier;
    size_t end = first + count;

    if (end > space.reserved_chunks && reserve_more_locked(count) != 0) {
        return SIZE_MAX;
    }
    if (slices_require(end * CHUNK_SLICES) != 0 ||
        region_require(&chunk_region, end * sizeof(chunk_t), META_STEP) != 0 ||
        commit_chunks_locked(first, count, kind) != 0) {
        return SIZE_MAX;
    }
    atomic_store_relaxed(&space.frontier, end);
    atomic_store_relaxed(&space.slice_limit, end * CHUNK_SLICES);
    return first;
}

void
space_map_span(span_t *span, char *start, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        slice_t *slice = space_slice_at(start + (i << SLICE_SHIFT));

        atomic_store_relaxed(&slice->owner, OWNER_NOBODY);
        atomic_store_relaxed(&slice->span, span);
    }
}

static void *
meta_alloc_locked(size_t size, size_t align)
{
    size_t at =
        align_up((uintptr_t)meta_region.start + meta_used, align) - (uintptr_t)meta_region.start;

    size = align_up(size, TIDE_CACHE_LINE);
    if (region_require(&meta_region, at + size, META_STEP) != 0) {
        return NULL;
    }
    atomic_store_relaxed(&meta_used, at + size);
    return meta_region.start + at;
}

void *
meta_alloc(size_t size)
{
    return meta_alloc_aligned(size, TIDE_CACHE_LINE);
}

void *
meta_alloc_aligned(size_t size, size_t align)
{
    void *p;

    lock_acquire(&meta_lock);
    p = meta_alloc_locked(size, align);
    lock_release(&meta_lock);
    return p;
}

TIDE_COLD void
space_prepare(void)
{
    size_t from;
    size_t end;

    if (os_info.overcommit == 2 || os_info.address_limit != SIZE_MAX) {
        return; /* what is accessible is charged: no more than is asked for */
    }
    lock_acquire(&meta_lock);
    (void)region_require(&meta_region, meta_used + META_STEP, META_STEP);
    from = max_zu(meta_prepared, align_up(meta_used, OS_PAGE));
    end = max_zu(meta_region.committed, from);
    meta_prepared = end;
    lock_release(&meta_lock);
    if (end > from) {
        (void)os_populate(meta_region.start + from, end - from);
    }
}

TIDE_COLD size_t
meta_bytes(void)
{
    return atomic_load_relaxed(&meta_used) + atomic_load_relaxed(&slices_region.committed) +
           atomic_load_relaxed(&wrapped_region.committed) +
           atomic_load_relaxed(&chunk_region.committed);
}

TIDE_COLD size_t
meta_resident(void)
{
    return os_resident_range(slices_region.start, slices_region.committed) +
           os_resident_range(wrapped_region.start, wrapped_region.committed) +
           os_resident_range(chunk_region.start, chunk_region.committed) +
           os_resident_range(meta_region.start, meta_region.committed);
}

TIDE_COLD size_t
space_resident(void)
{
    return os_resident_range(chunk_address(0), atomic_load_relaxed(&space.frontier) << CHUNK_SHIFT);
}

TIDE_COLD size_t
meta_span_bytes(void)
{
    return space.base - (uintptr_t)space.slices;
}

span_t *
span_record_alloc(void)
{
    span_t *span;

    lock_acquire(&meta_lock);
    span = free_records;
    if (span != NULL) {
        free_records = span->next;
        span->next = NULL;
    } else {
        span = meta_alloc_locked(sizeof *span, TIDE_CACHE_LINE);
    }
    lock_release(&meta_lock);
    return span;
}

void
span_record_free(span_t *span)
{
    span->kind = SPAN_NONE;
    lock_acquire(&meta_lock);
    span->next = free_records;
    free_records = span;
    lock_release(&meta_lock);
}
