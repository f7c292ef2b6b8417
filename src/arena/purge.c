/* SPDX-License-Identifier: MIT */
/*
 * Giving back the pages of free slices. Runs of some chunks are taken out under the lock, purged
 * without it and put back clean, so nobody waits for the system call. Top chunks go first: new
 * memory comes from the bottom, so what is purged there is the least likely to be wanted back.
 */
#include "arena/arena.h"
#include "os/os.h"

#define SLACK_SLICES ((size_t)(4 << 20) >> SLICE_SHIFT) /* see arena_excess */
#define REFUSALS_MAX 3u /* in a row: an allocating thread does not try any more */

lock_t purge_lock;

/* Of the mappings a process may have: each such chunk is up to two more. */
#define SPLIT_CHUNKS_MAX 8192u

static uint32_t holds_free;   /* atomic(relaxed): free memory goes by arena_purge_free only */
static uint32_t split_chunks; /* lock(arena) */
static uint32_t refusals;     /* lock(purge) to write: purges refused in a row */

/* A huge page comes whole: free slices of the chunk may hold pages, whether they were used or not.
 */
static void
count_huge_as_dirty_locked(chunk_t *chunk)
{
    counter_add(&arena_counters.free_dirty_slices, bits_count(chunk->free & ~chunk->dirty));
    chunk->dirty |= chunk->free;
}

/* The kernel's khugepaged fills the holes of a huge page again, on its own account, within a minute
 * or so: a chunk of which part was given back asks for small pages, until all of it is given back.
 */
static void
split_chunk(size_t index)
{
    chunk_t *chunk = &space.chunks[index];
    bool split;

    lock_acquire(&arena_lock);
    split = chunk->kind == CHUNK_HUGE_PAGES && split_chunks < SPLIT_CHUNKS_MAX;
    if (split) {
        count_huge_as_dirty_locked(chunk);
        chunk_set_kind_locked(index, CHUNK_SMALL_PAGES);
        chunk->split = 1;
        split_chunks++;
    }
    lock_release(&arena_lock);
    if (split) {
        os_advise_huge(chunk_address(index), CHUNK_BYTES, false);
    }
}

static void
unsplit_chunk_locked(size_t index)
{
    split_chunks--;
    space.chunks[index].split = 0;
    chunk_set_kind_locked(index, CHUNK_HUGE_PAGES);
}

/* Chunks whose free slices are withdrawn, and what of them is to go back, in one call for all. */
#define BATCH_CHUNKS 16u
TIDE_STATIC_ASSERT(BATCH_CHUNKS *CHUNK_SLICES / 2 <= OS_RANGES_MAX, "every second slice of each");

struct leaving {
    size_t index;
    uint64_t mask;  /* withdrawn */
    uint64_t dirty; /* of these, that hold pages */
    uint32_t first_range;
    bool whole;   /* all of the chunk */
    bool renew;   /* and it is of several mappings */
    bool unsplit; /* it asks for huge pages again */
    bool renewed; /* replaced by fresh pages: there is nothing left to purge */
    bool is_lost; /* to the address space: nobody gets it any more */
};

struct purge {
    uint32_t chunk_count;
    uint32_t range_count;
    struct leaving chunks[BATCH_CHUNKS];
    struct os_range ranges[OS_RANGES_MAX];
};

static TIDE_SPARSE struct purge purge; /* lock(purge): too large for any thread's stack */

/* Withdraws what is free and dirty; bytes. */
static size_t
withdraw_locked(size_t index)
{
    chunk_t *chunk = &space.chunks[index];
    struct leaving *leaving = &purge.chunks[purge.chunk_count++];

    *leaving = (struct leaving){.index = index, .whole = chunk->free == UINT64_MAX};
    /* Of a split one those that were in use then, and never written to, as well. */
    if (chunk->kind == CHUNK_HUGE_PAGES || chunk->split != 0) {
        count_huge_as_dirty_locked(chunk);
    }
    leaving->renew = leaving->whole && chunk->seams != 0;
    leaving->unsplit = leaving->whole && chunk->split != 0;
    leaving->dirty = chunk->free & chunk->dirty;
    leaving->mask = leaving->renew || leaving->unsplit ? UINT64_MAX : leaving->dirty;
    chunk_withdraw_locked(index, leaving->mask);
    if (leaving->unsplit) {
        unsplit_chunk_locked(index);
    }
    return (size_t)bits_count(leaving->dirty) << SLICE_SHIFT;
}

/* How many slices in a row, from that one on. */
static unsigned
run_from(uint64_t mask, unsigned at)
{
    uint64_t rest = ~(mask >> at);

    return rest == 0 ? CHUNK_SLICES : (unsigned)__builtin_ctzll(rest);
}

static void
add_runs(const struct leaving *leaving)
{
    uint64_t left = leaving->dirty;

    while (left != 0) {
        unsigned at = (unsigned)__builtin_ctzll(left);
        unsigned n = run_from(left, at);

        purge.ranges[purge.range_count++] = (struct os_range){
            chunk_address(leaving->index) + ((size_t)at << SLICE_SHIFT), (size_t)n << SLICE_SHIFT};
        left &= ~run_mask(at, n);
    }
}

/* What is done to a withdrawn chunk before its slices go, if they are to go. */
static void
prepare(struct leaving *leaving)
{
    char *start = chunk_address(leaving->index);

    leaving->first_range = purge.range_count;
    if (!leaving->whole) {
        split_chunk(leaving->index);
    } else if (leaving->renew) {
        leaving->renewed = chunk_renew(start, CHUNK_BYTES);
        /* Did the kernel unmap it before it refused to map it? */
        leaving->is_lost = !leaving->renewed && !os_is_mapped(start, CHUNK_BYTES);
    }
    if (!leaving->renewed && !leaving->is_lost) {
        add_runs(leaving);
    }
}

/* The slices of the runs that were refused. */
static uint64_t
refused_slices(const struct leaving *leaving, uint32_t end_range)
{
    uint64_t refused = 0;

    for (uint32_t i = leaving->first_range; i < end_range; i++) {
        if (purge.ranges[i].size == 0) {
            unsigned at = (unsigned)(space_slice_of(purge.ranges[i].start) % CHUNK_SLICES);

            refused |= run_mask(at, run_from(leaving->dirty, at));
        }
    }
    return refused;
}

static size_t
restore_locked(const struct leaving *leaving, uint32_t end_range)
{
    uint64_t refused = refused_slices(leaving, end_range);
    size_t slices = bits_count(leaving->dirty & ~refused);

    if (leaving->is_lost) {
        counter_add(&arena_counters.free_dirty_slices, (size_t)0 - slices);
        space.chunks[leaving->index].dirty = 0;
        counter_add(&arena_counters.purge_failures, 1);
        return 0;
    }
    if (leaving->renewed) {
        chunk_mark_renewed_locked(leaving->index);
    }
    chunk_restore_locked(leaving->index, leaving->mask & ~refused, true);
    if (refused != 0) {
        chunk_restore_locked(leaving->index, refused, false);
        counter_add(&arena_counters.purge_failures, 1);
    }
    counter_add(&arena_counters.purged_bytes, slices << SLICE_SHIFT);
    return slices << SLICE_SHIFT;
}

/* Gives back what was withdrawn, and puts it back, clean as far as it went; bytes. Drops
 * lock(arena) meanwhile. */
static size_t
purge_withdrawn_locked(void)
{
    size_t done = 0;

    if (purge.chunk_count == 0) {
        return 0;
    }
    lock_release(&arena_lock);
    for (uint32_t i = 0; i < purge.chunk_count; i++) {
        prepare(&purge.chunks[i]);
    }
    (void)os_purge_ranges(purge.ranges, purge.range_count); /* see refused_slices */
    for (uint32_t i = 0; i < purge.chunk_count; i++) {
        if (purge.chunks[i].unsplit && !purge.chunks[i].renewed) {
            os_advise_huge(chunk_address(purge.chunks[i].index), CHUNK_BYTES, true);
        }
    }
    lock_acquire(&arena_lock);
    counter_add(&arena_counters.purge_calls, purge.range_count > 0);
    for (uint32_t i = 0; i < purge.chunk_count; i++) {
        done += restore_locked(&purge.chunks[i], i + 1 < purge.chunk_count
                                                     ? purge.chunks[i + 1].first_range
                                                     : purge.range_count);
    }
    atomic_store_relaxed(&refusals, done == 0 ? refusals + 1 : 0);
    purge.chunk_count = purge.range_count = 0;
    return done;
}

/* lock(purge) held: fork waits for it, so that a child never misses slices that were withdrawn. */
static size_t
purge_free(size_t max_bytes, uint32_t before_tick)
{
    size_t withdrawn = 0;
    size_t done = 0;

    purge.chunk_count = purge.range_count = 0; /* a child of _Fork may find its parent's */
    lock_acquire(&arena_lock);
    for (size_t i = space.frontier; i-- > 0 && withdrawn < max_bytes;) {
        const chunk_t *chunk = &space.chunks[i];

        if (chunk->committed == 0 || (chunk->free & chunk->dirty) == 0 ||
            (int32_t)(chunk->freed_tick - before_tick) >= 0) {
            continue;
        }
        withdrawn += withdraw_locked(i);
        if (purge.chunk_count == BATCH_CHUNKS) {
            size_t got = purge_withdrawn_locked();

            done += got;
            if (got == 0) {
                break; /* refused (a sandbox, mlockall): so would the others be */
            }
        }
    }
    done += purge_withdrawn_locked();
    lock_release(&arena_lock);
    return done;
}

TIDE_COLD size_t
arena_purge_free(size_t max_bytes, uint32_t before_tick)
{
    size_t done;

    lock_acquire(&purge_lock);
    done = purge_free(max_bytes, before_tick);
    lock_release(&purge_lock);
    return done;
}

TIDE_COLD void
arena_count_hole_purge(const char *address, size_t bytes)
{
    split_chunk(chunk_of_address(address));
    atomic_add_relaxed(&arena_counters.hole_purged_bytes, bytes);
}

size_t
arena_excess(void)
{
    size_t highest = atomic_load_relaxed(&arena_counters.filled_highest);
    size_t most = highest + max_zu(highest / 8, SLACK_SLICES);
    size_t room = atomic_load_relaxed(&arena_counters.room_slices);
    size_t used = max_zu(atomic_load_relaxed(&arena_counters.used_slices), room) - room;
    size_t have = used + atomic_load_relaxed(&arena_counters.free_dirty_slices);

    return have > most ? have - most : 0;
}

void
arena_hold_free(bool hold)
{
    atomic_store_relaxed(&holds_free, hold);
}

void
arena_make_up_for(size_t count)
{
    size_t excess = atomic_load_relaxed(&holds_free) != 0 ? 0 : arena_excess();

    if (excess > 0 && atomic_load_relaxed(&refusals) < REFUSALS_MAX &&
        lock_try_acquire(&purge_lock)) {
        purge_free(min_zu(count, excess) << SLICE_SHIFT, atomic_load_relaxed(&arena_tick) + 1);
        lock_release(&purge_lock);
    }
}
