/* SPDX-License-Identifier: MIT */
/*
 * The malloc family: argument rules of the C library's contract over the heap's verbs. The tide_
 * names are the functions; the standard names are aliases of them unless TIDE_NO_OVERRIDE
 * (sanitizer builds, where the sanitizer owns the standard names).
 *
 * The rules are in the reference's section 5 and in tidemalloc(3); the surprising ones carry a
 * comment here.
 */
#include <errno.h>
#include <string.h>

#include "api/deepbind.h"
#include "api/foreign.h"
#include "heap/alloc.h"
#include "heap/free.h"
#include "heap/report.h"
#include "keeper/keeper.h"
#include "keeper/promise.h"
#include "os/os.h"
#include "tidemalloc.h"

#ifdef TIDE_NO_OVERRIDE
#define TIDE_ALIAS(name, of)
#else
#define TIDE_ALIAS(name, of)                                                                       \
    extern __typeof__(of) name __attribute__((alias(#of), visibility("default"))) TIDE_COPY(of);
#endif

TIDE_EXPORT TIDE_ENTRY void *
tide_malloc(size_t size)
{
    return heap_alloc(size);
}

TIDE_EXPORT TIDE_ENTRY void
tide_free(void *p)
{
    heap_free(p);
}

/* Objects of one byte. The dynamic linker asks so for its record of a library that it opens. */
TIDE_NOINLINE static void *
calloc_bytes(size_t bytes, uintptr_t caller)
{
    if (bytes > DEEPBIND_RECORD_MIN) {
        deepbind_note_caller(caller);
    }
    return heap_alloc_zeroed(bytes);
}

TIDE_NOINLINE TIDE_COLD static void *
calloc_overflows(void)
{
    errno = ENOMEM;
    return NULL;
}

TIDE_EXPORT TIDE_ENTRY void *
tide_calloc(size_t count, size_t size)
{
    size_t bytes;

    if (unlikely(size == 1)) {
        return calloc_bytes(count, (uintptr_t)__builtin_return_address(0));
    }
    if (unlikely(__builtin_mul_overflow(count, size, &bytes))) {
        return calloc_overflows();
    }
    return heap_alloc_zeroed(bytes);
}

TIDE_EXPORT TIDE_ENTRY void *
tide_realloc(void *p, size_t size)
{
    if (p == NULL) {
        return heap_alloc(size);
    }
    if (size == 0) { /* glibc's choice of what C leaves open */
        heap_free(p);
        return NULL;
    }
    if (unlikely(space_span_of(p) == NULL)) {
        return foreign_realloc(p, size);
    }
    return heap_realloc(p, size, "realloc");
}

TIDE_EXPORT void *
tide_aligned_alloc(size_t alignment, size_t size)
{
    if (unlikely(!is_pow2(alignment))) {
        errno = EINVAL;
        return NULL;
    }
    return heap_alloc_aligned(size, alignment);
}

TIDE_EXPORT void *
tide_memalign(size_t alignment, size_t size)
{
    if (unlikely(alignment > SIZE_MAX / 2 + 1)) {
        errno = EINVAL;
        return NULL;
    }
    if (!is_pow2(alignment)) { /* rounded up, as glibc does */
        alignment = alignment == 0 ? 16 : (size_t)1 << (log2_floor(alignment) + 1);
    }
    return heap_alloc_aligned(size, alignment);
}

TIDE_EXPORT int
tide_posix_memalign(void **out, size_t alignment, size_t size)
{
    int saved_errno = errno;
    void *p;

    if (unlikely(!is_pow2(alignment) || alignment % sizeof(void *) != 0)) {
        return EINVAL;
    }
    p = heap_alloc_aligned(size, alignment);
    if (unlikely(p == NULL)) {
        errno = saved_errno;
        return ENOMEM;
    }
    *out = p;
    return 0;
}

TIDE_EXPORT void *
tide_valloc(size_t size)
{
    return heap_alloc_aligned(size, OS_PAGE);
}

TIDE_EXPORT void *
tide_pvalloc(size_t size)
{
    if (unlikely(size > PTRDIFF_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    return heap_alloc_aligned(align_up(max_zu(size, 1), OS_PAGE), OS_PAGE);
}

TIDE_EXPORT size_t
tide_malloc_usable_size(void *p)
{
    if (p == NULL) {
        return 0;
    }
    if (unlikely(space_span_of(p) == NULL)) {
        return foreign_usable_size(p);
    }
    return heap_usable_size(p, "malloc_usable_size");
}

/* Could `size` be what the block was asked for? A block keeps its place under realloc while at
 * least half of it is used, so more than one size is right. */
static bool
size_is_plausible(const span_t *span, size_t size, size_t alignment)
{
    size_t usable = span->kind == SPAN_LARGE ? span->bytes : span->block_size;

    if (size > usable) {
        return false;
    }
    if (span->kind == SPAN_LARGE) {
        return align_up(max_zu(size, 1), OS_PAGE) == usable;
    }
    return usable == 16 || size > usable / 2 || alignment > usable / 2;
}

static void
free_checked(void *p, size_t size, size_t alignment, const char *function)
{
    span_t *span = space_span_of(p);

    if (p != NULL && span != NULL && heap_pointer_error(p, span) == NULL &&
        (!size_is_plausible(span, size, alignment) || ((uintptr_t)p & (alignment - 1)) != 0)) {
        report_pointer(function, REPORT_WRONG_SIZE, p, span);
        return;
    }
    heap_free(p);
}

TIDE_EXPORT void
tide_free_sized(void *p, size_t size)
{
    free_checked(p, size, 1, "free_sized");
}

TIDE_EXPORT void
tide_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    free_checked(p, size, is_pow2(alignment) ? alignment : 1, "free_aligned_sized");
}

TIDE_EXPORT size_t
tide_trim(void)
{
    return tide_init_once() == 0 ? keeper_trim() : 0;
}

TIDE_EXPORT int
tide_expect(size_t bytes, uint64_t within_ns)
{
    int saved_errno = errno;
    int error = tide_init_once() == 0 ? keeper_expect(bytes, within_ns) : ENOMEM;

    errno = saved_errno;
    return error;
}

TIDE_EXPORT int
tide_guarantee(size_t bytes)
{
    int saved_errno = errno;
    int error = tide_init_once() == 0 ? promise_guarantee(bytes) : ENOMEM;

    errno = saved_errno;
    return error;
}

TIDE_EXPORT int
tide_malloc_trim(size_t pad)
{
    (void)pad; /* a hint for the top of a heap that grows by brk; there is none */
    return tide_trim() > 0 ? 1 : 0;
}

TIDE_ALIAS(malloc, tide_malloc)
TIDE_ALIAS(free, tide_free)
TIDE_ALIAS(cfree, tide_free)
TIDE_ALIAS(calloc, tide_calloc)
TIDE_ALIAS(realloc, tide_realloc)
TIDE_ALIAS(aligned_alloc, tide_aligned_alloc)
TIDE_ALIAS(memalign, tide_memalign)
TIDE_ALIAS(posix_memalign, tide_posix_memalign)
TIDE_ALIAS(valloc, tide_valloc)
TIDE_ALIAS(pvalloc, tide_pvalloc)
TIDE_ALIAS(malloc_usable_size, tide_malloc_usable_size)
TIDE_ALIAS(free_sized, tide_free_sized)
TIDE_ALIAS(free_aligned_sized, tide_free_aligned_sized)
TIDE_ALIAS(malloc_trim, tide_malloc_trim)

/* Old programs and other interposers call these. */
TIDE_ALIAS(__libc_malloc, tide_malloc)
TIDE_ALIAS(__libc_free, tide_free)
TIDE_ALIAS(__libc_calloc, tide_calloc)
TIDE_ALIAS(__libc_realloc, tide_realloc)
TIDE_ALIAS(__libc_memalign, tide_memalign)
TIDE_ALIAS(__libc_valloc, tide_valloc)
TIDE_ALIAS(__libc_pvalloc, tide_pvalloc)
TIDE_ALIAS(__posix_memalign, tide_posix_memalign)
