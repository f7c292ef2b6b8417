/* SPDX-License-Identifier: MIT */
/*
 * Pages change places: mremap moves page tables (6 µs for 2 MiB here), where a first touch of
 * as much memory costs 200 µs and more, and a copy as much again.
 *
 * arena_gather puts scattered free memory under one block: the block has its run of addresses, the
 * chunks of it that hold no pages get those of wholly free chunks elsewhere. So a process that
 * allocates and frees large blocks of all sizes needs no more memory than it uses, and touches
 * little of it for the first time. arena_move is realloc's: from one place to another.
 *
 * A chunk that pages were moved to sits in mappings of its own (`moved`); their number is bounded,
 * since a process may have 65530 mappings. When the keeper gives such a chunk back whole, the
 * range is renewed and merges with its neighbours.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/assert.h"
#include "os/os.h"

#define MOVED_CHUNKS_MAX 8192u
#define MOVE_PIECE_MIN ((size_t)64 << 10) /* below, copying is cheaper than two mappings */

static uint32_t moved_chunks; /* lock(arena) */

TIDE_COLD bool
chunk_renew(char *start, size_t bytes)
{
    const chunk_t *chunk = &space.chunks[chunk_of_address(start)];
    bool huge = chunk->kind == CHUNK_HUGE_PAGES;

    tide_assert(chunk_of_address(start) == chunk_of_address(start + bytes - 1));
    if (os_renew(start, bytes) != 0) {
        return false;
    }
    if (huge || os_has(OS_FEATURE_THP_ALWAYS)) {
        os_advise_huge(start, bytes, huge);
    }
    os_name_range(start, bytes, "tidemalloc");
    return true;
}

TIDE_COLD bool
chunk_mark_moved_locked(size_t index)
{
    chunk_t *chunk = &space.chunks[index];

    if (chunk->moved == 0 && moved_chunks < MOVED_CHUNKS_MAX) {
        chunk->moved = 1;
        moved_chunks++;
    }
    return chunk->moved != 0;
}

TIDE_COLD void
chunk_mark_renewed_locked(size_t index)
{
    moved_chunks -= space.chunks[index].moved;
    space.chunks[index].moved = 0;
}

enum outcome {
    PAGES_MOVED,
    PAGES_STAYED, /* and the target is as it was */
    TARGET_LOST,  /* they stayed; the target is a hole in the address space */
};

/* Within one chunk on both sides. */
static enum outcome
move_pages(char *from, char *to, size_t bytes)
{
    uint8_t kind = space.chunks[chunk_of_address(to)].kind;
    int error = os_move_pages(from, to, bytes);

    if (error == 0) {
        if (space.chunks[chunk_of_address(from)].kind != kind) {
            os_advise_huge(to, bytes, kind == CHUNK_HUGE_PAGES);
        }
        atomic_add_relaxed(&arena_counters.moved_bytes, bytes);
        return PAGES_MOVED;
    }
    if (error == EPERM || error == ENOSYS || error == EACCES) {
        return PAGES_STAYED; /* a sandbox that did not let the call through */
    }
    /* The kernel may have unmapped the target before it refused. */
    return chunk_renew(to, bytes) || os_is_mapped(to, bytes) ? PAGES_STAYED : TARGET_LOST;
}

/* --- gathering ------------------------------------------------------------------------------- */

/* Takes the pages of `donor` (withdrawn, wholly free) for chunk `to`, of which the block has the
 * slices of `mask` and nobody the others (withdrawn). */
static enum outcome
take_pages(size_t to, uint64_t mask, size_t donor)
{
    enum outcome outcome = move_pages(chunk_address(donor), chunk_address(to), CHUNK_BYTES);
    uint64_t dirty;

    lock_acquire(&arena_lock);
    dirty = space.chunks[donor].dirty;
    chunk_restore_locked(donor, UINT64_MAX, outcome == PAGES_MOVED);
    if (outcome != TARGET_LOST) {
        chunk_give_rest_locked(to, ~mask, outcome == PAGES_MOVED ? dirty & ~mask : 0);
    }
    lock_release(&arena_lock);
    return outcome;
}

TIDE_COLD bool
arena_gather(struct slices *slices)
{
    size_t first = chunk_of_address(slices->start);
    size_t left = slices->count;
    bool whole = true;

    if (!os_has(OS_FEATURE_MREMAP_DONTUNMAP) || !lock_try_acquire(&purge_lock)) {
        return true;
    }
    for (size_t i = first; left > 0 && whole; i++) {
        unsigned n = (unsigned)min_zu(left, CHUNK_SLICES);
        uint64_t mask = run_mask(0, n);
        size_t donor = SIZE_MAX;
        uint32_t dirty = 0;

        left -= n;
        lock_acquire(&arena_lock);
        if (chunk_is_bare_locked(i, mask) && (donor = chunk_find_donor_locked(i)) != SIZE_MAX &&
            chunk_mark_moved_locked(i)) {
            dirty = bits_count(space.chunks[donor].dirty & mask);
            chunk_withdraw_locked(donor, UINT64_MAX);
            chunk_withdraw_locked(i, ~mask);
        } else {
            donor = SIZE_MAX;
        }
        lock_release(&arena_lock);
        if (donor != SIZE_MAX) {
            enum outcome outcome = take_pages(i, mask, donor);

            whole = outcome != TARGET_LOST;
            if (outcome != PAGES_MOVED) {
                break; /* it would be refused again */
            }
            slices->clean -= dirty;
        }
    }
    lock_release(&purge_lock);
    return whole;
}

/* --- moving a block --------------------------------------------------------------------------- */

/* Bytes from `at` on to the end of its chunk. */
static size_t
to_chunk_end(const char *at)
{
    return CHUNK_BYTES - ((uintptr_t)at & (CHUNK_BYTES - 1));
}

static bool
may_move_to(const char *to)
{
    bool may;

    lock_acquire(&arena_lock);
    may = chunk_mark_moved_locked(chunk_of_address(to));
    lock_release(&arena_lock);
    return may;
}

TIDE_COLD bool
arena_move(char *from, char *to, size_t bytes, size_t *copied)
{
    *copied = 0;
    for (size_t at = 0, piece; at < bytes; at += piece) {
        enum outcome outcome = PAGES_STAYED;

        piece = min_zu(bytes - at, min_zu(to_chunk_end(from + at), to_chunk_end(to + at)));
        if (piece >= MOVE_PIECE_MIN && os_has(OS_FEATURE_MREMAP_DONTUNMAP) &&
            may_move_to(to + at)) {
            outcome = move_pages(from + at, to + at, piece);
        }
        if (outcome == PAGES_STAYED) {
            memcpy(to + at, from + at, piece);
            *copied += piece;
        } else if (outcome == TARGET_LOST) {
            memcpy(from, to, at); /* what was moved left a mapping behind */
            return false;
        }
    }
    return true;
}
