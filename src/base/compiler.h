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
/* Zeros that a small process never writes to: away from what every process writes, which then has
 * few pages to itself. */
#define TIDE_SPARSE __attribute__((section(".bss.sparse")))
/* Constants that a process reads seldom, away from the tables that every process reads. Text in
 * them stands in arrays: each pointer to a text would be something for ld.so to relocate at every
 * start, 24 bytes of instructions for that, and 8 bytes that are each process's own. */
#define TIDE_COLD_DATA __attribute__((section(".rodata.cold")))
/* A text that every process reads: string literals lie with the cold constants. */
#define TIDE_WARM_TEXT(name, text) static const char name[] = text
#define TIDE_ALIGNED(n) __attribute__((aligned(n)))
/* A function that starts a line of instructions; malloc and free cost 7 to 9 % more from within one
 * (batch-fifo-32, batch-lifo-32). */
#define TIDE_ENTRY TIDE_ALIGNED(64)
#define TIDE_UNUSED __attribute__((unused))
#define TIDE_PRINTF(f, a) __attribute__((format(printf, f, a)))
/* Static TLS. Little of it: libraries that dlopen brings must do with 1.6 KiB of it in all. */
#define TIDE_TLS __thread __attribute__((tls_model("initial-exec")))

/* configure --with-sanitizer says so; these are for builds that only have it in CFLAGS. */
#ifndef TIDE_SANITIZED
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TIDE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TIDE_SANITIZED 1
#endif
#endif
#endif

/* Where the compiler can address thread-local data by the segment register: an access to a field
 * of a structure then costs no instruction but the one that finds the structure's offset. */
#if defined(__x86_64__) && defined(__LP64__) && defined(__SEG_FS) && !defined(TIDE_SANITIZED) &&   \
    !defined(__clang__) /* which loses the segment in inline assembly (LLVM issue 187893) */
#define TIDE_SEG __seg_fs
#endif

/* Code that runs before there are thread-local data, the stack protector's among them. */
#define TIDE_EARLY __attribute__((no_stack_protector))
/* Stays although nothing that the compiler or the linker sees refers to it. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define TIDE_KEPT __attribute__((used, retain))
#endif
#endif
#ifndef TIDE_KEPT
#define TIDE_KEPT __attribute__((used))
#endif
/* On a definition that inline assembly names, for link-time optimisation. */
#ifdef __clang__
#define TIDE_NAMED __attribute__((used))
#else
#define TIDE_NAMED __attribute__((used, externally_visible))
#endif

/* The attributes of an alias's target, where the compiler can copy them. */
#if defined(__has_attribute) && !defined(__clang__)
#define TIDE_COPY(of) __attribute__((copy(of)))
#else
#define TIDE_COPY(of)
#endif

#define likely(e) __builtin_expect(!!(e), 1)
#define unlikely(e) __builtin_expect(!!(e), 0)

/* From here on the compiler knows nothing of the variable: it neither regroups sums over this line
 * nor keeps one of them for later, where that would cost an instruction. */
#define TIDE_OPAQUE(x) __asm__("" : "+r"(x))
/* What will be returned is in the register for that already: saves moving it there. */
#if defined(__x86_64__)
#define TIDE_IN_RESULT(x) __asm__("" : "+a"(x))
#else
#define TIDE_IN_RESULT(x) TIDE_OPAQUE(x)
#endif

#define TIDE_STATIC_ASSERT(e, why) _Static_assert(e, why)

#define TIDE_CACHE_LINE 64
#define TIDE_LINE_PAIR 128 /* some processors fetch two lines at a time */
#define TIDE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
