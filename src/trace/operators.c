/* SPDX-License-Identifier: MIT */
/*
 * C++'s operators new and delete, by their mangled names, for two reasons: libtidemalloc.so has its
 * own, which do not call malloc; and the caller of libstdc++'s malloc is always libstdc++. A malloc
 * of the size that an operator was asked for, made while that runs, is taken for its answer; when
 * none was, the operator's answer is recorded itself.
 *
 * An exception may leave through an operator new. Then the stream says for a while that one runs: a
 * malloc of just that size would bear a wrong caller.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "base/fmt.h"
#include "trace/trace.h"

#define OPERATORS 20

/* The operator in the next library; else in a C++ library that a dlopen keeps to itself. */
TIDE_COLD static void *
find(const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1"};
    void *found = dlsym(RTLD_NEXT, name), *library;

    for (size_t i = 0; i < TIDE_ARRAY_LEN(libraries) && found == NULL; i++) {
        library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        found = library == NULL ? NULL : dlsym(library, name);
    }
    return found;
}

/* No C++ library anywhere that could throw. */
static void *
make_without(size_t size, size_t alignment, bool may_throw, struct trace_caller caller)
{
    static const char text[] = "libtidetrace: operator new: out of memory, and no C++ library to "
                               "throw std::bad_alloc\n";
    void *block = alignment == 0 ? trace_next_malloc(size) : trace_next_memalign(alignment, size);
    unsigned operation = alignment == 0 ? TRACE_MALLOC : TRACE_ALIGNED;

    if (block != NULL) {
        trace_record(operation | TRACE_FLAG_OPERATOR, block, size, alignment, caller);
    } else if (may_throw) {
        fmt_write_fd(2, text, sizeof text - 1);
        abort();
    }
    return block;
}

static void
new_begins(size_t size, struct trace_caller caller)
{
    struct trace_stream *s = &trace_stream;

    if (s->caller.address != NULL && s->new_size == size) {
        return; /* libstdc++'s operator new[], which calls operator new */
    }
    s->made = NULL;
    s->new_size = size;
    s->caller = caller;
}

static void *
new_ends(void *block, size_t size, size_t alignment, struct trace_caller caller)
{
    struct trace_stream *s = &trace_stream;
    unsigned operation = alignment == 0 ? TRACE_MALLOC : TRACE_ALIGNED;

    s->caller = TRACE_NOBODY;
    if (block != NULL && s->made != block) {
        trace_record(operation | TRACE_FLAG_OPERATOR, block, size, alignment, caller);
    }
    return block;
}

static void
delete_begins(const void *block)
{
    if (trace_stream.deleted != block) { /* else: one delete calls another */
        trace_record(TRACE_FREE | TRACE_FLAG_OPERATOR, block, 0, 0, TRACE_NOBODY);
        trace_stream.deleted = block;
    }
}

/* Answers of find(), which are the same whoever asks. */
static void *operators[OPERATORS]; /* atomic(relaxed) */

static void *
operator_below(unsigned index, const char *name)
{
    void *found = atomic_load_relaxed(&operators[index]);

    if (unlikely(found == NULL)) {
        found = find(name);
        atomic_store_relaxed(&operators[index], found);
    }
    return found;
}

#define NOTHROW const void *tag
#define NEW(index, name, alignment, may_throw, parameters, ...)                                    \
    void *name parameters;                                                                         \
    TIDE_EXPORT void *name parameters                                                              \
    {                                                                                              \
        struct trace_caller caller = TRACE_CALLER();                                               \
        __typeof__(name) *below;                                                                   \
                                                                                                   \
        *(void **)&below = operator_below(index, #name);                                           \
        if (unlikely(below == NULL)) {                                                             \
            return make_without(size, alignment, may_throw, caller);                               \
        }                                                                                          \
        new_begins(size, caller);                                                                  \
        return new_ends(below(__VA_ARGS__), size, alignment, caller);                              \
    }
#define DELETE(index, name, parameters, ...)                                                       \
    void name parameters;                                                                          \
    TIDE_EXPORT void name parameters                                                               \
    {                                                                                              \
        __typeof__(name) *below;                                                                   \
                                                                                                   \
        if (p == NULL) {                                                                           \
            return;                                                                                \
        }                                                                                          \
        *(void **)&below = operator_below(index, #name);                                           \
        delete_begins(p);                                                                          \
        if (likely(below != NULL)) {                                                               \
            below(__VA_ARGS__);                                                                    \
        } else {                                                                                   \
            trace_next_free(p);                                                                    \
        }                                                                                          \
        trace_stream.deleted = NULL;                                                               \
    }

NEW(0, _Znwm, 0, true, (size_t size), size)
NEW(1, _Znam, 0, true, (size_t size), size)
NEW(2, _ZnwmRKSt9nothrow_t, 0, false, (size_t size, NOTHROW TIDE_UNUSED), size, tag)
NEW(3, _ZnamRKSt9nothrow_t, 0, false, (size_t size, NOTHROW TIDE_UNUSED), size, tag)
NEW(4, _ZnwmSt11align_val_t, align, true, (size_t size, size_t align), size, align)
NEW(5, _ZnamSt11align_val_t, align, true, (size_t size, size_t align), size, align)
NEW(6, _ZnwmSt11align_val_tRKSt9nothrow_t, align, false,
    (size_t size, size_t align, NOTHROW TIDE_UNUSED), size, align, tag)
NEW(7, _ZnamSt11align_val_tRKSt9nothrow_t, align, false,
    (size_t size, size_t align, NOTHROW TIDE_UNUSED), size, align, tag)

DELETE(8, _ZdlPv, (void *p), p)
DELETE(9, _ZdaPv, (void *p), p)
DELETE(10, _ZdlPvm, (void *p, size_t size), p, size)
DELETE(11, _ZdaPvm, (void *p, size_t size), p, size)
DELETE(12, _ZdlPvRKSt9nothrow_t, (void *p, NOTHROW), p, tag)
DELETE(13, _ZdaPvRKSt9nothrow_t, (void *p, NOTHROW), p, tag)
DELETE(14, _ZdlPvSt11align_val_t, (void *p, size_t align), p, align)
DELETE(15, _ZdaPvSt11align_val_t, (void *p, size_t align), p, align)
DELETE(16, _ZdlPvmSt11align_val_t, (void *p, size_t size, size_t align), p, size, align)
DELETE(17, _ZdaPvmSt11align_val_t, (void *p, size_t size, size_t align), p, size, align)
DELETE(18, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW), p, align, tag)
DELETE(19, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, NOTHROW), p, align, tag)
