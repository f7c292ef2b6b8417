/* SPDX-License-Identifier: MIT */
/*
 * Atomics with the order in the name. Nothing else in the tree may use the compiler's own
 * spelling (scripts/check_style). Every *_release names its *_acquire in a comment at the use.
 */
#ifndef TIDE_BASE_ATOMIC_H
#define TIDE_BASE_ATOMIC_H

#include "base/compiler.h"

#define atomic_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define atomic_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define atomic_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define atomic_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define atomic_exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define atomic_exchange_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define atomic_exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define atomic_add_relaxed(p, v) __atomic_add_fetch((p), (v), __ATOMIC_RELAXED)
#define atomic_add_release(p, v) __atomic_add_fetch((p), (v), __ATOMIC_RELEASE)
#define atomic_or_relaxed(p, v) __atomic_or_fetch((p), (v), __ATOMIC_RELAXED)
#define atomic_sub_relaxed(p, v) __atomic_sub_fetch((p), (v), __ATOMIC_RELAXED)

/* A relaxed load that the compiler may fold into the instruction that uses it: on the machines we
 * run on an aligned word is never torn. Under a sanitizer it is the real thing. */
#ifdef TIDE_SANITIZED
#define atomic_load_hot(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#else
#define atomic_load_hot(p) (*(p))
#endif

/* The same for what has to be read before what comes after it in the source. */
#if defined(__x86_64__) || defined(__i386__)
#define atomic_load_hot_acquire(p) atomic_load_hot(p)
#else
#define atomic_load_hot_acquire(p) atomic_load_acquire(p)
#endif

/* Compare-and-swap, strong; *expected is refreshed on failure (relaxed). */
#define atomic_cas_acquire(p, expected, v)                                                         \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define atomic_cas_release(p, expected, v)                                                         \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define atomic_cas_acq_rel(p, expected, v)                                                         \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)

/* What comes before it is seen by all before what comes after it: for two sides that each write one
 * word and then look at the other's. */
#define atomic_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* A counter with one writer and any reader: a plain add that no reader sees torn. */
#define counter_add(p, n) atomic_store_relaxed((p), atomic_load_relaxed(p) + (n))

TIDE_HOT void
cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
