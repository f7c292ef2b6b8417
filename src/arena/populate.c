/* SPDX-License-Identifier: MIT */
/*
 * Pages for free slices before anybody asks for them, so that who does takes no page fault. A run
 * is taken out of its chunk under the lock, populated without it, and put back as one that holds
 * pages: the next slices_alloc prefers it.
 */
#include "arena/arena.h"
#include "base/assert.h"
#include "os/os.h"

struct arena_marks arena_marks = {.clean_slices = UINT64_MAX};

/* Of clean slices: at the start of a huge page nothing but all of it. */
static bool
find_clean(enum chunk_kind kind, unsigned most, size_t *index, uint64_t *mask)
{
    *index = chunk_find_clean_locked(kind);
    if (*index == SIZE_MAX) {
        return false;
    }
    *mask = space.chunks[*index].free & ~space.chunks[*index].dirty;
    if (kind == CHUNK_SMALL_PAGES) {
        unsigned n = (unsigned)min_zu(longest_run(*mask), most);

        *mask = run_mask((unsigned)__builtin_ctzll(run_starts(*mask, n)), n);
    }
    return true;
}

TIDE_COLD bool
arena_populate_used(char *start, size_t bytes)
{
    bool done = os_populate(start, bytes) == 0;

    if (done) {
        atomic_add_relaxed(&arena_counters.populated_bytes, bytes);
    } else {
        atomic_add_relaxed(&arena_counters.populate_failures, 1);
    }
    return done;
}

/* lock(purge) held: fork waits for it. */
static size_t
populate(enum chunk_kind kind, unsigned most)
{
    uintptr_t nothing = 0;
    size_t index;
    uint64_t mask;
    size_t bytes;
    bool done;

    lock_acquire(&arena_lock);
    if (!find_clean(kind, most, &index, &mask)) {
        lock_release(&arena_lock);
        return 0;
    }
    chunk_withdraw_locked(index, mask);
    lock_release(&arena_lock);

    /* Its records' page as well; who frees into the chunk may read it just now. */
    TIDE_OPAQUE(nothing); /* or the compiler knows that a load is enough */
    (void)atomic_add_relaxed(&space_slice_at(chunk_address(index))->owner, nothing);
    bytes = (size_t)bits_count(mask) << SLICE_SHIFT;
    done = arena_populate_used(
        chunk_address(index) + ((size_t)__builtin_ctzll(mask) << SLICE_SHIFT), bytes);
    lock_acquire(&arena_lock);
    chunk_give_rest_locked(index, mask, mask); /* refused in the middle, it holds some */
    lock_release(&arena_lock);
    return done ? bytes : 0;
}

TIDE_COLD size_t
arena_populate(size_t max_bytes, enum chunk_kind kind)
{
    unsigned most = (unsigned)min_zu(max_bytes >> SLICE_SHIFT, CHUNK_SLICES);
    size_t done = 0;

    if (most > 0) {
        lock_acquire(&purge_lock);
        done = populate(kind, most);
        lock_release(&purge_lock);
    }
    return done;
}

void
arena_set_marks(size_t low_slices, uint64_t clean_slices)
{
    atomic_store_relaxed(&arena_marks.clean_slices, clean_slices);
    atomic_store_relaxed(&arena_marks.low_slices, low_slices);
}
