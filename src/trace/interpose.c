/* SPDX-License-Identifier: MIT */
/*
 * The malloc family: each function calls the next library's, by dlsym, and records. A free is
 * recorded before, an allocation after: format.h says why. Answers and errno are those of the
 * malloc below.
 *
 * dlsym itself may allocate, before there is anywhere to ask: from a small array then, whose blocks
 * are never given back and never recorded. So is what ld.so allocates before libc has begun: such
 * blocks are passed on, and free finds them unknown.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "trace/trace.h"

enum { EARLY_BYTES = 16 << 10, EARLY_HEAD = 16 };

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    void (*free_sized)(void *, size_t);
    void (*free_aligned_sized)(void *, size_t, size_t);
    void (*free)(void *); /* the last to be found: with it all are there */
} next;                   /* init: */

/* ---- Before there is a next ------------------------------------------------------------------ */

static struct {
    TIDE_ALIGNED(16) char bytes[EARLY_BYTES];
    size_t used;
    bool resolving;
} early; /* init: one thread, before main */

static bool
is_early(const void *block)
{
    uintptr_t offset = (uintptr_t)block - (uintptr_t)early.bytes;

    return offset < EARLY_BYTES;
}

static void *
early_alloc(size_t size)
{
    char *block = early.bytes + early.used + EARLY_HEAD;

    if (size > EARLY_BYTES || early.used + EARLY_HEAD + align_up(size, 16) > EARLY_BYTES) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(block - EARLY_HEAD, &size, sizeof size);
    early.used += EARLY_HEAD + align_up(size, 16);
    return block;
}

static size_t
early_size(const void *block)
{
    size_t size;

    memcpy(&size, (const char *)block - EARLY_HEAD, sizeof size);
    return size;
}

/* False while it goes on: then the caller is dlsym, or what that calls. */
TIDE_COLD static bool
resolve(void)
{
    static const char none[] = "libtidetrace: there is no malloc to forward to\n";

    if (early.resolving) {
        return false;
    }
    early.resolving = true;
#define FIND(name) *(void **)&next.name = dlsym(RTLD_NEXT, #name)
    FIND(malloc);
    FIND(calloc);
    FIND(realloc);
    FIND(aligned_alloc);
    FIND(memalign);
    FIND(posix_memalign);
    FIND(valloc);
    FIND(pvalloc);
    FIND(free_sized);
    FIND(free_aligned_sized);
    FIND(free);
#undef FIND
    early.resolving = false;
    if (next.malloc == NULL || next.calloc == NULL || next.realloc == NULL || next.free == NULL ||
        next.memalign == NULL) {
        fmt_write_fd(2, none, sizeof none - 1);
        _exit(127);
    }
    return true;
}

TIDE_HOT bool
has_next(void)
{
    return likely(next.free != NULL) || resolve();
}

void *
trace_next_malloc(size_t size)
{
    return has_next() ? next.malloc(size) : NULL;
}

void *
trace_next_memalign(size_t alignment, size_t size)
{
    return has_next() ? next.memalign(alignment, size) : NULL;
}

void
trace_next_free(void *block)
{
    if (has_next() && !is_early(block)) {
        next.free(block);
    }
}

/* ---- The family ------------------------------------------------------------------------------ */

/* Is it what an operator new of the C++ library asks for? That makes 1 of 0, and a multiple of the
 * alignment. */
static bool
is_for_new(const struct trace_stream *s, size_t size, size_t alignment)
{
    size_t more = size - s->new_size;

    return more == 0 || (s->new_size == 0 && size == 1) || more <= alignment;
}

TIDE_HOT void *
made(unsigned operation, void *block, size_t size, size_t alignment, struct trace_caller caller)
{
    struct trace_stream *s = &trace_stream;

    if (unlikely(block == NULL)) {
        return NULL;
    }
    if (unlikely(s->caller.address != NULL)) {
        s->made = block; /* whatever it is, it is recorded: not once more by the operator */
    }
    if (unlikely(s->caller.address != NULL) && is_for_new(s, size, alignment)) {
        trace_record(operation | TRACE_FLAG_OPERATOR, block, s->new_size, alignment, s->caller);
    } else {
        trace_record(operation, block, size, alignment, caller);
    }
    return block;
}

TIDE_HOT void
gone(const void *block)
{
    if (block != NULL && likely(trace_stream.deleted != block)) {
        trace_record(TRACE_FREE, block, 0, 0, TRACE_NOBODY);
    }
}

TIDE_EXPORT void *
malloc(size_t size)
{
    if (unlikely(!has_next())) {
        return early_alloc(size);
    }
    return made(TRACE_MALLOC, next.malloc(size), size, 0, TRACE_CALLER());
}

TIDE_EXPORT void
free(void *block)
{
    if (unlikely(is_early(block)) || unlikely(!has_next())) {
        return;
    }
    gone(block);
    next.free(block);
}

TIDE_EXPORT void *
calloc(size_t count, size_t size)
{
    size_t bytes = 0;

    if (unlikely(!has_next())) {
        return __builtin_mul_overflow(count, size, &bytes) ? NULL : early_alloc(bytes);
    }
    bytes = count * size; /* when it overflows, the answer is NULL */
    return made(TRACE_CALLOC, next.calloc(count, size), bytes, 0, TRACE_CALLER());
}

static void *
early_realloc(void *block, size_t size)
{
    void *to = has_next() ? next.malloc(size) : early_alloc(size);
    size_t had = block == NULL ? 0 : early_size(block);

    if (to != NULL && block != NULL) {
        memcpy(to, block, size < had ? size : had);
    }
    return to;
}

TIDE_HOT void *
realloc_for(void *block, size_t size, struct trace_caller caller)
{
    void *to;

    if (unlikely(is_early(block)) || unlikely(!has_next())) {
        return early_realloc(block, size);
    }
    if (block == NULL) {
        return made(TRACE_MALLOC, next.realloc(NULL, size), size, 0, caller);
    }
    trace_record(TRACE_REALLOC_BEGIN, block, 0, 0, TRACE_NOBODY);
    to = next.realloc(block, size);
    trace_record(TRACE_REALLOC_END, to, size, 0, caller);
    return to;
}

TIDE_EXPORT void *
realloc(void *block, size_t size)
{
    return realloc_for(block, size, TRACE_CALLER());
}

/* The C library's calls realloc, so that its caller would be the C library. */
TIDE_EXPORT void *
reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc_for(block, bytes, TRACE_CALLER());
}

TIDE_EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
    if (unlikely(!has_next())) {
        return NULL;
    }
    return made(TRACE_ALIGNED, next.aligned_alloc(alignment, size), size, alignment,
                TRACE_CALLER());
}

TIDE_EXPORT void *
memalign(size_t alignment, size_t size)
{
    if (unlikely(!has_next())) {
        return NULL;
    }
    return made(TRACE_ALIGNED, next.memalign(alignment, size), size, alignment, TRACE_CALLER());
}

TIDE_EXPORT int
posix_memalign(void **out, size_t alignment, size_t size)
{
    int error = has_next() ? next.posix_memalign(out, alignment, size) : ENOMEM;

    if (error == 0) {
        made(TRACE_ALIGNED, *out, size, alignment, TRACE_CALLER());
    }
    return error;
}

TIDE_EXPORT void *
valloc(size_t size)
{
    if (unlikely(!has_next())) {
        return NULL;
    }
    return made(TRACE_ALIGNED, next.valloc(size), size, TRACE_PAGE, TRACE_CALLER());
}

TIDE_EXPORT void *
pvalloc(size_t size)
{
    if (unlikely(!has_next())) {
        return NULL;
    }
    return made(TRACE_ALIGNED, next.pvalloc(size), align_up(size, TRACE_PAGE), TRACE_PAGE,
                TRACE_CALLER());
}

/* C23's, which glibc 2.36 does not have: without one below they are free. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

TIDE_EXPORT void
free_sized(void *block, size_t size)
{
    if (!has_next() || next.free_sized == NULL) {
        free(block);
        return;
    }
    gone(block);
    next.free_sized(block, size);
}

TIDE_EXPORT void
free_aligned_sized(void *block, size_t alignment, size_t size)
{
    if (!has_next() || next.free_aligned_sized == NULL) {
        free(block);
        return;
    }
    gone(block);
    next.free_aligned_sized(block, alignment, size);
}
