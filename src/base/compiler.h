/* SPDX-License-Identifier: MIT */
/*
 * Words for the compiler: heat, visibility, branch hints, static asserts.
 * The only place outside os/ where the language dialect shows.
 */
#ifndef TIDE_BASE_COMPILER_H
#define TIDE_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIDE_HOT static inline __attribute__((always_inline))
#define TIDE_COLD __attribute__((noinline, cold))
#define TIDE_NOINLINE __attribute__((noinline))
#define TIDE_EXPORT __attribute__((visibility("default")))
/* On a declaration: the hot paths reach it without the global offset table. */
#define TIDE_HIDDEN __attribute__((visibility("hidden")))
#define TIDE_ALIGNED(n) __attribute__((aligned(n)))
#define TIDE_UNUSED __attribute__((unused))
#define TIDE_PRINTF(f, a) __attribute__((format(printf, f, a)))
/* One pointer of static TLS: larger initial-exec blocks make dlopen fail. */
#define TIDE_TLS __thread __attribute__((tls_model("initial-exec")))

/* The attributes of an alias's target, where the compiler can copy them. */
#if defined(__has_attribute) && !defined(__clang__)
#define TIDE_COPY(of) __attribute__((copy(of)))
#else
#define TIDE_COPY(of)
#endif

#define likely(e) __builtin_expect(!!(e), 1)
#define unlikely(e) __builtin_expect(!!(e), 0)

#define TIDE_STATIC_ASSERT(e, why) _Static_assert(e, why)

#define TIDE_CACHE_LINE 64
#define TIDE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
