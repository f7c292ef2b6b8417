/* SPDX-License-Identifier: MIT */
/*
 * Pages change places: mremap moves page tables (6 µs for 2 MiB here), where a first touch of
 * as much memory costs 200 µs and more, and a copy as much again.
 *
 * arena_gather puts scattered free memory under one block: the block has its run of addresses,
 * what of it holds no pages gets those of free slices elsewhere: whole chunks where there are some,
 * else run by run. So a process that allocates and frees large blocks of all sizes needs little
 * more memory than it uses, and touches little of it for the first time. arena_move is realloc's:
 * from one place to another.
 *
 * Pages that were moved sit in a mapping of their own, and the kernel moves no range that lies in
 * two: a chunk knows where one may begin (`seams`). Their number is bounded, since a process may
 * have 65530 mappings. When a chunk is given back whole, the range is renewed and merges with its
 * neighbours.
 */
#include <errno.h>
#include <string.h>

#include "arena/arena.h"
#include "base/assert.h"
#include "os/os.h"

#define SEAMS_MAX 16384u

static uint32_t seams; /* lock(arena): of all chunks */

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

bool
chunk_mark_moved_locked(size_t index, unsigned at, unsigned count)
{
    chunk_t *chunk = &space.chunks[index];
    uint64_t ends = 1ull << at | (at + count < CHUNK_SLICES ? 1ull << (at + count) : 0);
    uint64_t now = (chunk->seams & ~run_mask(at, count)) | ends;
    uint32_t more = bits_count(now) - bits_count(chunk->seams); /* may be negative */

    if (seams + more > SEAMS_MAX) {
        return false;
    }
    seams += more;
    chunk->seams = now;
    return true;
}

TIDE_COLD void
chunk_mark_renewed_locked(size_t index)
{
    seams -= bits_count(space.chunks[index].seams);
    space.chunks[index].seams = 0;
}

unsigned
chunk_same_mapping_locked(size_t index, unsigned at)
{
    uint64_t behind = space.chunks[index].seams >> at & ~1ull;

    return behind != 0 ? (unsigned)__builtin_ctzll(behind) : CHUNK_SLICES - at;
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
    int error;

    /* The kernel would unlock the whole mapping that the pages come from. */
    if (os_is_locked(from) || os_is_locked(to)) {
        return PAGES_STAYED;
    }
    error = os_move_pages(from, to, bytes);
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

/* Moves a whole chunk's pages to chunk `to`, if there is one to be had and nobody else has slices
 * or pages there; *got: how many of the block's slices, `mask`, have pages now. */
static enum outcome
gather_chunk(size_t to, uint64_t mask, uint32_t *got)
{
    size_t donor = SIZE_MAX;
    uint32_t dirty = 0;
    enum outcome outcome;

    *got = 0;
    lock_acquire(&arena_lock);
    if (chunk_is_alone_locked(to, mask) && (donor = chunk_find_donor_locked(to)) != SIZE_MAX &&
        chunk_mark_moved_locked(to, 0, CHUNK_SLICES)) {
        dirty = bits_count(space.chunks[donor].dirty & mask);
        chunk_withdraw_locked(donor, UINT64_MAX);
        chunk_withdraw_locked(to, ~mask);
    } else {
        donor = SIZE_MAX;
    }
    lock_release(&arena_lock);
    if (donor == SIZE_MAX) {
        return PAGES_MOVED; /* none, for that matter: go on */
    }
    outcome = take_pages(to, mask, donor);
    *got = outcome == PAGES_MOVED ? dirty : 0;
    return outcome;
}

/* Pages of free slices for at most `most` of the block's from `at` on; *got: for how many. */
static enum outcome
gather_piece(size_t to, unsigned at, unsigned most, uint32_t *got)
{
    enum outcome outcome;
    size_t donor;
    unsigned from;
    unsigned n;

    *got = 0;
    lock_acquire(&arena_lock);
    n = chunk_take_pages_locked(most, &donor, &from);
    if (n > 0 && !chunk_mark_moved_locked(to, at, n)) {
        chunk_restore_locked(donor, run_mask(from, n), false);
        n = 0;
    }
    lock_release(&arena_lock);
    if (n == 0) {
        return PAGES_STAYED;
    }
    outcome = move_pages(chunk_address(donor) + ((size_t)from << SLICE_SHIFT),
                         chunk_address(to) + ((size_t)at << SLICE_SHIFT), (size_t)n << SLICE_SHIFT);
    lock_acquire(&arena_lock);
    chunk_restore_locked(donor, run_mask(from, n), outcome == PAGES_MOVED);
    lock_release(&arena_lock);
    *got = outcome == PAGES_MOVED ? n : 0;
    return outcome;
}

/* For the block's slices of `want`, the longest runs first. */
static enum outcome
gather_pieces(size_t to, uint64_t want, uint32_t *clean)
{
    enum outcome outcome = PAGES_MOVED;

    while (want != 0 && outcome == PAGES_MOVED) {
        unsigned run = longest_run(want);
        unsigned at = (unsigned)__builtin_ctzll(run_starts(want, run));
        uint32_t got;

        outcome = gather_piece(to, at, run, &got);
        tide_assert_internal(got <= *clean);
        *clean -= got;
        want &= got == 0 ? 0 : ~run_mask(at, got);
    }
    return outcome;
}

/* Which slices of the chunk, of those of `mask` that the block has, hold no pages. */
static uint64_t
clean_in_chunk(const struct slices *slices, size_t index, uint64_t mask)
{
    bool bare;

    if (slices->clean == slices->count) {
        return mask;
    }
    if (chunk_of_address(slices->start + ((size_t)slices->count << SLICE_SHIFT) - 1) ==
        chunk_of_address(slices->start)) {
        return mask & ~(slices->dirty << space_slice_of(slices->start) % CHUNK_SLICES);
    }
    lock_acquire(&arena_lock);
    bare = chunk_was_bare_locked(index, mask);
    lock_release(&arena_lock);
    return bare ? mask : 0;
}

/* For the slices of `mask`, those that the block has of the chunk; counts *clean down. */
static enum outcome
gather_in_chunk(const struct slices *slices, size_t index, uint64_t mask, uint32_t *clean)
{
    uint64_t want = clean_in_chunk(slices, index, mask);
    enum outcome outcome = PAGES_MOVED;
    uint32_t got;

    if (want == mask) {
        outcome = gather_chunk(index, mask, &got);
        tide_assert_internal(got <= *clean);
        *clean -= got;
        want = got > 0 ? 0 : want;
    }
    /* Not to huge pages, which one fault brings, and which could not be moved as such any more. */
    if (want != 0 && outcome != TARGET_LOST && slices->count <= CHUNK_SLICES &&
        space.chunks[index].kind == CHUNK_SMALL_PAGES && arena_excess() > 0) {
        outcome = gather_pieces(index, want, clean);
    }
    return outcome;
}

bool
arena_gather(struct slices *slices)
{
    size_t slice = space_slice_of(slices->start);
    size_t left = slices->count;
    enum outcome outcome = PAGES_MOVED;
    uint32_t clean = slices->clean;

    if (!os_has(OS_FEATURE_MREMAP_DONTUNMAP) || !lock_try_acquire(&purge_lock)) {
        return true;
    }
    for (unsigned n; left > 0 && outcome == PAGES_MOVED; slice += n, left -= n) {
        unsigned at = (unsigned)(slice % CHUNK_SLICES);

        n = (unsigned)min_zu(left, CHUNK_SLICES - at);
        outcome = gather_in_chunk(slices, slice / CHUNK_SLICES, run_mask(at, n), &clean);
    }
    lock_release(&purge_lock);
    slices->clean = clean;
    return outcome != TARGET_LOST;
}

/* --- moving a block --------------------------------------------------------------------------- */

/* Bytes from `at` on to the end of its chunk. */
static size_t
to_chunk_end(const char *at)
{
    return CHUNK_BYTES - ((uintptr_t)at & (CHUNK_BYTES - 1));
}

/* How much of `bytes` lies in one mapping, and in one chunk on both sides. */
static size_t
piece_at(const char *from, const char *to, size_t bytes)
{
    size_t slice = space_slice_of(from);
    size_t same;

    lock_acquire(&arena_lock);
    same = chunk_same_mapping_locked(slice / CHUNK_SLICES, (unsigned)(slice % CHUNK_SLICES));
    lock_release(&arena_lock);
    return min_zu(min_zu(bytes, same << SLICE_SHIFT), min_zu(to_chunk_end(from), to_chunk_end(to)));
}

static bool
may_move_to(const char *to, size_t bytes)
{
    size_t slice = space_slice_of(to);
    bool may;

    lock_acquire(&arena_lock);
    may = chunk_mark_moved_locked(slice / CHUNK_SLICES, (unsigned)(slice % CHUNK_SLICES),
                                  (unsigned)((bytes + SLICE_BYTES - 1) >> SLICE_SHIFT));
    lock_release(&arena_lock);
    return may;
}

TIDE_COLD bool
arena_move(char *from, char *to, size_t bytes, size_t *copied)
{
    *copied = 0;
    for (size_t at = 0, piece; at < bytes; at += piece) {
        enum outcome outcome = PAGES_STAYED;

        piece = piece_at(from + at, to + at, bytes - at);
        if (os_has(OS_FEATURE_MREMAP_DONTUNMAP) && may_move_to(to + at, piece)) {
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
