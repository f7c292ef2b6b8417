/* SPDX-License-Identifier: MIT */
/*
 * Slices: 64 to a chunk, free and dirty as one bit each. Chunks hang in bucket lists by their
 * longest free run, once counting all free slices and once only dirty ones (those that may still
 * hold pages), so the tightest fit that needs no page fault is one find-first-set away. Runs longer
 * than a chunk are first-fit over wholly free chunks, lowest address first.
 *
 * Invariant: used + free slices == 64 * chunks handed to the lists; dirty is only meaningful for
 * slices that are free (a used slice is assumed dirty when it is freed).
 * Cost: O(1) up to 2 MiB; above, one bit test per chunk below the frontier.
 * Lock: arena_lock, never held over a madvise except for the rare growth of the frontier.
 */
#include "arena/arena.h"

#include <string.h>

#include "base/assert.h"
#include "os/os.h"

enum { ANY = 0, DIRTY = 1 };
#define BUCKETS (CHUNK_SLICES + 1) /* by longest run; 0 is not listed */
#define ALL_SLICES UINT64_MAX
#define NO_CHUNK 0u /* links are index + 1 */

#define DONOR_SLICES 32u /* a chunk with so many dirty slices in a row is worth moving */

#define CLEAN_LOOKS 64u  /* chunks of a list */
#define CLEAN_RUN_MIN 8u /* slices: shorter ones are not worth a call to populate them */

#define FIRST_STEP_CHUNKS 8u /* 16 MiB */
#define MAX_STEP_CHUNKS 32u  /* 64 MiB: bounds the map entries one growth writes */
#define HUGE_STEP_CHUNKS 16u

struct bucket_lists {
    uint64_t occupied; /* bit n - 1: bucket n has chunks */
    uint32_t head[BUCKETS];
};

/* Chunks made accessible but in no list yet. */
struct cursor {
    size_t next;
    size_t end;
};

lock_t arena_lock;
struct arena_counters arena_counters;
uint32_t arena_tick;

static struct bucket_lists lists[CHUNK_KINDS][2]; /* lock(arena) */
static struct cursor cursors[CHUNK_KINDS];        /* lock(arena) */
static size_t lowest_free;                        /* lock(arena): no wholly free chunk below */
static size_t huge_threshold_slices = SIZE_MAX;   /* atomic(relaxed): */
static bool spares_huge;                          /* atomic(relaxed): */

void
arena_init(size_t huge_threshold_bytes, bool huge)
{
    huge_threshold_slices = huge ? huge_threshold_bytes >> SLICE_SHIFT : SIZE_MAX;
}

void
arena_expect(size_t bytes)
{
    if (bytes >> SLICE_SHIFT >= huge_threshold_slices) {
        atomic_store_relaxed(&huge_threshold_slices, 0);
    }
}

void
arena_spare_huge(bool spare)
{
    atomic_store_relaxed(&spares_huge, spare);
}

/* --- bucket lists ------------------------------------------------------------------------- */

static void
bucket_remove(size_t index, int which)
{
    chunk_t *chunk = &space.chunks[index];
    struct bucket_lists *bl = &lists[chunk->kind][which];
    unsigned n = chunk->bucket[which];

    if (n == 0) {
        return;
    }
    if (chunk->previous[which] != NO_CHUNK) {
        space.chunks[chunk->previous[which] - 1].next[which] = chunk->next[which];
    } else {
        bl->head[n] = chunk->next[which];
        if (bl->head[n] == NO_CHUNK) {
            atomic_store_relaxed(&bl->occupied, bl->occupied & ~(1ull << (n - 1)));
        }
    }
    if (chunk->next[which] != NO_CHUNK) {
        space.chunks[chunk->next[which] - 1].previous[which] = chunk->previous[which];
    }
    chunk->bucket[which] = 0;
}

static void
bucket_insert(size_t index, int which, unsigned n)
{
    chunk_t *chunk = &space.chunks[index];
    struct bucket_lists *bl = &lists[chunk->kind][which];

    chunk->bucket[which] = (uint8_t)n;
    if (n == 0) {
        return;
    }
    chunk->previous[which] = NO_CHUNK;
    chunk->next[which] = bl->head[n];
    if (bl->head[n] != NO_CHUNK) {
        space.chunks[bl->head[n] - 1].previous[which] = (uint32_t)index + 1;
    }
    bl->head[n] = (uint32_t)index + 1;
    atomic_store_relaxed(&bl->occupied, bl->occupied | 1ull << (n - 1));
}

static void
chunk_refile(size_t index)
{
    chunk_t *chunk = &space.chunks[index];
    unsigned any = longest_run(chunk->free);
    unsigned dirty = longest_run(chunk->free & chunk->dirty);

    if (any != chunk->bucket[ANY]) {
        bucket_remove(index, ANY);
        bucket_insert(index, ANY, any);
    }
    if (dirty != chunk->bucket[DIRTY]) {
        bucket_remove(index, DIRTY);
        bucket_insert(index, DIRTY, dirty);
    }
    if (chunk->free == ALL_SLICES && index < lowest_free) {
        lowest_free = index;
    }
}

static size_t
bucket_first_fit(const struct bucket_lists *bl, unsigned count)
{
    uint64_t fitting = bl->occupied >> (count - 1) << (count - 1);

    return fitting == 0 ? SIZE_MAX : bl->head[__builtin_ctzll(fitting) + 1] - 1;
}

/* --- taking and giving slices of one chunk ------------------------------------------------- */

static void
note_filled(void)
{
    struct arena_counters *c = &arena_counters;
    size_t filled = c->used_slices - c->room_slices;

    if (filled > c->filled_highest) {
        atomic_store_relaxed(&c->filled_highest, filled);
    }
}

static void
count_used(size_t slices)
{
    struct arena_counters *c = &arena_counters;

    counter_add(&c->used_slices, slices);
    note_filled();
    counter_add(&c->slices_allocated, slices);
    if (c->used_slices > atomic_load_relaxed(&c->used_peak)) {
        atomic_store_relaxed(&c->used_peak, c->used_slices);
    }
    if (c->used_slices > c->used_highest) {
        atomic_store_relaxed(&c->used_highest, c->used_slices);
    }
}

/* Marks the slices of `mask` used; which of them may hold pages. */
static uint64_t
chunk_take(size_t index, uint64_t mask)
{
    chunk_t *chunk = &space.chunks[index];
    uint64_t dirty = chunk->dirty & mask;

    tide_assert_internal((chunk->free & mask) == mask);
    chunk->free &= ~mask;
    chunk->dirty &= ~mask;
    counter_add(&arena_counters.free_dirty_slices, (size_t)0 - bits_count(dirty));
    counter_add(&arena_counters.reused_dirty_slices, bits_count(dirty));
    chunk_refile(index);
    return dirty;
}

static void
chunk_give(size_t index, uint64_t mask, uint64_t dirty)
{
    chunk_t *chunk = &space.chunks[index];

    tide_assert_internal((chunk->free & mask) == 0);
    chunk->free |= mask;
    chunk->dirty |= dirty;
    chunk->freed_tick = atomic_load_relaxed(&arena_tick);
    counter_add(&arena_counters.free_dirty_slices, bits_count(dirty));
    chunk_refile(index);
}

/* For purging: takes free dirty slices out of circulation, and puts them back. */
TIDE_COLD void
chunk_withdraw_locked(size_t index, uint64_t mask)
{
    space.chunks[index].free &= ~mask;
    chunk_refile(index);
}

TIDE_COLD void
chunk_restore_locked(size_t index, uint64_t mask, bool clean)
{
    chunk_t *chunk = &space.chunks[index];

    chunk->free |= mask;
    if (clean) {
        counter_add(&arena_counters.free_dirty_slices, (size_t)0 - bits_count(mask & chunk->dirty));
        chunk->dirty &= ~mask;
    }
    chunk_refile(index);
}

void
chunk_set_kind_locked(size_t index, enum chunk_kind kind)
{
    bucket_remove(index, ANY);
    bucket_remove(index, DIRTY);
    counter_add(&arena_counters.huge_chunks, kind == CHUNK_HUGE_PAGES ? (size_t)1 : (size_t)0 - 1);
    space.chunks[index].kind = (uint8_t)kind;
    chunk_refile(index);
}

void
chunk_give_rest_locked(size_t index, uint64_t mask, uint64_t dirty)
{
    space.chunks[index].free |= mask;
    space.chunks[index].dirty |= dirty;
    counter_add(&arena_counters.free_dirty_slices, bits_count(dirty));
    chunk_refile(index);
}

bool
chunk_is_alone_locked(size_t index, uint64_t mask)
{
    const chunk_t *chunk = &space.chunks[index];

    return chunk->free == ~mask && chunk->dirty == 0;
}

bool
chunk_was_bare_locked(size_t index, uint64_t mask)
{
    return space.chunks[index].bare != 0 && chunk_is_alone_locked(index, mask);
}

TIDE_COLD size_t
chunk_find_donor_locked(size_t like)
{
    enum chunk_kind kind = space.chunks[like].kind;

    for (unsigned k = 0; k < CHUNK_KINDS; k++) {
        const struct bucket_lists *bl = &lists[(kind + k) % CHUNK_KINDS][DIRTY];
        uint64_t worth = bl->occupied >> (DONOR_SLICES - 1) << (DONOR_SLICES - 1);

        while (worth != 0) {
            unsigned n = log2_floor(worth) + 1;
            size_t index = bl->head[n] - 1;

            if (space.chunks[index].free == ALL_SLICES &&
                (space.chunks[index].seams & ~1ull) == 0) {
                return index;
            }
            worth &= ~(1ull << (n - 1)); /* only the first of each list: the search is short */
        }
    }
    return SIZE_MAX;
}

unsigned
chunk_take_pages_locked(unsigned most, size_t *index, unsigned *at)
{
    /* Not from huge pages: the rest of such a one would lose what it is for. */
    const struct bucket_lists *bl = &lists[CHUNK_SMALL_PAGES][DIRTY];
    unsigned n = most;
    unsigned best = 0;
    const chunk_t *chunk;
    unsigned first;

    if (bl->occupied == 0) {
        return 0;
    }
    *index = bucket_first_fit(bl, most);
    if (*index == SIZE_MAX) {
        n = log2_floor(bl->occupied) + 1;
        *index = bl->head[n] - 1;
    }
    chunk = &space.chunks[*index];
    first = (unsigned)__builtin_ctzll(run_starts(chunk->free & chunk->dirty, n));
    for (unsigned i = first, piece; i < first + n; i += piece) {
        piece = (unsigned)min_zu(first + n - i, chunk_same_mapping_locked(*index, i));
        if (piece > best) {
            best = piece;
            *at = i;
        }
    }
    chunk_withdraw_locked(*index, run_mask(*at, best));
    return best;
}

/* --- growth --------------------------------------------------------------------------------- */

static void
chunk_open(size_t index, enum chunk_kind kind)
{
    chunk_t *chunk = &space.chunks[index];

    *chunk = (chunk_t){.kind = (uint8_t)kind, .committed = 1};
    chunk_give(index, ALL_SLICES, 0);
    counter_add(&arena_counters.frontier_chunks, 1);
    if (kind == CHUNK_HUGE_PAGES) {
        counter_add(&arena_counters.huge_chunks, 1);
    }
}

static size_t
step_chunks(enum chunk_kind kind)
{
    size_t step = kind == CHUNK_HUGE_PAGES
                      ? HUGE_STEP_CHUNKS
                      : min_zu(max_zu(space.frontier / 2, FIRST_STEP_CHUNKS), MAX_STEP_CHUNKS);

    if (os_info.overcommit == 2 || os_info.address_limit != SIZE_MAX) {
        step = 1; /* what is accessible is charged */
    }
    return step;
}

/* Opens `count` contiguous chunks of the kind; the first one's index or SIZE_MAX. */
static size_t
open_chunks_locked(size_t count, enum chunk_kind kind)
{
    struct cursor *cursor = &cursors[kind];
    size_t first;

    if (cursor->end - cursor->next < count) {
        size_t step = max_zu(count, step_chunks(kind));
        size_t got = space_grow_locked(step, kind);

        if (got == SIZE_MAX && step > count) {
            step = count;
            got = space_grow_locked(step, kind);
        }
        if (got == SIZE_MAX) {
            return SIZE_MAX;
        }
        if (got != cursor->end) {
            while (cursor->next < cursor->end) { /* the rest is no longer contiguous */
                chunk_open(cursor->next++, kind);
            }
            cursor->next = got;
        }
        cursor->end = got + step;
    }
    first = cursor->next;
    cursor->next += count;
    for (size_t i = first; i < first + count; i++) {
        chunk_open(i, kind);
    }
    return first;
}

/* Lists with the shortest runs first: what lies scattered is of use again. A list begins with what
 * was filed last, which is what was populated last: some further ones are looked at. */
TIDE_COLD size_t
chunk_find_clean_locked(enum chunk_kind kind)
{
    const struct bucket_lists *bl = &lists[kind][ANY];
    unsigned least = kind == CHUNK_HUGE_PAGES ? CHUNK_SLICES : CLEAN_RUN_MIN;
    uint64_t worth = bl->occupied >> (least - 1) << (least - 1);

    for (; worth != 0; worth &= worth - 1) {
        uint32_t link = bl->head[__builtin_ctzll(worth) + 1];

        for (unsigned i = 0; i < CLEAN_LOOKS && link != NO_CHUNK; i++) {
            const chunk_t *chunk = &space.chunks[link - 1];

            if (longest_run(chunk->free & ~chunk->dirty) >= least) {
                return link - 1;
            }
            link = chunk->next[ANY];
        }
    }
    if (os_info.overcommit == 2 || os_info.address_limit != SIZE_MAX) {
        return SIZE_MAX; /* what is accessible is charged: no more than is asked for */
    }
    return open_chunks_locked(1, kind);
}

/* --- runs within a chunk --------------------------------------------------------------------- */

static struct slices
take_in_chunk(size_t index, unsigned count, uint64_t candidates, size_t align_slices)
{
    uint64_t starts = run_starts(candidates, count);
    uint64_t dirty;
    unsigned at;

    if (align_slices > 1) {
        for (unsigned i = 0; i < CHUNK_SLICES; i++) {
            if (i % align_slices != 0) {
                starts &= ~(1ull << i);
            }
        }
    }
    if (starts == 0) {
        return (struct slices){.start = NULL};
    }
    at = (unsigned)__builtin_ctzll(starts);
    dirty = chunk_take(index, run_mask(at, count)) >> at;
    return (struct slices){.start = chunk_address(index) + ((size_t)at << SLICE_SHIFT),
                           .count = count,
                           .clean = count - bits_count(dirty),
                           .dirty = dirty};
}

static struct slices
alloc_in_chunk(unsigned count, size_t align_slices, enum chunk_kind kind)
{
    static const int dirty_first[2] = {DIRTY, ANY};
    enum chunk_kind kinds[2] = {kind,
                                kind == CHUNK_SMALL_PAGES ? CHUNK_HUGE_PAGES : CHUNK_SMALL_PAGES};
    /* With alignment ask for room enough that an aligned start must lie in it. */
    unsigned wide = (unsigned)min_zu(count + align_slices - 1, CHUNK_SLICES);
    struct slices s = {.start = NULL};
    size_t index;

    for (int w = 0; w < 2; w++) {
        for (int k = 0; k < 2; k++) {
            index = bucket_first_fit(&lists[kinds[k]][dirty_first[w]], wide);
            if (index != SIZE_MAX) {
                chunk_t *chunk = &space.chunks[index];
                uint64_t in = w == 0 ? chunk->free & chunk->dirty : chunk->free;

                s = take_in_chunk(index, count, in, align_slices);
                if (s.start != NULL) {
                    return s;
                }
            }
            if (w == 1 && k == 0 && cursors[kind].next < cursors[kind].end) {
                break; /* fresh memory of the right kind before clean memory of the other */
            }
        }
    }
    index = open_chunks_locked(1, kind);
    if (index == SIZE_MAX) {
        return s;
    }
    return take_in_chunk(index, count, ALL_SLICES, align_slices);
}

/* --- runs of chunks -------------------------------------------------------------------------- */

/* Takes `count` slices from the start of chunk `first` on, all wholly free. */
static struct slices
take_run(size_t first, size_t count)
{
    struct slices taken = {.start = chunk_address(first), .count = (uint32_t)count};

    for (size_t i = first; count > 0; i++) {
        unsigned n = (unsigned)min_zu(count, CHUNK_SLICES);
        uint64_t dirty;

        space.chunks[i].bare = space.chunks[i].dirty == 0;
        dirty = chunk_take(i, run_mask(0, n));
        taken.clean += n - bits_count(dirty);
        taken.dirty = taken.count <= CHUNK_SLICES ? dirty : 0;
        count -= n;
    }
    return taken;
}

/* Of the address, that is: chunk 0 itself need not be aligned to more than a chunk. */
static bool
chunk_is_aligned(size_t index, size_t align_chunks)
{
    return ((space.base >> CHUNK_SHIFT) + index) % align_chunks == 0;
}

/* First chunk of `chunks` wholly free ones at an aligned index, or SIZE_MAX. `clean`: without
 * pages. */
static size_t
find_free_chunks(size_t chunks, size_t align_chunks, bool clean)
{
    size_t run = 0;
    bool first_seen = false;

    for (size_t i = lowest_free; i < space.frontier; i++) {
        const chunk_t *chunk = &space.chunks[i];
        bool is_free = chunk->committed != 0 && chunk->free == ALL_SLICES;

        if (is_free && !first_seen) {
            lowest_free = i;
            first_seen = true;
        }
        if (!is_free || (clean && chunk->dirty != 0)) {
            run = 0;
            continue;
        }
        if (run == 0 && !chunk_is_aligned(i, align_chunks)) {
            continue;
        }
        if (++run == chunks) {
            return i + 1 - chunks;
        }
    }
    if (!first_seen) {
        lowest_free = space.frontier;
    }
    return SIZE_MAX;
}

static struct slices
alloc_chunks(size_t count, size_t align, enum chunk_kind kind, bool clean)
{
    size_t chunks = (count + CHUNK_SLICES - 1) / CHUNK_SLICES;
    size_t align_chunks = max_zu(align >> CHUNK_SHIFT, 1);
    size_t first = find_free_chunks(chunks, align_chunks, clean);

    if (first == SIZE_MAX) {
        first = open_chunks_locked(chunks + align_chunks - 1, kind);
        if (first == SIZE_MAX) {
            return (struct slices){.start = NULL};
        }
        while (!chunk_is_aligned(first, align_chunks)) {
            first++;
        }
    }
    return take_run(first, count);
}

/* --- the interface --------------------------------------------------------------------------- */

static enum chunk_kind
kind_for(enum slices_want want, size_t count)
{
    bool dense = want == SLICES_DENSE && !atomic_load_relaxed(&spares_huge) &&
                 arena_counters.used_slices + count >= atomic_load_relaxed(&huge_threshold_slices);

    return dense ? CHUNK_HUGE_PAGES : CHUNK_SMALL_PAGES;
}

static bool
is_first_of_huge(const struct slices *s)
{
    size_t index = chunk_of_address(s->start);
    size_t at = space_slice_of(s->start) % CHUNK_SLICES;

    return space.chunks[index].kind == CHUNK_HUGE_PAGES && at + s->count <= CHUNK_SLICES &&
           s->clean == s->count && chunk_is_alone_locked(index, run_mask((unsigned)at, s->count));
}

struct slices
slices_alloc(size_t count, size_t align, enum slices_want want)
{
    enum chunk_kind kind;
    struct slices s;

    lock_acquire(&arena_lock);
    kind = kind_for(want, count);
    if (count <= CHUNK_SLICES && align <= CHUNK_BYTES) {
        s = alloc_in_chunk((unsigned)count, align >> SLICE_SHIFT, kind);
    } else {
        s = alloc_chunks(count, align, kind, false);
    }
    if (s.start != NULL) {
        s.brings_all = s.clean > 0 && is_first_of_huge(&s);
        count_used(count);
        counter_add(&arena_counters.asked_for[kind], count);
        counter_add(&arena_counters.clean_taken, s.clean);
    }
    lock_release(&arena_lock);
    return s;
}

struct slices
slices_alloc_clean(size_t count, size_t room, enum slices_want want)
{
    struct slices s;

    lock_acquire(&arena_lock);
    s = alloc_chunks(count, CHUNK_BYTES, kind_for(want, count), true);
    if (s.start != NULL) {
        counter_add(&arena_counters.room_slices, room);
        count_used(count);
        counter_add(&arena_counters.clean_taken, count - room);
    }
    lock_release(&arena_lock);
    return s;
}

TIDE_COLD char *
slices_alloc_bare(unsigned count)
{
    struct slices s = {.start = NULL};
    size_t index;

    lock_acquire(&arena_lock);
    index = chunk_find_clean_locked(CHUNK_SMALL_PAGES);
    if (index != SIZE_MAX) {
        const chunk_t *chunk = &space.chunks[index];

        s = take_in_chunk(index, count, chunk->free & ~chunk->dirty, 1);
    }
    if (s.start != NULL) {
        count_used(count);
    }
    lock_release(&arena_lock);
    return s.start;
}

void
arena_count_room_used(size_t slices)
{
    if (slices > 0) {
        lock_acquire(&arena_lock);
        counter_add(&arena_counters.room_slices, (size_t)0 - slices);
        note_filled();
        lock_release(&arena_lock);
    }
}

bool
slices_have_dirty(size_t count)
{
    uint64_t occupied = atomic_load_relaxed(&lists[CHUNK_SMALL_PAGES][DIRTY].occupied) |
                        atomic_load_relaxed(&lists[CHUNK_HUGE_PAGES][DIRTY].occupied);

    return occupied >> (count - 1) != 0;
}

void
slices_free(char *start, size_t count, size_t dirty)
{
    slices_free_with_room(start, count, dirty, 0);
}

void
slices_free_with_room(char *start, size_t count, size_t dirty, size_t room)
{
    size_t slice = space_slice_of(start);
    size_t left = count;

    space_map_span(&span_gone, start, count);
    lock_acquire(&arena_lock);
    while (left > 0) {
        unsigned at = (unsigned)(slice % CHUNK_SLICES);
        unsigned n = (unsigned)min_zu(left, CHUNK_SLICES - at);
        unsigned d = (unsigned)min_zu(dirty, n);

        chunk_give(slice / CHUNK_SLICES, run_mask(at, n), d == 0 ? 0 : run_mask(at, d));
        slice += n;
        left -= n;
        dirty -= d;
    }
    counter_add(&arena_counters.room_slices, (size_t)0 - room);
    counter_add(&arena_counters.used_slices, (size_t)0 - count);
    counter_add(&arena_counters.slices_freed, count);
    lock_release(&arena_lock);
}

bool
slices_extend(char *start, size_t count, size_t more, size_t *clean)
{
    size_t slice = space_slice_of(start) + count;
    size_t end = slice + more;
    bool possible = true;

    lock_acquire(&arena_lock);
    for (size_t s = slice; s < end && possible;) {
        size_t index = s / CHUNK_SLICES;
        unsigned at = (unsigned)(s % CHUNK_SLICES);
        unsigned n = (unsigned)min_zu(end - s, CHUNK_SLICES - at);
        uint64_t mask = run_mask(at, n);

        possible = index < space.frontier && space.chunks[index].committed != 0 &&
                   (space.chunks[index].free & mask) == mask;
        s += n;
    }
    *clean = 0;
    for (size_t s = slice; s < end && possible;) {
        unsigned at = (unsigned)(s % CHUNK_SLICES);
        unsigned n = (unsigned)min_zu(end - s, CHUNK_SLICES - at);

        uint64_t dirty = chunk_take(s / CHUNK_SLICES, run_mask(at, n));

        space.chunks[s / CHUNK_SLICES].bare = at == 0 && dirty == 0;
        *clean += n - bits_count(dirty);
        s += n;
    }
    if (possible) {
        count_used(more);
        counter_add(&arena_counters.clean_taken, *clean);
    }
    lock_release(&arena_lock);
    return possible;
}
