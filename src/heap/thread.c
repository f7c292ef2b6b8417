/* SPDX-License-Identifier: MIT */
/*
 * The life of heaps: made from metadata, given to a thread at its first allocation (or first
 * free of a block that is not its own), handed over whole when the thread ends. An orphan still
 * owns its spans; the next thread that starts takes it over as it is, or the keeper
 * dissolves it after a while. Nothing is ever unmapped.
 *
 * A thread's destructor asks to run again for two rounds, so that other libraries' destructors
 * still find the heap; what comes after (ld.so frees TLS blocks) is served by the fallback heap.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "heap/heap.h"
#include "heap/ready.h"
#include "heap/sample.h"
#include "heap/transfer.h"
#include "os/os.h"

#define EXIT_ROUNDS 2u
/* Of the numbers for heaps, those that are not for threads: the fallback has one. */
#define NUMBERS_KEPT 64u
#define ORPHAN_SPANS_KEEP 1u /* spans with room of each class */

#define NO_BLOCKS                                                                                  \
    {                                                                                              \
        .head = &list_ends[0].block                                                                \
    }
TIDE_SPARSE heap_t heap_empty TIDE_ALIGNED(HEAP_ALIGN);
/* What every thread begins with. */
TIDE_NAMED TIDE_TLS heap_front_t heap_front = {
    .origin = FRONT_NO_ORIGIN,
    .reach = FRONT_STRICT(NULL),
    .heap = &heap_empty,
    .end = &list_ends[0].block,
    .none = NO_BLOCKS,
    .bins = {[0 ... TIDE_CLASS_COUNT - 1] = NO_BLOCKS},
    .lookup = {TIDE_FRONT_LOOKUP},
};
TIDE_TLS bool heap_thread_over;

/* A front without a heap. */
static TIDE_EARLY void
front_clear(void)
{
    heap_front.none.head = &list_ends[0].block;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        heap_front.bins[c] = (bin_t)NO_BLOCKS;
    }
    heap_front.origin = FRONT_NO_ORIGIN;
    heap_front.reach = FRONT_STRICT(NULL);
    heap_front.heap = &heap_empty;
    heap_front.end = &list_ends[0].block;
}

#ifndef TIDE_SANITIZED
/*
 * ld.so runs the resolvers of the program's indirect functions before it copies the image of
 * thread-local data, and they may allocate. One of our own runs when this library is relocated,
 * which is earlier, and makes the main thread's front. What a resolver did to it is lost when the
 * image comes: that heap's blocks stay valid, what it had free is not used again.
 */
static void
front_is_ready(void)
{
}

TIDE_UNUSED static TIDE_EARLY void (*resolve_front(void))(void)
{
    if (os_thread_pointer() == 0) { /* a static program: there are no thread-local data yet */
        return front_is_ready;
    }
    front_clear();
    for (unsigned i = 0; i < TIDE_FRONT_LOOKUP_LEN; i++) {
        heap_front.lookup[i] = size_class_lookup[i];
    }
    return front_is_ready;
}

static void make_front(void) __attribute__((ifunc("resolve_front")));
/* What makes ld.so ask. */
TIDE_KEPT static void (*const front_maker)(void) = make_front;
#endif

uint32_t heap_trim_epoch;
uint32_t heap_live_count;
uint32_t heap_numbers;

static lock_t heaps_lock;
static heap_t *all_heaps;   /* lock(heaps) to write, acquire to read */
static heap_t *orphans;     /* lock(heaps) */
static heap_t *empty_heaps; /* lock(heaps) */
static pthread_key_t exit_key;
static uint32_t exit_key_made; /* atomic: 0, 1 while being made, 2 */

heap_t *
heap_first(void)
{
    return atomic_load_acquire(&all_heaps);
}

static block_t *
end_of(const heap_t *heap)
{
    return &list_ends[(heap->key >> HEAP_KEY_SHIFT) % LIST_ENDS].block;
}

static void
bins_init(bin_t *bins, block_t *end)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        bins[c] = (bin_t){end, size_classes[c].bin_limit, 0};
    }
}

void
heap_front_reach(const heap_t *heap)
{
    heap_front.reach = heap->open_bins > 0 ? FRONT_OPEN : FRONT_STRICT(&heap_front);
}

/* The heap, whose bins are in the front, is the calling thread's from now on. */
static void
move_in(heap_t *heap)
{
    heap->bins = heap_front.bins;
    heap_front.heap = heap;
    heap_front.end = end_of(heap);
    heap_front.none.head = heap_front.end;
    heap_front_reach(heap);
    heap_front.origin = heap->key - (uintptr_t)&heap_front;
}

/* The thread has none any more. */
static void
move_out(heap_t *heap)
{
    memcpy(heap->resting_bins, heap_front.bins, sizeof heap_front.bins);
    heap->bins = heap->resting_bins;
    front_clear();
}

/* A number that no heap has; 0: there is none left, for a thread's heap or for any. */
static uint32_t
number_take(bool for_thread)
{
    uint32_t highest = HEAP_NUMBER_MAX - (for_thread ? NUMBERS_KEPT : 0);
    uint32_t number = 0;

    lock_acquire(&heaps_lock);
    if (heap_numbers < highest) {
        number = ++heap_numbers;
    }
    lock_release(&heaps_lock);
    return number;
}

/* It was not used. */
static void
number_give_back(uint32_t number)
{
    lock_acquire(&heaps_lock);
    if (heap_numbers == number) {
        heap_numbers--;
    }
    lock_release(&heaps_lock);
}

heap_t *
heap_new(bin_t *bins)
{
    uint32_t number = number_take(bins != NULL);
    heap_t *heap;

    if (number == 0) {
        return NULL;
    }
    heap = meta_alloc_aligned(sizeof *heap, HEAP_ALIGN);
    if (heap == NULL) {
        number_give_back(number);
        return NULL;
    }
    heap->key = HEAP_KEY(number);
    for (unsigned i = HEAP_RECORDS; i-- > 0;) {
        span_record_free(&heap->records[i]);
    }
    heap->bins = bins != NULL ? bins : heap->resting_bins;
    bins_init(heap->bins, end_of(heap));
    sample_heap_init(heap);
    heap->collect_at = 1;
    atomic_store_relaxed(&heap->state, HEAP_LIVE);
    heap->trim_epoch = atomic_load_relaxed(&heap_trim_epoch);
    lock_acquire(&heaps_lock);
    heap->next = all_heaps;
    atomic_store_release(&all_heaps, heap); /* pairs with heap_first */
    lock_release(&heaps_lock);
    return heap;
}

static void
thread_exit_hook(void *arg)
{
    heap_t *heap = arg;

    if (heap->destructor_rounds < EXIT_ROUNDS) {
        heap->destructor_rounds++;
        if (pthread_setspecific(exit_key, heap) == 0) {
            return;
        }
    }
    heap_thread_exit();
}

void
heap_threads_init(void)
{
    uint32_t none = 0;

    if (atomic_cas_acquire(&exit_key_made, &none, 1)) {
        if (pthread_key_create(&exit_key, thread_exit_hook) == 0) {
            atomic_store_release(&exit_key_made, 2); /* pairs with heap_attach */
        } else {
            atomic_store_release(&exit_key_made, 0);
        }
    }
    while (atomic_load_acquire(&exit_key_made) == 1) {
        cpu_relax(); /* another thread is at it: an array index and a compare-and-swap */
    }
}

static heap_t *
take_idle(void)
{
    heap_t *heap;

    lock_acquire(&heaps_lock);
    heap = orphans;
    if (heap != NULL) {
        atomic_store_relaxed(&orphans, heap->next_idle);
    } else if ((heap = empty_heaps) != NULL) {
        empty_heaps = heap->next_idle;
    }
    if (heap != NULL) {
        atomic_store_relaxed(&heap->state, HEAP_LIVE);
        heap->destructor_rounds = 0;
    }
    lock_release(&heaps_lock);
    return heap;
}

heap_t *
heap_attach(void)
{
    heap_t *heap = heap_self();
    int saved_errno = errno;

    if (heap != &heap_empty) {
        return heap;
    }
    /* Owner words have keys above all addresses of bins; a stack with thread-local data may have
     * been asked for beyond (5-level paging). */
    if (heap_thread_over || OWNER_KEY(FRONT_STRICT(&heap_front)) != 0 || tide_init_once() != 0) {
        return NULL;
    }
    heap = take_idle();
    if (heap != NULL) {
        memcpy(heap_front.bins, heap->resting_bins, sizeof heap_front.bins);
    } else if ((heap = heap_new(heap_front.bins)) == NULL) {
        return NULL;
    }
    atomic_add_relaxed(&heap_live_count, 1);
    move_in(heap); /* before anything below may allocate */
    heap_threads_init();
    if (atomic_load_acquire(&exit_key_made) == 2) {
        pthread_setspecific(exit_key, heap);
    }
    errno = saved_errno;
    return heap;
}

static void
make_empty(heap_t *heap)
{
    lock_acquire(&heaps_lock);
    atomic_store_relaxed(&heap->state, HEAP_EMPTY);
    heap->next_idle = empty_heaps;
    empty_heaps = heap;
    lock_release(&heaps_lock);
}

void
heap_thread_exit(void)
{
    heap_t *heap = heap_self();

    if (heap == &heap_empty) {
        return;
    }
    remote_flush(heap);
    sample_heap_left(heap);
    move_out(heap);
    heap_thread_over = true;
    if (atomic_sub_relaxed(&heap_live_count, 1) == 0) {
        heap_last_thread_gone();
    }
    /* One orphan waits for the next thread with its bins and a span with room of each class; what
     * else there is, and what other orphans hold, is for everybody. */
    if (atomic_load_relaxed(&orphans) == NULL) {
        heap_let_go_with_room(heap, ORPHAN_SPANS_KEEP);
        lock_acquire(&heaps_lock);
        atomic_store_relaxed(&heap->state, HEAP_ORPHAN);
        heap->orphan_tick = atomic_load_relaxed(&arena_tick);
        heap->next_idle = orphans;
        atomic_store_relaxed(&orphans, heap);
        lock_release(&heaps_lock);
    } else {
        heap_let_go_all(heap);
        make_empty(heap);
    }
}

static heap_t *
take_old_orphan(uint32_t before_tick)
{
    heap_t **link;
    heap_t *heap;

    lock_acquire(&heaps_lock);
    for (link = &orphans; (heap = *link) != NULL; link = &heap->next_idle) {
        if ((int32_t)(heap->orphan_tick - before_tick) < 0) {
            atomic_store_relaxed(link, heap->next_idle); /* heap_thread_exit peeks */
            break;
        }
    }
    lock_release(&heaps_lock);
    return heap;
}

TIDE_COLD size_t
heap_dissolve_orphans(uint32_t before_tick)
{
    size_t count = 0;
    heap_t *heap;

    while ((heap = take_old_orphan(before_tick)) != NULL) {
        heap_let_go_all(heap);
        make_empty(heap);
        count++;
    }
    return count;
}

TIDE_COLD bool
heap_let_go_spares(uint32_t keep)
{
    bool left = false;

    for (heap_t *heap = heap_first(); heap != NULL; heap = heap->next) {
        span_let_go_spare(heap, keep);
        left |= atomic_load_relaxed(&heap->spare.count) != 0;
    }
    return left;
}

/* --- fork ------------------------------------------------------------------------------------ */

TIDE_COLD void
heap_fork_abrupt(void)
{
    for (heap_t *heap = all_heaps; heap != NULL; heap = heap->next) {
        if (heap->spare.lock.word != 0) { /* somebody was changing the list */
            heap->spare = (spare_spans_t){.count = 0};
        }
    }
}

void
heap_fork_child(void)
{
    /* Threads that were inside an operation left their heaps half changed: nobody looks into
     * those again. Their full and pooled spans are everybody's as before. */
    for (heap_t *heap = all_heaps; heap != NULL; heap = heap->next) {
        if (heap->state == HEAP_LIVE && heap != heap_self()) {
            atomic_store_relaxed(&heap->state, HEAP_LOST);
        }
    }
    heap_live_count = heap_self() != &heap_empty;
}

void
heap_locks_acquire(void)
{
    lock_acquire(&heaps_lock);
    heap_fallback_lock(true, false);
    transfer_locks_acquire();
    pool_locks_acquire();
    sample_lock_acquire();
    for (heap_t *heap = all_heaps; heap != NULL; heap = heap->next) {
        lock_acquire(&heap->spare.lock);
    }
    ready_lock_acquire();
}

void
heap_locks_release(bool in_child)
{
    ready_lock_release(in_child);
    for (heap_t *heap = all_heaps; heap != NULL; heap = heap->next) {
        lock_release_after_fork(&heap->spare.lock, in_child);
    }
    sample_lock_release(in_child);
    pool_locks_release(in_child);
    transfer_locks_release(in_child);
    heap_fallback_lock(false, in_child);
    lock_release_after_fork(&heaps_lock, in_child);
}
