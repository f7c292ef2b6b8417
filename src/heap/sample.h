/* SPDX-License-Identifier: MIT */
/*
 * Which allocations a profile sees, without an instruction on the fast paths for it.
 *
 * Every block that comes into a bin leaves it by one allocation, so it is blocks that are drawn,
 * when they come in: each is sampled with probability 1 - exp(-size / rate), by counting down to
 * the next one. A drawn block's guard word is marked; the malloc that pops it finds the link
 * damaged, as it were, takes the slow path, and gives out a block of a sampled span instead, whose
 * free takes the slow path as well. The drawn block stands in for the sample until then, and is
 * freed in its place (at once, if it is large): it comes in once more, and is drawn anew like any
 * other.
 *
 * Blocks come in by refills, which know how many, and by frees. Those are counted in the word that
 * says how much room the bin has: a free takes 1 of the room and 1 of what stands above it, and the
 * sign that says stop belongs to both (BIN_FREE). What stands above runs out at the free to be
 * drawn, or before the room can have run out: room itself is looked at only then. While frees and
 * allocations balance, that is allowed to take longer each time.
 *
 * Blocks that leave a bin without an allocation (route) lose their mark and are drawn anew when
 * they come in again. Chains that go from bin to bin keep theirs and are not drawn again.
 *
 * realloc: a block of b bytes is sampled with the probability p(b) of its size, however it came to
 * have it, or the estimates of what lives would be wrong. One that grows from a to b and was not
 * sampled becomes so with 1 - exp(-(b - a) / rate), which makes p(b) in all; one that was stays so,
 * with the weight 1 / p(b). One that shrinks stays sampled with p(b) / p(a), or becomes sampled
 * never. A vector's buffer that began with 16 bytes and has 1 GiB now is surely seen.
 */
#ifndef TIDE_HEAP_SAMPLE_H
#define TIDE_HEAP_SAMPLE_H

#include "heap/heap.h"

/* Who is told. Called without locks and with the heap whole; may allocate and free. */
typedef struct heap_sampler {
    /* size: what was asked for; weight: how many such allocations it stands for. */
    void (*allocated)(void *p, size_t size, double weight);
    void (*freed)(void *p);
    /* By realloc; from may be to. change: what its weight is to be multiplied by; 0: it is not
     * sampled any more, as if it had never been. */
    void (*moved)(void *from, void *to, size_t size, double change);
} heap_sampler_t;

/* Samples one allocation in `rate` bytes on average from now on, or none (rate 0). What is in bins
 * and lists already is not drawn again: a heap's first allocations after a change may go by the
 * rate before. Other threads follow at their next refill, look, or large block. The sampler stays
 * the same for good; NULL: the one before. */
void heap_sample_start(const heap_sampler_t *sampler, size_t rate);
#define HEAP_SAMPLE_RATE_MAX ((size_t)256 << 20) /* or blocks could not be counted in 31 bits */

#define PACE_LOOKS 16u /* at bins between two looks at the clock, while a thread is thinned */

extern TIDE_HIDDEN size_t sample_rate; /* atomic(relaxed): bytes; 0: off */

TIDE_HOT size_t
heap_sample_rate(void)
{
    return atomic_load_relaxed(&sample_rate);
}

/* A new heap; and one whose thread ends: the next one has a pace of its own. */
void sample_heap_init(heap_t *heap);
void sample_heap_left(heap_t *heap);

/* How much of the bin's word is room. */
TIDE_HOT int32_t
bin_room(const bin_t *bin)
{
    return (int16_t)bin->left;
}

/* And how much frees until a look; a room below zero borrows from it. */
TIDE_HOT uint32_t
bin_looks(int32_t left)
{
    return (uint32_t)(left - (int16_t)left) >> 16;
}

/* The block to be marked is the so manieth to come into the bin after its word was `left`. */
TIDE_HOT int32_t
bin_until(int32_t left, const heap_class_t *hc)
{
    return hc->ahead + (int32_t)bin_looks(left);
}

/* How many blocks it took since it was last armed. */
TIDE_HOT uint32_t
bin_frees_since_armed(const bin_t *bin, const heap_class_t *hc)
{
    return (uint16_t)(bin_looks(hc->armed) - bin_looks(bin->left));
}

/* So much room, and a look after so many frees. */
TIDE_HOT void
bin_arm(bin_t *bin, heap_class_t *hc, int32_t room, int32_t frees)
{
    hc->armed = bin->left = frees * BIN_LOOK + room;
}

/* The same, with a look at the block to be marked if that comes first. */
void sample_arm(bin_t *bin, heap_class_t *hc, int32_t until, int32_t room, int32_t frees);

extern TIDE_HIDDEN uint32_t sample_epoch; /* atomic: changes of the rate */

/* Nothing is drawn, and nothing counted for it. */
TIDE_HOT bool
heap_is_quiet(const heap_t *heap)
{
    return heap->quiet_epoch == atomic_load_relaxed(&sample_epoch);
}

/* True now and then, so that a thinned thread's pace is looked at without a sample. */
TIDE_HOT bool
sample_pace_is_due(heap_t *heap)
{
    return heap->pace.thinned > 0 && ++heap->pace.looks >= PACE_LOOKS;
}

/* The same as sample_arm, if that is all there is to do: no block is to be marked before the next
 * look, no change of the rate to be followed, no pace to be looked at. */
TIDE_HOT bool
sample_try_arm(heap_t *heap, unsigned size_class, int32_t until, int32_t room, int32_t frees)
{
    if (unlikely(until <= frees || heap->sample_epoch != atomic_load_relaxed(&sample_epoch) ||
                 sample_pace_is_due(heap))) {
        return false;
    }
    heap->classes[size_class].ahead = until - frees;
    bin_arm(&heap->bins[size_class], &heap->classes[size_class], room, frees);
    return true;
}

/* Is a large block of that size not the one to be drawn, and nothing else to be done? */
TIDE_HOT bool
sample_passes_large(heap_t *heap, size_t size)
{
    return heap->large_until > (int64_t)size &&
           heap->sample_epoch == atomic_load_relaxed(&sample_epoch) && !sample_pace_is_due(heap);
}

/* Gives the bin so much room from now on. */
TIDE_HOT void
bin_set_room(heap_t *heap, unsigned size_class, int32_t room)
{
    bin_t *bin = &heap->bins[size_class];
    heap_class_t *hc = &heap->classes[size_class];

    if (likely(heap_is_quiet(heap))) {
        bin_arm(bin, hc, room, room);
    } else {
        sample_arm(bin, hc, bin_until(bin->left, hc), room, room);
    }
}

/* Follows the last change of the rate: draws anew for all classes. For the thread's own heap only:
 * who is told of samples may allocate. */
void sample_follow(heap_t *heap);
/* Draws among the bin's blocks, `count` of which have just come in, and gives it room. */
void sample_refilled(heap_t *heap, unsigned size_class, uint32_t count, int32_t room);
/* Draws the block, freed at a look, into the bin, which had `left` before; its next look is after
 * so many frees at most. */
void sample_looked(heap_t *heap, unsigned size_class, int32_t left, int32_t frees);

/* The bin has so many new blocks, and so much room. */
TIDE_HOT void
bin_refilled(heap_t *heap, unsigned size_class, uint32_t count, int32_t room)
{
    bin_t *bin = &heap->bins[size_class];
    heap_class_t *hc = &heap->classes[size_class];

    if (likely(heap_is_quiet(heap))) {
        bin_arm(bin, hc, room, room);
    } else if (!sample_try_arm(heap, size_class, bin_until(bin->left, hc) - (int32_t)count, room,
                               room)) {
        sample_refilled(heap, size_class, count, room);
    }
}

/* The block, which had the mark, was popped for an allocation: what to give out, it or another. */
void *sample_take(heap_t *heap, block_t *block, uintptr_t mark, size_t size);
/* Frees a live block of a sampled span. */
void sample_free(void *p, span_t *span);
/* Another block for a sampled one, small or large. NULL: no memory, and p is as it was. */
void *sample_realloc(void *p, span_t *span, size_t size);

/* Draws a large block that was just allocated, by counting their bytes. */
void sample_large(span_t *span, size_t size);
/* Tells that a sampled one is gone. */
void sample_large_gone(void *p);
/* A block's size was changed without another allocation: where it is, or by moving its pages.
 * old_size: what it could hold before. Only the last is for blocks that are not sampled as well. */
void sample_small_resized(void *p, size_t size);
void sample_large_resized(span_t *span, size_t old_size, size_t size);
/* A sampled block has another place, and the one before is not free yet. */
void sample_large_moved(void *from, span_t *span, size_t size);

/* heap_alloc(room) for a realloc of a block that is not sampled: of old_size usable bytes, to
 * `size`. */
void *sample_grown(size_t old_size, size_t size, size_t room);
/* heap_alloc(rounded) for an aligned block of `size` bytes. */
void *sample_aligned(size_t size, size_t rounded);

TIDE_HOT bool
block_is_sampled(const span_t *span)
{
    return span->kind == SPAN_SAMPLED ||
           (span->kind == SPAN_LARGE && atomic_load_relaxed(&span->remote) == LARGE_SAMPLED);
}

void sample_lock_acquire(void);
void sample_lock_release(bool in_child);

#endif
