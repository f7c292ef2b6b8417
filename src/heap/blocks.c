/* SPDX-License-Identifier: MIT */
/*
 * The verbs that api/ builds the malloc family from, above the two hot paths: zeroed, aligned,
 * resized, measured.
 */
#include <errno.h>
#include <string.h>

#include "heap/alloc.h"
#include "heap/callers.h"
#include "heap/free.h"
#include "heap/report.h"
#include "heap/sample.h"
#include "os/os.h"

#define GROWS_MAX (TIDE_SMALL_MAX / 4)

/* large_alloc for a program that may not have allocated yet. */
static void *
alloc_large(size_t size, size_t align, bool *zero)
{
    void *p;

    if (unlikely(tide_init_once() != 0)) {
        errno = ENOMEM;
        return NULL;
    }
    p = large_alloc(size, align, zero);
    heap_poke_keeper(); /* last: it may start a thread, which allocates */
    return p;
}

void *
heap_alloc_large(size_t size)
{
    return alloc_large(size, SLICE_BYTES, NULL);
}

TIDE_NOINLINE static void *
alloc_zeroed_slow(size_t size)
{
    bool zero = false;
    void *p;

    CALLERS_NOTE(heap_self());
    p = size <= TIDE_SMALL_MAX ? heap_alloc_slow_inside(size)
                               : alloc_large(size, SLICE_BYTES, &zero);
    if (p != NULL && !zero) {
        memset(p, 0, size);
    } else if (p != NULL) {
        heap_count(zeroing_avoided_bytes, size);
    }
    return p;
}

void *
heap_alloc_zeroed(size_t size)
{
    void *p = heap_try_pop(size);

    return likely(p != NULL) ? memset(p, 0, size) : alloc_zeroed_slow(size);
}

/* Spans begin at slices, and a class that holds a multiple of align is one itself: the step between
 * classes is a power of two that divides both neighbours, so it is a multiple of align, or divides
 * it and the class is the very size (test_size_class asks for all of them). */
void *
heap_alloc_aligned(size_t size, size_t align)
{
    size_t rounded = align_up(size + (size == 0), align);

    if (likely(size <= TIDE_SMALL_MAX && rounded <= TIDE_SMALL_MAX)) {
        return likely(heap_sample_rate() == 0) ? CALLERS_ALLOC(rounded)
                                               : sample_aligned(size, rounded);
    }
    CALLERS_NOTE(heap_self());
    return alloc_large(size, align, NULL);
}

size_t
heap_usable_size(const void *p, const char *function)
{
    const span_t *span = space_span_of(p);
    const char *error = heap_pointer_error(p, span);

    if (unlikely(error != NULL)) {
        report_pointer(function, error == REPORT_DOUBLE_FREE ? REPORT_NOT_ALLOCATED : error, p,
                       span);
        return 0;
    }
    return span->kind == SPAN_LARGE ? span->bytes : span->block_size;
}

/* A block may keep its place while the new size uses at least half of it. */
static bool
fits_small(const span_t *span, size_t size)
{
    return size <= span->block_size && size > span->block_size / 2;
}

/* What grows will grow again (strings): an eighth of what it had on top saves every second copy
 * (realloc-strings 0.41 s, 0.36 s with it) and costs no page that is not used. */
static size_t
with_room_to_grow(size_t size, size_t old_size)
{
    bool by_little = size - old_size <= old_size / 4; /* what doubles has its room already */

    return by_little && size <= GROWS_MAX ? size + old_size / 8 : size;
}

void *
heap_realloc(void *p, size_t size, const char *function)
{
    span_t *span = space_span_of(p);
    const char *error = heap_pointer_error(p, span);
    size_t old_size;
    size_t room;
    void *to;

    if (unlikely(error != NULL)) {
        report_pointer(function, error, p, span);
        errno = ENOMEM;
        return NULL;
    }
    if (unlikely(size > PTRDIFF_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    if (span->kind == SPAN_LARGE) {
        CALLERS_NOTE(heap_self());
        old_size = span->bytes;
        to = large_realloc(span, size);
        if (to != NULL) {
            if (unlikely(heap_sample_rate() != 0 || block_is_sampled(span))) {
                sample_large_resized(span, old_size, size);
            }
            if (unlikely(atomic_load_relaxed(&callers_on) != 0) && span->bytes > old_size) {
                callers_grew(heap_self(),
                             (span->bytes - old_size + SLICE_BYTES - 1) >> SLICE_SHIFT);
            }
            heap_poke_keeper();
            return to;
        }
    } else {
        old_size = span->block_size;
        if (fits_small(span, size) || (size <= 16 && old_size == 16)) {
            if (unlikely(block_is_sampled(span))) {
                sample_small_resized(p, size);
            }
            return p;
        }
    }
    if (unlikely(block_is_sampled(span))) {
        return sample_realloc(p, span, size);
    }
    room = size > old_size ? with_room_to_grow(size, old_size) : size;
    to = likely(heap_sample_rate() == 0) ? CALLERS_ALLOC(room) : sample_grown(old_size, size, room);
    if (to != NULL) {
        memcpy(to, p, min_zu(old_size, size));
        heap_count(realloc_copied, 1);
        if (span->kind == SPAN_LARGE && size > TIDE_SMALL_MAX) {
            large_copied(span, space_span_of(to));
        }
        heap_free(p);
    } else if (size <= old_size) {
        if (span->kind == SPAN_LARGE) {
            large_shrink(span, size);
        }
        return p; /* shrinking never fails */
    }
    return to;
}
