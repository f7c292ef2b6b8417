/* SPDX-License-Identifier: MIT */
/* Drawing of blocks, and the spans whose blocks are sampled; see sample.h. */
#include "heap/sample.h"

#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "heap/alloc.h"
#include "heap/free.h"
#include "heap/report.h"
#include "os/os.h"

#define NEVER_SMALL (INT32_MAX / 2) /* asked again then */

/* A thread's samples are thinned when it allocates more than this, after such a burst. */
#define PACE_BYTES_PER_MS ((int64_t)2 << 20)
#define PACE_BURST ((int64_t)256 << 20)
#define PACE_BYTES_MAX ((size_t)1 << 45)
#define PACE_SAMPLES 64u    /* between two looks at the clock */
#define PACE_THINNED_MAX 6u /* the peak of a site that has one block at a time is one sample */

#define STAND_IN_MAX 4096u  /* bytes of a block; and live samples have no more than this part of */
#define STAND_IN_SHARE 128u /* the memory twice */

TIDE_STATIC_ASSERT(PACE_THINNED_MAX + 1 <= BLOCK_MARKS_MAX, "a mark tells how much");

static const heap_sampler_t *sampler; /* atomic: set before the rate */
size_t sample_rate;
size_t large_kept_max = HEAP_LARGE_KEPT_MAX;
uint32_t sample_epoch;

/* owner: what the program asked for, if that is not what is allocated for it. */
static TIDE_TLS struct {
    size_t size;     /* 0: it is */
    size_t old_size; /* of the block that is reallocated; 0: none is */
} asked;

static struct {
    lock_t lock;                     /* rank sample */
    span_t *spans[TIDE_CLASS_COUNT]; /* lock: those with room, latest first */
    bool is_broken;                  /* const: a child, forked while its thread changed them */
} sampled;
static TIDE_TLS bool at_spans; /* the thread has, or waits for, the lock */
static bool forks_at_spans;    /* forking: in a signal handler that came in between */

TIDE_COLD void
heap_sample_start(const heap_sampler_t *who, size_t rate)
{
    if (who != NULL) {
        atomic_store_release(&sampler, who); /* pairs with told_of */
    }
    atomic_store_relaxed(&sample_rate, min_zu(rate, HEAP_SAMPLE_RATE_MAX));
    atomic_store_relaxed(&large_kept_max, rate == 0 ? HEAP_LARGE_KEPT_MAX : 0);
    atomic_add_release(&sample_epoch, 1); /* pairs with begin */
    sample_follow(heap_self());
}

/* Bytes between samples, so many times thinned; 0: there are none. */
static TIDE_COLD size_t
rate_at(uintptr_t thinned)
{
    return min_zu(heap_sample_rate() << thinned, HEAP_SAMPLE_RATE_MAX);
}

/* Bytes until the next sample: exponentially distributed. */
static TIDE_COLD double
draw_bytes(heap_t *heap)
{
    return random_exponential(&heap->random) * (double)rate_at(heap->pace.thinned);
}

/* Blocks until the next one, itself included: geometric, more than n with exp(-n size / rate). */
static int32_t
draw_blocks(heap_t *heap, unsigned c)
{
    if (heap_sample_rate() == 0) {
        return NEVER_SMALL;
    }
    return (int32_t)(draw_bytes(heap) / (double)size_classes[c].size) + 1;
}

static int64_t
draw_large(heap_t *heap)
{
    return heap_sample_rate() == 0 ? 0 : (int64_t)draw_bytes(heap) + 1;
}

/* That a block of `size` bytes is sampled. */
static TIDE_COLD double
probability(uintptr_t thinned, size_t size)
{
    size_t rate = rate_at(thinned);

    return rate == 0 ? 1 : random_one_minus_exp((double)size / (double)rate);
}

static TIDE_COLD double
weight_of(uintptr_t thinned, size_t size)
{
    return 1 / probability(thinned, size);
}

static TIDE_COLD bool
happens(heap_t *heap, double chance)
{
    return (double)(random_next(&heap->random) >> 11) * 0x1p-53 < chance;
}

/* An allocation of `size` bytes was drawn. If it is for a block that had its chance when it was
 * smaller, only the bytes it grows by count. */
static TIDE_COLD bool
is_drawn(heap_t *heap, uintptr_t thinned, size_t size)
{
    size_t old = asked.old_size;

    if (likely(old == 0)) {
        return true;
    }
    return size > old &&
           happens(heap, probability(thinned, size - old) / probability(thinned, size));
}

/* What was asked for. */
static size_t
asked_for(size_t size)
{
    return asked.size == 0 ? size : asked.size;
}

/* What a sampled block's weight changes by with its size; 0: it is not sampled any more. */
static TIDE_COLD double
change_of_weight(size_t old_size, size_t size)
{
    heap_t *heap = heap_self();
    double old = probability(0, old_size);
    double now = probability(0, size);

    if (size < old_size && heap != &heap_empty && !happens(heap, now / old)) {
        return 0;
    }
    return old / now;
}

TIDE_COLD void *
sample_aligned(size_t size, size_t rounded)
{
    void *p;

    asked.size = size;
    p = heap_alloc(rounded);
    asked.size = 0;
    return p;
}

TIDE_COLD void *
sample_grown(size_t old_size, size_t size, size_t room)
{
    void *p;

    asked.old_size = old_size;
    p = sample_aligned(size, room);
    asked.old_size = 0;
    return p;
}

/* The heap goes by the present rate, but for its bins. */
static void
begin(heap_t *heap)
{
    uint32_t epoch = atomic_load_acquire(&sample_epoch); /* pairs with heap_sample_start */

    if (heap->sample_epoch != epoch) {
        heap->sample_epoch = epoch;
        heap->pace = (sample_pace_t){0};
    }
    heap->quiet_epoch = heap_sample_rate() == 0 ? epoch : ~epoch;
    heap->large_until = draw_large(heap);
}

void
sample_heap_init(heap_t *heap)
{
    heap->random = heap_guards.word ^ (uintptr_t)heap;
    begin(heap);
    if (!heap_is_quiet(heap)) {
        for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
            heap->classes[c].ahead = draw_blocks(heap, c);
        }
    }
}

TIDE_COLD void
sample_heap_left(heap_t *heap)
{
    if (heap->pace.thinned > 0) {
        heap->sample_epoch--; /* so that it follows again, and what was drawn does not hold */
    } else {
        heap->pace = (sample_pace_t){0}; /* how long ago the last sample was does not matter */
    }
}

/* --- pace ----------------------------------------------------------------------------------- */

/* `count` samples, each of which may cost what `rate` bytes are allowed to, came in this time. Are
 * they to be thinned more, or less? */
static TIDE_COLD bool
change_pace(sample_pace_t *pace, size_t rate, uint32_t count, uint64_t elapsed_ns)
{
    int64_t spent = (int64_t)(rate * count);
    int64_t earned = (int64_t)min_zu(elapsed_ns / 1000 * PACE_BYTES_PER_MS / 1000, PACE_BYTES_MAX);
    uint32_t before = pace->thinned;

    pace->credit += earned - spent;
    pace->credit = pace->credit < PACE_BURST ? pace->credit : PACE_BURST;
    if (pace->credit < 0) {
        pace->credit = PACE_BURST / 16;
        while (pace->thinned < PACE_THINNED_MAX && earned < spent) {
            pace->thinned++;
            if (before > 0) {
                break; /* a few samples do not tell more */
            }
            earned *= 2; /* in the time that as many samples will take */
        }
    } else if (pace->credit == PACE_BURST) {
        pace->thinned = 0;
    } else if (pace->thinned > 0 && pace->credit > PACE_BURST / 4) {
        pace->credit = PACE_BURST / 8;
        pace->thinned--;
    }
    return pace->thinned != before;
}

static TIDE_COLD void
look_at_pace(heap_t *heap)
{
    sample_pace_t *pace = &heap->pace;
    size_t rate = heap_sample_rate();
    uint64_t then_ns = pace->looked_ns;
    uint32_t count = pace->count;

    if (rate == 0 || heap != heap_self()) {
        return;
    }
    pace->looked_ns = os_now_ns();
    pace->looks = 0;
    pace->count = 0;
    if (then_ns == 0) {
        pace->credit = PACE_BURST;
    } else if (change_pace(pace, rate, count, pace->looked_ns - then_ns)) {
        sample_follow(heap);
    }
}

/* A sample costs what a hundred pairs of malloc and free do, or more. Threads that allocate faster
 * than anybody could write to what they get are sampled the more rarely: their samples come as
 * often as at PACE_BYTES_PER_MS, and weigh more. */
static TIDE_COLD void
keep_pace(heap_t *heap)
{
    heap->pace.count++;
    if (heap->pace.thinned > 0 || heap->pace.count >= PACE_SAMPLES) {
        look_at_pace(heap);
    }
}

/* Without a sample: a thinned thread may have become a slow one, which has few. */
static TIDE_COLD void
regain_pace(heap_t *heap)
{
    if (sample_pace_is_due(heap)) {
        look_at_pace(heap);
    }
}

/* --- drawing -------------------------------------------------------------------------------- */

TIDE_COLD void
sample_follow(heap_t *heap)
{
    if (heap != heap_self() || heap == &heap_empty) {
        return;
    }
    begin(heap);
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        int32_t room = bin_room(&heap->bins[c]);

        room = room > 0 ? room : 0;
        if (heap_is_quiet(heap)) {
            bin_arm(&heap->bins[c], &heap->classes[c], room, room);
        } else {
            sample_arm(&heap->bins[c], &heap->classes[c], draw_blocks(heap, c), room, 0);
        }
    }
}

void
sample_arm(bin_t *bin, heap_class_t *hc, int32_t until, int32_t room, int32_t frees)
{
    if (until <= frees) {
        frees = until - 1;
    }
    hc->ahead = until - frees;
    bin_arm(bin, hc, room, frees);
}

/* Marks the block; how many come in after it until the next one. */
static TIDE_COLD int32_t
mark(heap_t *heap, unsigned c, block_t *block)
{
    if (heap_sample_rate() != 0 && block_mark_of(block) == 0) {
        block->guard += heap_guards.word * (1 + heap->pace.thinned);
    }
    return draw_blocks(heap, c);
}

/* Draws among the list's blocks: how many come in after them until the next one to be marked. */
static TIDE_COLD int32_t
mark_some(heap_t *heap, unsigned c, block_t *list, uint32_t count, int32_t until)
{
    while (until <= (int32_t)count) {
        count -= (uint32_t)until;
        while (--until > 0 && !is_list_end(list->next) && block_is_linked(list)) {
            list = list->next;
        }
        until = mark(heap, c, list);
        if (count == 0 || is_list_end(list->next) || !block_is_linked(list)) {
            return until; /* what is behind damage will not be handed out */
        }
        list = list->next;
    }
    return until - (int32_t)count;
}

void
sample_refilled(heap_t *heap, unsigned c, uint32_t count, int32_t room)
{
    bin_t *bin = &heap->bins[c];
    heap_class_t *hc = &heap->classes[c];
    int32_t until;

    if (unlikely(heap->sample_epoch != atomic_load_relaxed(&sample_epoch))) {
        sample_follow(heap);
        if (heap_is_quiet(heap)) {
            bin_arm(bin, hc, room, room);
            return;
        }
    }
    regain_pace(heap);
    until = bin_until(bin->left, hc);
    if (unlikely(until <= (int32_t)count)) {
        until = mark_some(heap, c, bin->head, count, until);
    } else {
        until -= (int32_t)count;
    }
    sample_arm(bin, hc, until, room, room);
}

void
sample_looked(heap_t *heap, unsigned c, int32_t left, int32_t frees)
{
    bin_t *bin = &heap->bins[c];
    heap_class_t *hc = &heap->classes[c];
    int32_t until = bin_until(left, hc) - 1;

    if (unlikely(until == 0)) {
        until = mark(heap, c, bin->head);
    }
    sample_arm(bin, hc, until, (int16_t)left - 1, frees);
    regain_pace(heap);
    if (unlikely(heap->sample_epoch != atomic_load_relaxed(&sample_epoch))) {
        sample_follow(heap);
    }
}

/* --- sampled spans -------------------------------------------------------------------------- */

static TIDE_COLD void
list_add(span_t *span)
{
    span_t **first = &sampled.spans[span->size_class];

    span->flags |= SPAN_FLAG_ON_LIST;
    span->previous = NULL;
    span->next = *first;
    if (*first != NULL) {
        (*first)->previous = span;
    }
    *first = span;
}

static TIDE_COLD void
list_remove(span_t *span)
{
    span->flags &= (uint8_t)~SPAN_FLAG_ON_LIST;
    if (span->previous != NULL) {
        span->previous->next = span->next;
    } else {
        sampled.spans[span->size_class] = span->next;
    }
    if (span->next != NULL) {
        span->next->previous = span->previous;
    }
    span->next = span->previous = NULL;
}

/* Which drawn block stands in for which sample is said in the sampled span, behind its blocks. */
static TIDE_COLD block_t **
stand_in_of(const span_t *span, const void *p)
{
    block_t **stand_ins = (block_t **)(void *)(span->start + span->capacity * span->block_size);

    return &stand_ins[(size_t)((const char *)p - span->start) / span->block_size];
}

static TIDE_COLD void
set_stand_in(const span_t *span, const void *p, block_t *stand_in)
{
    if (span->block_size <= STAND_IN_MAX) {
        *stand_in_of(span, p) = stand_in;
    }
}

/* NULL: there is none, or no more. */
static TIDE_COLD block_t *
take_stand_in(const span_t *span, const void *p)
{
    block_t *stand_in = span->block_size <= STAND_IN_MAX ? *stand_in_of(span, p) : NULL;

    set_stand_in(span, p, NULL);
    return stand_in;
}

static TIDE_COLD void
span_to_sampled(span_t *span)
{
    size_t bytes = (size_t)span->slice_count << SLICE_SHIFT;

    if (span->block_size <= STAND_IN_MAX) {
        span->capacity = (uint32_t)(bytes / (span->block_size + sizeof(block_t *)));
    }
    span_set_owner(span, OWNER_SAMPLED);
    atomic_store_relaxed(&span->kind, (uint8_t)SPAN_SAMPLED);
    list_add(span);
}

/* lock(sampled) */
static TIDE_COLD span_t *
span_with_room(heap_t *heap, unsigned c)
{
    span_t *span = sampled.spans[c];
    unsigned spans = heap->classes[c].spans;

    if (span == NULL && (span = span_new_small(heap, c)) != NULL) {
        heap->classes[c].spans = spans & HEAP_SPANS_MOST; /* it is nobody's */
        span_to_sampled(span);
    }
    return span;
}

/* lock(sampled). *damaged: set to a free block that was written to. */
static TIDE_COLD block_t *
take_block(heap_t *heap, unsigned c, block_t **damaged)
{
    span_t *span;
    block_t *block;

    for (;;) {
        span = span_with_room(heap, c);
        if (span == NULL) {
            return NULL;
        }
        if (!is_list_end(span->own) && !block_is_linked(span->own)) {
            *damaged = span->own;
            span->own = list_end(); /* what hung behind it counts as live for good */
        }
        if (is_list_end(span->own)) {
            (void)span_extend(span, &span->own);
        }
        if (!is_list_end(span->own)) {
            break;
        }
        list_remove(span);
    }
    block = span->own;
    span->own = block->next;
    block->guard = 0;
    span->left++;
    if (is_list_end(span->own) && span_linked(span) == span->capacity) {
        list_remove(span);
    }
    return block;
}

static TIDE_COLD void
lock_spans(void)
{
    at_spans = true;
    __asm__ volatile("" ::: "memory"); /* for signal handlers of this thread */
    lock_acquire(&sampled.lock);
}

static TIDE_COLD void
unlock_spans(void)
{
    lock_release(&sampled.lock);
    __asm__ volatile("" ::: "memory");
    at_spans = false;
}

/* stand_in: NULL, or what is freed when the block is. */
static TIDE_COLD void *
sampled_alloc(unsigned c, block_t *stand_in)
{
    heap_t *heap = heap_attach();
    block_t *damaged = NULL;
    block_t *block;

    if (heap == NULL) {
        return NULL;
    }
    lock_spans();
    block = sampled.is_broken ? NULL : take_block(heap, c, &damaged);
    unlock_spans();
    if (unlikely(damaged != NULL)) {
        report_pointer("malloc", REPORT_CORRUPTED, damaged, space_span_of(damaged));
    }
    if (block != NULL) {
        set_stand_in(space_span_of(block), block, stand_in);
    }
    return block;
}

static TIDE_COLD void
give_back_locked(span_t *span, block_t *block)
{
    block_link(block, span->own);
    span->own = block;
    if ((span->flags & SPAN_FLAG_ON_LIST) == 0) {
        list_add(span);
    }
    if (--span->left == 0 && span->next != NULL) { /* the last one of a class stays */
        list_remove(span);
        span_release(NULL, span);
    }
}

/* And what stood in for it goes where it would have gone. */
static TIDE_COLD void
sampled_give_back(span_t *span, block_t *block)
{
    block_t *stand_in = take_stand_in(span, block);

    if (likely(!sampled.is_broken)) {
        lock_spans();
        give_back_locked(span, block);
        unlock_spans();
    }
    if (stand_in != NULL) {
        heap_free(stand_in);
    }
}

/* NULL: nobody wants to know. */
static const heap_sampler_t *
told_of(void)
{
    return heap_sample_rate() == 0 ? NULL : atomic_load_acquire(&sampler);
}

/* While it stands in for the sample all others come and go as they would have: batches freed in
 * step stay so. Not if that is dear: samples of large blocks, or at a low rate. */
static TIDE_COLD bool
stands_in(unsigned c, uintptr_t thinned)
{
    size_t size = size_classes[c].size;

    return size <= STAND_IN_MAX && size * STAND_IN_SHARE <= rate_at(thinned);
}

TIDE_COLD void *
sample_take(heap_t *heap, block_t *block, uintptr_t mark, size_t size)
{
    unsigned c = size_class_of(size);
    bool keep = stands_in(c, mark - 1);
    const heap_sampler_t *who = told_of();
    void *p;

    if (who == NULL || heap != heap_self() || !is_drawn(heap, mark - 1, size_classes[c].size)) {
        return block;
    }
    p = sampled_alloc(c, keep ? block : NULL);
    if (p == NULL) {
        return block;
    }
    if (!keep) {
        heap_free(block);
    }
    who->allocated(p, asked_for(size), weight_of(mark - 1, size_classes[c].size));
    keep_pace(heap);
    return p;
}

TIDE_COLD void
sample_free(void *p, span_t *span)
{
    atomic_load_acquire(&sampler)->freed(p);
    sampled_give_back(span, p);
}

TIDE_COLD void *
sample_realloc(void *p, span_t *span, size_t size)
{
    size_t old_size = span->kind == SPAN_LARGE ? span->bytes : span->block_size;
    size_t new_size = size <= TIDE_SMALL_MAX ? size_classes[size_class_of(size)].size : size;
    double change = change_of_weight(old_size, new_size);
    void *to;

    if (change == 0) {
        to = sample_grown(old_size, size, size);
    } else if (size <= TIDE_SMALL_MAX) {
        to = sampled_alloc(size_class_of(size), NULL);
    } else {
        to = large_alloc_sampled(size);
    }
    if (to == NULL && change != 0) { /* it is not sampled any more, then */
        change = 0;
        to = heap_alloc(size);
    }
    if (to == NULL) {
        return size <= old_size ? p : NULL; /* shrinking never fails */
    }
    memcpy(to, p, min_zu(old_size, size));
    atomic_load_acquire(&sampler)->moved(p, to, size, change);
    if (span->kind == SPAN_LARGE) {
        atomic_store_relaxed(&span->remote, 0); /* not that sample any more */
        large_free(p, span);
    } else {
        sampled_give_back(span, p);
    }
    return to;
}

/* --- large blocks --------------------------------------------------------------------------- */

TIDE_COLD void
sample_large(span_t *span, size_t size)
{
    const heap_sampler_t *who = told_of();
    heap_t *heap = heap_attach();
    uint32_t thinned;

    if (unlikely(heap == NULL)) { /* the thread is over */
        return;
    }
    if (unlikely(heap->sample_epoch != atomic_load_relaxed(&sample_epoch))) {
        sample_follow(heap);
    }
    heap->large_until -= (int64_t)size;
    if (likely(heap->large_until > 0)) {
        regain_pace(heap);
        return;
    }
    thinned = heap->pace.thinned;
    heap->large_until = draw_large(heap);
    if (who != NULL && is_drawn(heap, thinned, size)) {
        atomic_store_relaxed(&span->remote, LARGE_SAMPLED);
        who->allocated(span->start, asked_for(size), weight_of(thinned, size));
        keep_pace(heap);
    }
}

TIDE_COLD void
sample_large_gone(void *p)
{
    atomic_load_acquire(&sampler)->freed(p);
}

TIDE_COLD void
sample_small_resized(void *p, size_t size)
{
    atomic_load_acquire(&sampler)->moved(p, p, size, 1);
}

TIDE_COLD void
sample_large_moved(void *from, span_t *span, size_t size)
{
    atomic_load_acquire(&sampler)->moved(from, span->start, size, 1);
}

TIDE_COLD void
sample_large_resized(span_t *span, size_t old_size, size_t size)
{
    const heap_sampler_t *who = told_of();
    heap_t *heap = heap_self();

    if (block_is_sampled(span)) {
        double change = change_of_weight(old_size, size);

        if (change == 0) {
            atomic_store_relaxed(&span->remote, 0);
        }
        atomic_load_acquire(&sampler)->moved(span->start, span->start, size, change);
    } else if (who != NULL && heap != &heap_empty && size > old_size &&
               happens(heap, probability(0, size - old_size))) {
        atomic_store_relaxed(&span->remote, LARGE_SAMPLED);
        who->allocated(span->start, size, weight_of(0, size));
    }
}

void
sample_lock_acquire(void)
{
    forks_at_spans = at_spans;
    if (!forks_at_spans) {
        lock_acquire(&sampled.lock);
    }
}

void
sample_lock_release(bool in_child)
{
    if (in_child && forks_at_spans) {
        sampled.is_broken = true;
    }
    if (in_child || !forks_at_spans) {
        lock_release_after_fork(&sampled.lock, in_child);
    }
}
