/* SPDX-License-Identifier: MIT */
/* See ready.h. In the lists a block is a freed one (LARGE_FREED): who frees it is told. */
#include "heap/ready.h"

#include "heap/heap.h"
#include "os/os.h"

struct ready_list {
    span_t *first;  /* lock */
    uint32_t count; /* lock to write, relaxed to read */
    uint32_t low;   /* atomic(relaxed) */
    uint64_t asked; /* atomic(relaxed) */
};

size_t ready_slices;

static lock_t ready_lock; /* rank ready */
static TIDE_SPARSE struct ready_list lists[READY_PAGES_MAX + 1];

static span_t *
pop(struct ready_list *list)
{
    span_t *span;

    lock_acquire(&ready_lock);
    span = list->first;
    if (span != NULL) {
        list->first = span->next;
        span->next = NULL;
        atomic_store_relaxed(&list->count, list->count - 1);
        atomic_store_relaxed(&ready_slices, ready_slices - span->slice_count);
    }
    lock_release(&ready_lock);
    return span;
}

span_t *
ready_take(size_t pages)
{
    struct ready_list *list = &lists[pages];
    span_t *span;

    if (arena_is_watched()) {
        atomic_add_relaxed(&list->asked, 1);
    }
    if (atomic_load_relaxed(&list->count) == 0) {
        return NULL;
    }
    span = pop(list);
    if (span != NULL) {
        atomic_store_relaxed(&span->remote, 0);
    }
    if (atomic_load_relaxed(&list->count) < atomic_load_relaxed(&list->low)) {
        heap_poke_rise();
    }
    return span;
}

TIDE_COLD uint64_t
ready_asked(unsigned pages)
{
    return atomic_load_relaxed(&lists[pages].asked);
}

TIDE_COLD uint32_t
ready_count(unsigned pages)
{
    return atomic_load_relaxed(&lists[pages].count);
}

TIDE_COLD void
ready_set_low(unsigned pages, uint32_t low)
{
    atomic_store_relaxed(&lists[pages].low, low);
}

TIDE_COLD size_t
ready_make(unsigned pages)
{
    struct ready_list *list = &lists[pages];
    span_t *span = large_make_ready((size_t)pages << OS_PAGE_SHIFT);

    if (span == NULL) {
        return 0;
    }
    lock_acquire(&ready_lock);
    span->next = list->first;
    list->first = span;
    atomic_store_relaxed(&list->count, list->count + 1);
    atomic_store_relaxed(&ready_slices, ready_slices + span->slice_count);
    lock_release(&ready_lock);
    return (size_t)pages << OS_PAGE_SHIFT;
}

TIDE_COLD size_t
ready_drop(unsigned pages)
{
    span_t *span = pop(&lists[pages]);

    if (span == NULL) {
        return 0;
    }
    large_release(span);
    return (size_t)pages << OS_PAGE_SHIFT;
}

TIDE_COLD size_t
ready_drop_all(void)
{
    size_t done = 0;

    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        for (size_t got = 1; got != 0; done += got) {
            got = ready_drop(pages);
        }
    }
    return done;
}

TIDE_COLD size_t
ready_bytes(void)
{
    size_t bytes = 0;

    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        bytes += (size_t)ready_count(pages) * pages << OS_PAGE_SHIFT;
    }
    return bytes;
}

TIDE_COLD size_t
ready_program_bytes(size_t used_slices)
{
    size_t others =
        atomic_load_relaxed(&ready_slices) + atomic_load_relaxed(&arena_counters.room_slices);

    return (used_slices - min_zu(used_slices, others)) << SLICE_SHIFT;
}

TIDE_COLD void
ready_lock_acquire(void)
{
    lock_acquire(&ready_lock);
}

TIDE_COLD void
ready_lock_release(bool in_child)
{
    lock_release_after_fork(&ready_lock, in_child);
}
