/* SPDX-License-Identifier: MIT */
/* See promise.h. A guarantee is made of large blocks that are populated and then freed: free memory
 * with pages, which the next allocations of any size take first. */
#include "keeper/promise.h"

#include <errno.h>

#include "heap/heap.h"
#include "os/lock.h"
#include "os/machine.h"
#include "os/os.h"
#include "profile/record.h"

#define PIECE_BYTES ((size_t)32 << 20)

struct expectation {
    uint64_t level; /* to be reached */
    uint64_t end_ns;
};

/* A piece, while the others are made. */
struct piece {
    struct piece *next;
};

static struct expectation expected; /* lock(promise) */
static lock_t promise_lock;
static size_t guaranteed; /* atomic(relaxed): bytes */

void
promise_expect(uint64_t now_ns, uint64_t bytes, uint64_t within_ns)
{
    uint64_t level = (uint64_t)atomic_load_relaxed(&arena_counters.used_slices) << SLICE_SHIFT;
    struct expectation next = {.level = level + min_zu(bytes, PTRDIFF_MAX),
                               .end_ns = now_ns + min_zu(within_ns, INT64_MAX)};

    lock_acquire(&promise_lock);
    if (expected.end_ns <= now_ns || next.level >= expected.level) {
        expected = next;
    }
    lock_release(&promise_lock);
}

uint64_t
promise_expected(uint64_t now_ns, uint64_t level)
{
    struct expectation now;

    lock_acquire(&promise_lock);
    now = expected;
    lock_release(&promise_lock);
    return now_ns < now.end_ns && now.level > level ? now.level - level : 0;
}

size_t
promise_guaranteed_bytes(void)
{
    return atomic_load_relaxed(&guaranteed);
}

size_t
promise_leaves(size_t bytes)
{
    size_t all = atomic_load_relaxed(&guaranteed);
    size_t least = all + CHUNK_BYTES; /* a purge may give back up to a chunk too much */
    size_t resident;

    if (all == 0) {
        return bytes;
    }
    resident = space_resident();
    return resident > least ? min_zu(bytes, resident - least) : 0;
}

void
promise_prefork(void)
{
    lock_acquire(&promise_lock);
}

void
promise_postfork(bool in_child)
{
    if (in_child) {
        expected = (struct expectation){0, 0}; /* its parent's */
    }
    lock_release_after_fork(&promise_lock, in_child);
}

static bool
populate(char *start, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += min_zu(bytes - done, CHUNK_BYTES)) {
        if (!arena_populate_used(start + done, min_zu(bytes - done, CHUNK_BYTES))) {
            return false;
        }
    }
    return true;
}

static void
free_pieces(struct piece *piece)
{
    while (piece != NULL) {
        struct piece *next = piece->next;

        large_free(piece, space_span_of(piece));
        piece = next;
    }
}

/* What is more than there is would press everybody before it failed. */
static bool
machine_has(size_t bytes)
{
    return bytes == 0 || os_is_filtered() || bytes <= os_headroom_bytes();
}

/* Gives pages to so many bytes that have none; the blocks that have them are pieces now. */
static int
make_pieces(size_t missing, struct piece **pieces)
{
    size_t done = 0;

    while (done < missing) {
        size_t size = align_up(min_zu(missing - done, PIECE_BYTES), CHUNK_BYTES);
        struct piece *piece = large_alloc(size, SLICE_BYTES, NULL);

        if (piece == NULL) {
            return ENOMEM;
        }
        done += size - os_resident_range(piece, size);
        if (!populate((char *)piece, size)) {
            large_free(piece, space_span_of(piece));
            return ENOMEM;
        }
        piece->next = *pieces;
        *pieces = piece;
    }
    return 0;
}

int
promise_guarantee(size_t bytes)
{
    size_t resident = bytes == 0 ? 0 : space_resident();
    size_t missing = bytes - min_zu(bytes, resident);
    size_t before = atomic_exchange_acq_rel(&guaranteed, bytes);
    struct piece *pieces = NULL;
    bool entered = profile_enter(); /* the pieces are not the program's */
    int error = ENOMEM;

    arena_hold_free(bytes > 0); /* first: or the pieces might go as they are freed */
    if (machine_has(missing)) {
        error = make_pieces(missing, &pieces);
    }
    if (error != 0 && atomic_cas_acq_rel(&guaranteed, &bytes, before)) {
        arena_hold_free(before > 0);
    }
    free_pieces(pieces);
    if (entered) {
        profile_leave();
    }
    return error;
}
