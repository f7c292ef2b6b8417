/* SPDX-License-Identifier: MIT */
/*
 * Address space, chunks and slices; commit and purge. Mechanism only: this directory can do
 * things to memory and asks nobody why. See README.md for the rules.
 */
#ifndef TIDE_ARENA_ARENA_H
#define TIDE_ARENA_ARENA_H

#include "os/lock.h"
#include "types.h"

/* What the hot paths need to tell a pointer of ours. */
struct space {
    slice_t *slices;      /* const after init: a record for every value of the address bits below */
    uintptr_t slice_mask; /* const after init: those bits, in bytes of records; 0 before */
    uintptr_t base;       /* const after init: first byte of chunk 0, chunk-aligned */
    size_t slice_limit;   /* atomic(relaxed): slices in chunks made accessible */
    chunk_t *chunks;      /* const after init */
    size_t max_chunks;    /* const after init: what slices and chunks have room for */
    size_t reserved_chunks; /* lock(arena): address space we hold */
    size_t frontier;        /* lock(arena) to write, relaxed to read: chunks accessible so far */
    size_t reserved_bytes;  /* lock(arena) to write, relaxed to read: including metadata */
};

extern TIDE_HIDDEN struct space space;
extern span_t span_none; /* const: stands for slices never used */
extern span_t span_gone; /* const: stands for slices whose span was released */

/* The record of the slice that p lies in; for an address that is not ours (NULL included) that of
 * some slice of ours, or one of zeros. Its start, reciprocal and marks tell: see block_mark. */
TIDE_HOT slice_t *
space_slice_at(const void *p)
{
    uintptr_t at =
        (uintptr_t)p >> (SLICE_SHIFT - SLICE_RECORD_SHIFT) &
        atomic_load_hot_acquire(&space.slice_mask); /* with lay_out, which sets it last */

    TIDE_OPAQUE(at);
    return (slice_t *)(void *)((char *)space.slices + at);
}

/* Which slice of the reservation; huge for an address below it. */
TIDE_HOT size_t
space_slice_of(const void *p)
{
    return ((uintptr_t)p - space.base) >> SLICE_SHIFT;
}

TIDE_HOT char *
slice_address(size_t slice)
{
    return (char *)space.base + (slice << SLICE_SHIFT);
}

/* The slice's span for an address of ours, &span_none or NULL (foreign). */
TIDE_HOT span_t *
space_span_of(const void *p)
{
    span_t *span;

    if (unlikely(space_slice_of(p) >= atomic_load_relaxed(&space.slice_limit))) {
        return NULL;
    }
    span = atomic_load_relaxed(&space_slice_at(p)->span);
    return likely(span != NULL) ? span : &span_none;
}

TIDE_HOT size_t
chunk_of_address(const void *p)
{
    return ((uintptr_t)p - space.base) >> CHUNK_SHIFT;
}

TIDE_HOT char *
chunk_address(size_t chunk)
{
    return (char *)space.base + (chunk << CHUNK_SHIFT);
}

/* Reserves address space. 0 or ENOMEM. Once, under the init lock. */
int space_init(size_t want_bytes);

/* Makes `count` contiguous further chunks accessible, asking for huge pages when kind says so.
 * The first one's index, or SIZE_MAX. lock(arena) held. */
size_t space_grow_locked(size_t count, enum chunk_kind kind);

/* Makes the span records that come next accessible, and gives them pages: who needs them would wait
 * for whoever populates memory just then. While memory grows; the keeper's. (slow) */
void space_prepare(void);

/* Zeroed, cache-line-aligned memory that is never given back. NULL when there is none. */
void *meta_alloc(size_t size);
void *meta_alloc_aligned(size_t size, size_t align);
size_t meta_bytes(void);      /* of accessible metadata */
size_t meta_span_bytes(void); /* of the reservation before chunk 0 */
size_t meta_resident(void);   /* of accessible metadata, now */
size_t space_resident(void);  /* of slices, now (slow) */

/* Span records: type-stable; `remote` keeps SPAN_OWNED with no chain. */
span_t *span_record_alloc(void);
void span_record_free(span_t *span);

/* Arena-wide counts: lock(arena) to write, relaxed to read. */
struct arena_counters {
    size_t used_slices;       /* in spans */
    size_t used_peak;         /* highest used_slices since the keeper last asked */
    size_t free_dirty_slices; /* free, may hold pages */
    size_t frontier_chunks;
    uint64_t slices_allocated;
    uint64_t slices_freed;
    uint64_t reused_dirty_slices; /* handed out with pages in place: faults avoided */
    uint64_t purge_calls;
    uint64_t purged_bytes;
    uint64_t hole_purge_calls;
    uint64_t hole_purged_bytes;
    uint64_t huge_chunks;
    uint64_t moved_bytes;
    uint64_t purge_failures;
    size_t used_highest;   /* used_slices at its highest */
    size_t room_slices;    /* of those used: kept free behind blocks that grow */
    size_t filled_highest; /* used_slices without them, at its highest */
    uint64_t commit_calls;
    uint64_t clean_taken;            /* slices without pages: page faults to come */
    uint64_t asked_for[CHUNK_KINDS]; /* slices, by the kind they had better be of */
    uint64_t populated_bytes;        /* ahead of use; as the next */
    uint64_t populate_failures;
};

extern struct arena_counters arena_counters;
extern lock_t arena_lock;
extern lock_t purge_lock; /* slices may be withdrawn from circulation by its holder */
extern lock_t meta_lock;
extern uint32_t arena_tick; /* atomic(relaxed): advanced by the keeper; stamps freed chunks */

struct slices {
    char *start; /* NULL: no memory */
    uint32_t count;
    uint32_t clean;  /* how many hold no pages and read as zero */
    uint64_t dirty;  /* which do, where all lie in one chunk: a bit each, the first is bit 0 */
    bool brings_all; /* the first touch brings a huge page, all of it: the chunk holds none */
};

enum slices_want {
    SLICES_SPARSE = 0, /* may stay mostly untouched: 4 KiB pages */
    SLICES_DENSE = 1,  /* will be filled: huge pages when the arena is large enough */
};

/* `count` slices, the first at a multiple of `align` bytes (>= SLICE_BYTES, a power of two).
 * Prefers memory that still holds pages. */
struct slices slices_alloc(size_t count, size_t align, enum slices_want want);
/* Same, but only memory without pages (room to move pages into). The last `room` of them are to
 * stay so for now: they are room behind a block that grows. */
struct slices slices_alloc_clean(size_t count, size_t room, enum slices_want want);

/* So many without pages, small ones to be, that lie in one chunk; NULL: there are none. For who
 * makes blocks ready, not for the program: it counts as use but not as demand. */
char *slices_alloc_bare(unsigned count);

/* So many slices of room are in use now. */
void arena_count_room_used(size_t slices);

/* Is there a run of `count` (at most a chunk's) free slices that hold pages? A guess. */
bool slices_have_dirty(size_t count);

/* `dirty`: how many of the first slices may hold pages. */
void slices_free(char *start, size_t count, size_t dirty);
/* The last `room` of them are room that was never used. */
void slices_free_with_room(char *start, size_t count, size_t dirty, size_t room);

/* Takes the `more` slices behind [start, start + count) when they are free. *clean: how many hold
 * no pages. */
bool slices_extend(char *start, size_t count, size_t more, size_t *clean);

/* Sets the slices' span, which is nobody's for now. */
void space_map_span(span_t *span, char *start, size_t count);

/* How many more slices hold pages than the most that was ever in use and an eighth (4 MiB at least)
 * on top: so much of the free memory with pages should have been used before memory without. */
size_t arena_excess(void);

/* After `count` clean slices were taken: gives back as many dirty ones, as far as there is an
 * excess, so that large blocks that did not fit into free memory do not come on top of it. On the
 * calling thread. */
void arena_make_up_for(size_t count);
/* Nothing is given back for that reason any more, or again. */
void arena_hold_free(bool hold);

/* Gives back pages of free slices in chunks not freed into since `before_tick`, at most
 * max_bytes. Bytes given back. Takes lock(purge); drops lock(arena) around every system call. */
size_t arena_purge_free(size_t max_bytes, uint32_t before_tick);

/* Gives those slices of a block just taken that hold no pages the pages of free ones elsewhere, and
 * counts slices->clean down: a chunk's at a time to a block of several chunks, run by run to one in
 * one chunk, if there is an excess. False: part of the block's range was lost to the address space;
 * it must not be used, nor freed. */
bool arena_gather(struct slices *slices);

/* Moves bytes (whole slices) to clean slices of the caller's, page tables if that is possible.
 * *copied: how many bytes still have pages at their old place. False: out of mappings; the bytes
 * are where they were, the target is lost. */
bool arena_move(char *from, char *to, size_t bytes, size_t *copied);

/* A chunk with a run of free slices without pages, if need be a fresh one; of huge pages, all of it
 * is. SIZE_MAX: no memory. */
size_t chunk_find_clean_locked(enum chunk_kind kind);
/* Takes the slices of `mask` of a chunk out of circulation while their pages go; puts them back. */
void chunk_withdraw_locked(size_t index, uint64_t mask);
void chunk_restore_locked(size_t index, uint64_t mask, bool clean);
/* Puts slices that were clean back, some with pages now. */
void chunk_give_rest_locked(size_t index, uint64_t mask, uint64_t dirty);
/* Is `mask` all of the chunk that is used, and does the rest hold no pages? */
bool chunk_is_alone_locked(size_t index, uint64_t mask);
/* And did it hold none when a block of several chunks took it? */
bool chunk_was_bare_locked(size_t index, uint64_t mask);
/* A wholly free chunk of one mapping most of which holds pages, of the kind of chunk `like` if
 * possible. */
size_t chunk_find_donor_locked(size_t like);
/* Free slices with pages, in one mapping and a chunk of small pages: at most `most`, as many as
 * possible. How many; they are withdrawn. */
unsigned chunk_take_pages_locked(unsigned most, size_t *index, unsigned *at);

/* Files the chunk under another kind. */
void chunk_set_kind_locked(size_t index, enum chunk_kind kind);

/* Fresh pages for a range within a chunk, with the advice of its kind. */
bool chunk_renew(char *start, size_t bytes);
/* Notes that pages are moved to those slices; false: there are too many such mappings. */
bool chunk_mark_moved_locked(size_t index, unsigned at, unsigned count);
/* The chunk is one mapping again. */
void chunk_mark_renewed_locked(size_t index);
/* How many slices from that one on are in one mapping; at most to the end of the chunk. */
unsigned chunk_same_mapping_locked(size_t index, unsigned at);

/* Gives pages to at most max_bytes (and a chunk) of free slices that have none, of that kind, as
 * one run; of huge pages a whole chunk. Bytes; 0: no memory, or refused. (slow) */
size_t arena_populate(size_t max_bytes, enum chunk_kind kind);

/* Pages for a range of at most a chunk that the caller has taken; false: refused. (slow) */
bool arena_populate_used(char *start, size_t bytes);

/* When arena_runs_low says so: fewer than `low` free slices with pages, or as many without pages
 * taken by now as `clean` says. */
struct arena_marks {
    size_t low_slices;     /* atomic(relaxed): 0: never */
    uint64_t clean_slices; /* atomic(relaxed): UINT64_MAX: never */
};
extern struct arena_marks arena_marks;
void arena_set_marks(size_t low_slices, uint64_t clean_slices);

/* Does anybody listen when memory runs low? */
TIDE_HOT bool
arena_is_watched(void)
{
    return atomic_load_relaxed(&arena_marks.clean_slices) != UINT64_MAX;
}

/* For who has just taken slices: should somebody see to it that more are ready? */
TIDE_HOT bool
arena_runs_low(void)
{
    return atomic_load_relaxed(&arena_counters.free_dirty_slices) <
               atomic_load_relaxed(&arena_marks.low_slices) ||
           atomic_load_relaxed(&arena_counters.clean_taken) >=
               atomic_load_relaxed(&arena_marks.clean_slices);
}

/* Counts a purge of pages inside a span at that address, and sees to it that they stay away. */
void arena_count_hole_purge(const char *address, size_t bytes);

void arena_init(size_t huge_threshold_bytes, bool huge);
/* The process is expected to grow to that: if it will pass the threshold, dense memory is of huge
 * pages from now on. Before there is a second thread. */
void arena_expect(size_t bytes);
/* Dense memory is of small pages as well from now on; or of huge ones again. */
void arena_spare_huge(bool spare);

#endif
