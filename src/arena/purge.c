/* SPDX-License-Identifier: MIT */
/*
 * Giving back the pages of free slices. A run is taken out of its chunk under the lock, purged
 * without it and put back clean, so nobody waits for a madvise. Top chunks go first: new memory
 * comes from the bottom, so what is purged there is the least likely to be wanted back.
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

/* A withdrawn chunk is lost to the address space: nobody gets it any more. Takes the lock. */
static size_t
forget_chunk(size_t index)
{
    lock_acquire(&arena_lock);
    counter_add(&arena_counters.free_dirty_slices,
                (size_t)0 - bits_count(space.chunks[index].dirty));
    space.chunks[index].dirty = 0;
    counter_add(&arena_counters.purge_failures, 1);
    return 0;
}

static size_t
purge_chunk(size_t index)
{
    chunk_t *chunk = &space.chunks[index];
    bool whole = chunk->free == UINT64_MAX;
    bool renew = whole && chunk->seams != 0;
    bool unsplit = whole && chunk->split != 0;
    bool clean = true;
    uint64_t dirty;
    uint64_t mask;
    uint64_t left;

    /* Of a split one those that were in use then, and never written to, as well. */
    if (chunk->kind == CHUNK_HUGE_PAGES || chunk->split != 0) {
        count_huge_as_dirty_locked(chunk);
    }
    dirty = chunk->free & chunk->dirty;
    mask = renew || unsplit ? UINT64_MAX : dirty;
    left = dirty;
    chunk_withdraw_locked(index, mask);
    if (unsplit) {
        unsplit_chunk_locked(index);
    }
    lock_release(&arena_lock);
    if (!whole) {
        split_chunk(index);
    }
    if (renew && chunk_renew(chunk_address(index), CHUNK_BYTES)) {
        left = 0;
    } else if (renew && !os_is_mapped(chunk_address(index), CHUNK_BYTES)) {
        return forget_chunk(index); /* the kernel unmapped it before it refused to map it */
    } else {
        renew = false;
    }
    while (left != 0) {
        unsigned at = (unsigned)__builtin_ctzll(left);
        uint64_t rest = ~(left >> at);
        unsigned n = rest == 0 ? 64 : (unsigned)__builtin_ctzll(rest);

        clean &= os_purge(chunk_address(index) + ((size_t)at << SLICE_SHIFT),
                          (size_t)n << SLICE_SHIFT) == 0;
        left &= ~run_mask(at, n);
        counter_add(&arena_counters.purge_calls, 1);
    }
    if (unsplit && !renew) {
        os_advise_huge(chunk_address(index), CHUNK_BYTES, true);
    }
    lock_acquire(&arena_lock);
    if (renew) {
        chunk_mark_renewed_locked(index);
    }
    chunk_restore_locked(index, mask, clean);
    if (!clean) {
        counter_add(&arena_counters.purge_failures, 1);
        counter_add(&refusals, 1);
        return 0;
    }
    atomic_store_relaxed(&refusals, 0);
    counter_add(&arena_counters.purged_bytes, (size_t)bits_count(dirty) << SLICE_SHIFT);
    return (size_t)bits_count(dirty) << SLICE_SHIFT;
}

/* lock(purge) held: fork waits for it, so that a child never misses slices that were withdrawn. */
static size_t
purge_free(size_t max_bytes, uint32_t before_tick)
{
    size_t done = 0;

    lock_acquire(&arena_lock);
    for (size_t i = space.frontier; i-- > 0 && done < max_bytes;) {
        const chunk_t *chunk = &space.chunks[i];
        size_t got;

        if (chunk->committed == 0 || (chunk->free & chunk->dirty) == 0 ||
            (int32_t)(chunk->freed_tick - before_tick) >= 0) {
            continue;
        }
        got = purge_chunk(i);
        done += got;
        if (got == 0) {
            break; /* refused (a sandbox, mlockall): so would the others be */
        }
    }
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
    atomic_add_relaxed(&arena_counters.hole_purge_calls, 1);
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
