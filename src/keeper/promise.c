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

static size_t
used_bytes(void)
{
    return atomic_load_relaxed(&arena_counters.used_slices) << SLICE_SHIFT;
}

static size_t
with_pages_bytes(void)
{
    return used_bytes() + (atomic_load_relaxed(&arena_counters.free_dirty_slices) << SLICE_SHIFT);
}

void
promise_expect(uint64_t now_ns, uint64_t bytes, uint64_t within_ns)
{
    struct expectation next = {.level = used_bytes() + min_zu(bytes, PTRDIFF_MAX),
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
promise_keeps_bytes(void)
{
    size_t all = atomic_load_relaxed(&guaranteed);
    size_t used = used_bytes();

    return all > used ? all - used : 0;
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
    uint64_t headroom = os_is_filtered() ? 0 : os_headroom_bytes();

    return bytes == 0 || headroom == 0 || bytes <= headroom;
}

int
promise_guarantee(size_t bytes)
{
    size_t before = atomic_load_relaxed(&guaranteed);
    struct piece *pieces = NULL;
    size_t missing = bytes - min_zu(bytes, with_pages_bytes());
    bool entered = profile_enter(); /* the pieces are not the program's */
    int error = machine_has(missing) ? 0 : ENOMEM;

    atomic_store_relaxed(&guaranteed, bytes); /* first: or the pieces might go as they are freed */
    while (error == 0 && with_pages_bytes() < bytes) {
        size_t size = align_up(min_zu(bytes - with_pages_bytes(), PIECE_BYTES), CHUNK_BYTES);
        struct piece *piece = large_alloc(size, SLICE_BYTES, NULL);

        if (piece == NULL || !populate((char *)piece, size)) {
            error = ENOMEM;
        }
        if (piece != NULL) {
            piece->next = pieces;
            pieces = piece;
        }
    }
    if (error != 0) {
        atomic_store_relaxed(&guaranteed, before);
    }
    free_pieces(pieces);
    if (entered) {
        profile_leave();
    }
    return error;
}
