/* SPDX-License-Identifier: MIT */
/*
 * C++'s operators new and delete, from C, by their mangled names: all twenty. On exhaustion the
 * throwing ones call the new-handler until it gives up, then throw std::bad_alloc; both
 * are libstdc++'s (or libc++'s), found when first needed, so a C program does not depend on it.
 *
 * Sizes given to delete are not trusted: deleting through a base class is common.
 */
#include "heap/alloc.h"
#include "heap/callers.h"
#include "heap/free.h"
#include "os/os.h"
#include "tidemalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef TIDE_NO_OVERRIDE

/* A program that only says new must get our malloc too when it links the archive by name. */
__attribute__((used)) static void *(*const with_malloc)(size_t) = tide_malloc;

typedef void new_handler_fn(void);

extern new_handler_fn *_ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));

#define NEXT_OBJECT ((void *)-1l)

/* Resolved late: the C++ library may have been opened after us. */
static void *
find_symbol(void *linked, const char *name)
{
    return linked != NULL || dlsym == NULL ? linked : dlsym(NULL, name);
}

static new_handler_fn *
current_new_handler(void)
{
    new_handler_fn *(*get)(void);
    void *symbol = find_symbol((void *)_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv");

    memcpy(&get, &symbol, sizeof get);
    return get == NULL ? NULL : get();
}

static void
throw_bad_alloc(void)
{
    static const char text[] = "tidemalloc: operator new: out of memory, and no C++ library to "
                               "throw std::bad_alloc\n";
    void (*throw_it)(void);
    void *symbol = find_symbol((void *)_ZSt17__throw_bad_allocv, "_ZSt17__throw_bad_allocv");

    memcpy(&throw_it, &symbol, sizeof throw_it);
    if (throw_it != NULL) {
        throw_it();
    }
    os_write(2, text, sizeof text - 1);
    abort();
}

TIDE_COLD static void *
new_slow(size_t size, size_t align)
{
    for (;;) {
        new_handler_fn *handler = current_new_handler();
        void *p;

        if (handler == NULL) {
            throw_bad_alloc();
        }
        handler();
        p = is_pow2(align) ? heap_alloc_aligned(size, align) : NULL;
        if (p != NULL) {
            return p;
        }
    }
}

/* The nothrow forms must answer NULL also when the new-handler throws, which takes a catch: the
 * C++ library's own forms have one around our throwing ones. */
TIDE_COLD static void *
new_nothrow_slow(size_t size, size_t align)
{
    void *(*plain)(size_t, const void *) = NULL;
    void *(*aligned)(size_t, size_t, const void *) = NULL;
    static const char tag;
    void *symbol;

    if (dlsym == NULL || current_new_handler() == NULL) {
        return NULL;
    }
    if (align > 16) {
        symbol = dlsym(NEXT_OBJECT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
        memcpy(&aligned, &symbol, sizeof aligned);
        return aligned == NULL ? NULL : aligned(size, align, &tag);
    }
    symbol = dlsym(NEXT_OBJECT, "_ZnwmRKSt9nothrow_t");
    memcpy(&plain, &symbol, sizeof plain);
    return plain == NULL ? NULL : plain(size, &tag);
}

TIDE_NOINLINE static void *
new_plain_slow(size_t size)
{
    void *p;

    CALLERS_NOTE(heap_self());
    p = heap_alloc_slow_inside(size);
    return likely(p != NULL) ? p : new_slow(size, 16);
}

TIDE_NOINLINE static void *
new_plain_nothrow_slow(size_t size)
{
    void *p;

    CALLERS_NOTE(heap_self());
    p = heap_alloc_slow_inside(size);
    return likely(p != NULL) ? p : new_nothrow_slow(size, 16);
}

/* The slow sides are tail calls: the size needs no register saved across the pop. */
TIDE_HOT void *
new_plain(size_t size, bool may_throw)
{
    void *p = heap_try_pop(size);

    if (likely(p != NULL)) {
        return p;
    }
    return may_throw ? new_plain_slow(size) : new_plain_nothrow_slow(size);
}

static void *
new_aligned(size_t size, size_t align, bool may_throw)
{
    void *p = is_pow2(align) ? heap_alloc_aligned(size, align) : NULL;

    if (likely(p != NULL)) {
        return p;
    }
    return may_throw ? new_slow(size, align) : new_nothrow_slow(size, align);
}

/* The twenty names share five bodies, which ignore what an alias is given beyond their arguments (a
 * size, an alignment, the tag). */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wattribute-alias"
#endif

#define OPERATOR(result, name, args, ...)                                                          \
    TIDE_EXPORT result name args;                                                                  \
    TIDE_EXPORT TIDE_ENTRY result name args                                                        \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
#define ALSO(result, name, args, of) TIDE_EXPORT result name args __attribute__((alias(#of)));

#define NOTHROW const void *tag
#define ALIGN size_t align

OPERATOR(void *, _Znwm, (size_t size), return new_plain(size, true))
ALSO(void *, _Znam, (size_t size), _Znwm)
OPERATOR(void *, _ZnwmRKSt9nothrow_t, (size_t size, NOTHROW TIDE_UNUSED),
         return new_plain(size, false))
ALSO(void *, _ZnamRKSt9nothrow_t, (size_t size, NOTHROW), _ZnwmRKSt9nothrow_t)
OPERATOR(void *, _ZnwmSt11align_val_t, (size_t size, ALIGN), return new_aligned(size, align, true))
ALSO(void *, _ZnamSt11align_val_t, (size_t size, ALIGN), _ZnwmSt11align_val_t)
OPERATOR(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, ALIGN, NOTHROW TIDE_UNUSED),
         return new_aligned(size, align, false))
ALSO(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, ALIGN, NOTHROW),
     _ZnwmSt11align_val_tRKSt9nothrow_t)

OPERATOR(void, _ZdlPv, (void *p), heap_free(p))
ALSO(void, _ZdaPv, (void *p), _ZdlPv)
ALSO(void, _ZdlPvm, (void *p, size_t size), _ZdlPv)
ALSO(void, _ZdaPvm, (void *p, size_t size), _ZdlPv)
ALSO(void, _ZdlPvRKSt9nothrow_t, (void *p, NOTHROW), _ZdlPv)
ALSO(void, _ZdaPvRKSt9nothrow_t, (void *p, NOTHROW), _ZdlPv)
ALSO(void, _ZdlPvSt11align_val_t, (void *p, ALIGN), _ZdlPv)
ALSO(void, _ZdaPvSt11align_val_t, (void *p, ALIGN), _ZdlPv)
ALSO(void, _ZdlPvmSt11align_val_t, (void *p, size_t size, ALIGN), _ZdlPv)
ALSO(void, _ZdaPvmSt11align_val_t, (void *p, size_t size, ALIGN), _ZdlPv)
ALSO(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, ALIGN, NOTHROW), _ZdlPv)
ALSO(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, ALIGN, NOTHROW), _ZdlPv)

#endif
