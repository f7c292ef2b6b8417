/* SPDX-License-Identifier: MIT */
/*
 * The heap's inside interface: what the files of this directory and api/ call on each other.
 * The two hot functions are in alloc.h and free.h. Rules and life cycle: README.md.
 */
#ifndef TIDE_HEAP_HEAP_H
#define TIDE_HEAP_HEAP_H

#include "arena/arena.h"
#include "types.h"

extern TIDE_HIDDEN TIDE_TLS heap_front_t heap_front;
extern TIDE_TLS bool heap_thread_over; /* the thread's destructor ran: use the fallback heap */
extern TIDE_HIDDEN heap_t heap_empty;  /* const: owns nothing, not even bins */

/* The calling thread's front: an offset from the segment register where there is one. */
#ifdef TIDE_SEG
typedef heap_front_t TIDE_SEG front_t;
typedef bin_t TIDE_SEG front_bin_t;
typedef char TIDE_SEG front_byte_t;

TIDE_HOT front_t *
front_self(void)
{
    uintptr_t offset;

    __asm__("mov heap_front@gottpoff(%%rip), %0" : "=r"(offset));
    return (front_t *)offset;
}
#else
typedef heap_front_t front_t;
typedef bin_t front_bin_t;
typedef char front_byte_t;

TIDE_HOT front_t *
front_self(void)
{
    heap_front_t *front = &heap_front;

    /* Or gcc takes the flags of the addition, which the linker may turn into lea, for a test. */
    TIDE_OPAQUE(front);
    return front;
}
#endif

/* The bin at BIN_OFFSET of a class. */
TIDE_HOT front_bin_t *
front_bin(front_t *front, size_t at)
{
    return (front_bin_t *)((front_byte_t *)front + at);
}

/* Takes one of the room left in the bin; false: there was none, or it is time for a look. */
TIDE_HOT bool
bin_take_room(bin_t *bin)
{
#ifdef __x86_64__
    bool below_zero; /* the compiler would load, subtract and store */

    __asm__("subl %2, %0" : "+m"(bin->left), "=@ccs"(below_zero) : "i"(BIN_FREE));
    return !below_zero;
#else
    bin->left -= BIN_FREE;
    return bin->left >= 0;
#endif
}

/* The calling thread's heap; never NULL: &heap_empty before its first allocation. */
TIDE_HOT heap_t *
heap_self(void)
{
    return front_self()->heap;
}

/* What a list ends in that the calling thread begins. */
TIDE_HOT block_t *
list_end(void)
{
    return front_self()->end;
}

/* Counts in the calling thread's heap; lost while it has none. */
#define heap_count(counter, n)                                                                     \
    do {                                                                                           \
        if (likely(heap_self() != &heap_empty)) {                                                  \
            counter_add(&heap_self()->counters.counter, (n));                                      \
        }                                                                                          \
    } while (0)

/* Before the first block; odd. Defined in span.c. */
void heap_guard_init(uintptr_t guard);

/* --- thread.c: life of heaps ---------------------------------------------------------------- */

/* Called once, by whoever allocates first. 0 or ENOMEM. Defined in api/init.c. */
int tide_init_once(void);

/* The calling thread's heap, made, adopted or taken over as needed; NULL when the thread is over
 * or there is no metadata: then use the fallback. */
heap_t *heap_attach(void);

/* Runs when a thread ends: its heap becomes an orphan, whole, for the next thread. */
void heap_thread_exit(void);
/* What the front's bins take now; the heap is the calling thread's. */
void heap_front_reach(const heap_t *heap);
void heap_threads_init(void); /* registers the thread-exit hook; may be called again */

/* Allocates for threads without a heap: a shared heap under a lock. */
void *heap_fallback_alloc(unsigned size_class);
void heap_fallback_lock(bool acquire, bool in_child);

/* Heaps orphaned before the tick give all spans away. The number of heaps emptied. */
size_t heap_dissolve_orphans(uint32_t before_tick);

/* Lets go of everything the heap owns (its thread's own, or an orphan's). */
void heap_let_go_all(heap_t *heap);

/* A heap that owns nothing, on the list of all heaps, its empty bins there or, if bins is NULL, in
 * itself. NULL without metadata, or when there are as many heaps as there are numbers. */
heap_t *heap_new(bin_t *bins);

/* The list of every heap ever made. */
heap_t *heap_first(void);

void heap_fork_child(void); /* all heaps but the caller's are lost */
/* Before that, in a child whose parent held no locks (_Fork): drops what was being changed. */
void heap_fork_abrupt(void);
void heap_locks_acquire(void);
void heap_locks_release(bool in_child);

extern uint32_t heap_numbers;    /* lock(heaps): the last number given to a heap */
extern uint32_t heap_live_count; /* atomic(relaxed): heaps that threads have */
extern uint32_t heap_trim_epoch; /* atomic(relaxed): heaps that are behind let go of their spans */

/* --- span.c --------------------------------------------------------------------------------- */

span_t *span_new_small(heap_t *heap, unsigned size_class);
/* All blocks are free and the caller works on the span alone. */
void span_release(heap_t *heap, span_t *span);
/* Moves remotely freed blocks to the empty list; how many. They stay counted as live. */
uint32_t span_take_remote(span_t *span, block_t **list);
/* Links some never used, or held back, blocks to the empty list; how many. */
uint32_t span_extend(span_t *span, block_t **list);
/* The owner word of a span of the heap; direct: OWNER_DIRECT or 0. */
uintptr_t span_owner_word(const heap_t *heap, unsigned size_class, uintptr_t direct);
/* Makes it that of a small span's slices. */
void span_set_owner(const span_t *span, uintptr_t owner);
/* Gives the empty spans the heap keeps back to the arena, all but `keep`, or those that it did not
 * need since the last such call. By any thread. */
#define SPARE_NEEDED UINT32_MAX
void span_let_go_spare(heap_t *heap, uint32_t keep);
/* The same for all heaps; are there some left? */
bool heap_let_go_spares(uint32_t keep);
/* slices_alloc, once more without the empty spans of all heaps if need be. */
struct slices span_slices_alloc(size_t count, size_t align, enum slices_want want);
/* Once in a while: what the heap used long ago counts less and less. */
void span_forget_made(heap_t *heap);
void span_bitmap_free(span_t *span);
uint64_t *span_bitmap_alloc(const span_t *span);
void span_locks_acquire(void);
void span_locks_release(bool in_child);

/* --- pool.c: spans that belong to nobody ------------------------------------------------------ */

/* Gives up the span, on which the caller works alone, with `live` blocks live and the others on
 * span->own or in the bitmap: it becomes full, pooled or is released. */
void span_let_go(heap_t *heap, span_t *span, uint32_t live);
/* A span with room of the class for the caller to work on alone, or NULL. */
span_t *pool_take(unsigned size_class);
/* The least recently changed pooled span if it is no younger than `before` and not cold yet. */
span_t *pool_take_oldest(unsigned size_class, uint16_t before);
/* Puts a span that pool_take_oldest gave back, as cold. */
void pool_put_cold(span_t *span, uint32_t live);
/* All blocks of a pooled span are free: takes it out of the pool and releases it. */
void pool_release_if_free(heap_t *heap, span_t *span, unsigned size_class);
/* Frees blocks into a cold span through its bitmap. False: it is not cold any more. */
bool pool_free_cold(heap_t *heap, span_t *span, block_t *head, uint32_t count);
/* A heap found no span of the class anywhere and takes memory from the arena; did one since a span
 * was put into the pool? */
void pool_want(unsigned size_class);
bool pool_is_wanted(unsigned size_class);
/* Is there a span that the keeper has not cooled yet, or that was freed into since? */
bool pool_is_warm(void);
uint32_t pool_length(unsigned size_class);
void pool_counts(unsigned size_class, uint64_t *spans, uint64_t *live);
void pool_locks_acquire(void);
void pool_locks_release(bool in_child);

/* --- remote.c --------------------------------------------------------------------------------- */

/* Frees a block of a small span that is not the caller's. heap may be NULL. */
void remote_free(heap_t *heap, span_t *span, block_t *block);
/* Frees every block of a chain of small blocks, for no thread in particular. */
void remote_free_chain(block_t *chain);
/* Sends everything that waits in the heap's ring. */
void remote_flush(heap_t *heap);

/* --- refill.c, free.c: the slow sides --------------------------------------------------------- */

void *heap_alloc_slow(size_t size);        /* notes who asks (heap/callers.h) */
void *heap_alloc_slow_inside(size_t size); /* for others of ours, who note it or do not */
void *heap_alloc_large(size_t size);
void heap_free_slow(void *p);
/* The bin of the front has no room, or it is time to look. */
void heap_free_counted(void *p, const slice_t *slice, bin_t *bin);
/* The block answers the free test of the list it should be on: it is free already. */
void heap_free_twice(void *p);
/* No block of ours begins there: another allocator's perhaps, or an error. */
void heap_free_misplaced(void *p);
/* A span's countdown ran out: it is empty, or nearly so, or it was current. */
void heap_free_look(heap_t *heap, span_t *span);
/* Adds a chain of freed blocks to a span the heap owns. */
void span_add_free(heap_t *heap, span_t *span, block_t *head, block_t *tail, uint32_t count);
/* Takes a full or pooled span over for the heap (heap may be NULL: for the moment). */
void span_claim(heap_t *heap, span_t *span, uint32_t live);
/* Spans with room beyond the latest `keep` of each class are for everybody. */
void heap_let_go_with_room(heap_t *heap, uint32_t keep);
void heap_with_room_remove(heap_t *heap, span_t *span);
/* free in a heap that has open bins. */
void heap_free_open(void *p, const slice_t *slice);
/* The bin takes no blocks of other heaps' spans any more. */
void heap_bin_be_strict(heap_t *heap, unsigned size_class);
/* All blocks of the bin, and the current span, go back. */
void heap_empty_bin(heap_t *heap, unsigned size_class);
/* Wakes or starts the background thread when it has work. Defined in keeper/. */
void heap_poke_keeper(void);
/* Only wakes it where it sleeps: starts no thread, allocates nothing. */
void heap_wake_keeper(void);
/* Huge pages are wanted and were found dear: are they to be tried again? Where no pass of the
 * keeper asks, this does. Defined in keeper/. */
void heap_ask_for_huge(void);
/* The first touch of a chunk of huge pages took so long. Defined in keeper/. */
void heap_note_huge_touch(uint64_t took_ns);
/* Memory that is ready to be taken runs low (arena_runs_low). Under any lock but the arena's. */
void heap_poke_rise(void);
/* No thread has a heap any more: the background thread ends. Defined in keeper/. */
void heap_last_thread_gone(void);
/* Once in a while, on a slow path: send what waits, answer a trim, wake the keeper. */
void heap_look_around(heap_t *heap);
/* Frees of pointers that no span is known for. Defined in api/foreign.c. */
void foreign_free(void *p);

/* --- large.c ---------------------------------------------------------------------------------- */

/* zero: may be NULL; set when the block reads as zero. align is a power of two. */
void *large_alloc(size_t size, size_t align, bool *zero);
void large_free(void *p, span_t *span);
/* A freed block of the right number of slices that the heap kept for itself, or NULL. size >= 1.
 * Never one that is to be sampled: large_alloc looks there as well. */
void *large_alloc_kept(heap_t *heap, size_t size);
/* One whose sample is known already. */
void *large_alloc_sampled(size_t size);
/* Gives back the freed blocks the heap kept for itself. */
void large_let_go_cache(heap_t *heap);
/* One whose pages are there already, for heap/ready; NULL: no memory. (slow) */
span_t *large_make_ready(size_t bytes);
/* Gives the span's slices, and its record, back. */
void large_release(span_t *span);
/* In place, by moving pages, or NULL (then copy). */
void *large_realloc(span_t *span, size_t size);
/* In place; never fails. size: at most as much as it has. */
void large_shrink(span_t *span, size_t size);
/* realloc copied a large block to another one. */
void large_copied(const span_t *from, span_t *to);

/* --- cold.c ----------------------------------------------------------------------------------- */

/* Turns the span's free blocks into bits, gives back the os pages that hold no live block; bytes
 * given back. The caller works on the span alone. The next does it to many; this is for tests. */
size_t span_cool(span_t *span, uint32_t *live);
/* Cools pooled spans that nobody touched since the tick, up to max_bytes; bytes given back. This
 * and span_cool have one caller at a time, under the lock of the keeper's pass. */
size_t heap_purge_holes(uint32_t before_tick, size_t max_bytes);

/* --- whole-heap verbs used by api/ ------------------------------------------------------------ */

void *heap_alloc_aligned(size_t size, size_t align); /* align: power of two */
void *heap_alloc_zeroed(size_t size);
void *heap_realloc(void *p, size_t size, const char *function);
/* Usable bytes; 0 and a report when p is no block of ours. */
size_t heap_usable_size(const void *p, const char *function);
/* NULL, or the report phrase that tells what is wrong with p as a live block of `span`. */
const char *heap_pointer_error(const void *p, const span_t *span);

extern TIDE_HIDDEN size_t large_kept_max; /* atomic(relaxed): up to here large_alloc_kept looks */
/* init: the process's guard word, odd, and its inverse modulo 2^64. Apart from all that is written:
 * every malloc and free reads it. */
extern TIDE_HIDDEN struct heap_guards {
    uintptr_t word;
    uintptr_t inverse;
} TIDE_ALIGNED(TIDE_LINE_PAIR) heap_guards;

/* The guard of a marked block has 1 to BLOCK_MARKS_MAX times the guard word on top: what the block
 * was drawn at (see heap/sample.h). More than that: the block is not free, or damaged. */
#define BLOCK_MARKS_MAX 7u
TIDE_HOT uintptr_t
block_mark_of(const block_t *block)
{
    uintptr_t guard = atomic_load_hot(&heap_guards.word);
    uintptr_t strange = block->guard - ((uintptr_t)block->next + (uintptr_t)block + guard);

    return strange * atomic_load_hot(&heap_guards.inverse);
}

/* Marked or not. */
TIDE_HOT bool
block_is_linked(const block_t *block)
{
    return block_mark_of(block) <= BLOCK_MARKS_MAX;
}

TIDE_HOT void
block_link(block_t *block, block_t *next)
{
    block->next = next;
    block->guard = (uintptr_t)next + (uintptr_t)block + heap_guards.word;
}

/* Is p the start of a block that was ever handed out? For any address, the slice's or not: no
 * address that a program can hold is so far off that its mark comes round (see block_mark). */
TIDE_HOT bool
slice_has_block_at(const slice_t *slice, const void *p)
{
    uint64_t offset = (uint64_t)((uintptr_t)p - (uintptr_t)slice->start);

    return block_mark(offset, slice->reciprocal) < atomic_load_hot(&slice->marks);
}

/* The record of the span's i-th slice. */
TIDE_HOT slice_t *
span_slice(const span_t *span, uint32_t i)
{
    return space_slice_at(span->start + ((size_t)i << SLICE_SHIFT));
}

/* The owner word of a small span. */
TIDE_HOT uintptr_t
span_owner(const span_t *span)
{
    return atomic_load_relaxed(&span_slice(span, 0)->owner);
}

TIDE_HOT uint32_t
span_linked(const span_t *span)
{
    return atomic_load_relaxed(&span->linked);
}

/* The remote word. Of a large span: 0 while its block lives, or one of these. */
#define LARGE_SAMPLED ((uint64_t)SPAN_POOLED << REMOTE_STATE_SHIFT)
#define LARGE_FREED ((uint64_t)SPAN_FULL << REMOTE_STATE_SHIFT)
#define REMOTE_HEAD_MASK 0xffffffffull
#define REMOTE_COUNT_SHIFT 32
#define REMOTE_STATE_SHIFT 48

TIDE_HOT enum span_state
remote_state(uint64_t word)
{
    return (enum span_state)(word >> REMOTE_STATE_SHIFT);
}

TIDE_HOT uint32_t
remote_count(uint64_t word)
{
    return (uint32_t)(word >> REMOTE_COUNT_SHIFT) & 0xffff;
}

TIDE_HOT block_t *
remote_head(const span_t *span, uint64_t word)
{
    uint64_t at = word & REMOTE_HEAD_MASK;

    return at == 0 ? list_end() : (block_t *)(void *)(span->start + ((at - 1) << 4));
}

TIDE_HOT uint64_t
remote_word(enum span_state state, const span_t *span, const block_t *head, uint32_t count)
{
    uint64_t at = count == 0 ? 0 : (((uintptr_t)head - (uintptr_t)span->start) >> 4) + 1;

    return ((uint64_t)state << REMOTE_STATE_SHIFT) | ((uint64_t)count << REMOTE_COUNT_SHIFT) | at;
}

#endif
