/* SPDX-License-Identifier: MIT */
/*
 * A futex mutex of four bytes: spins briefly, then sleeps. Statically initialised to zero.
 *
 * Fork: lock_fork_begin() names the forking thread; while it does, that thread passes through
 * every lock (it holds them all: libc may allocate between our prefork handler and the clone).
 * A child made by _Fork or a raw clone runs no handler and may find locks held by threads that
 * do not exist in it: a waiter that finds itself in a new process resets them all.
 */
#ifndef TIDE_OS_LOCK_H
#define TIDE_OS_LOCK_H

#include "base/atomic.h"

/* Rank order: a thread may only acquire locks of a higher rank than those it holds.
 * Fork acquires all in this order. */
enum lock_rank {
    LOCK_RANK_KEEPER = 1, /* one pass at a time */
    LOCK_RANK_PROMISE,    /* what the program expects */
    LOCK_RANK_DUMP,       /* one profile is written at a time */
    LOCK_RANK_INIT,
    LOCK_RANK_HEAPS,    /* the list of heaps, orphans */
    LOCK_RANK_FALLBACK, /* the heap of threads that have none any more */
    LOCK_RANK_TRANSFER, /* one per size class */
    LOCK_RANK_POOL,     /* one per size class */
    LOCK_RANK_SAMPLED,  /* the spans whose blocks are sampled */
    LOCK_RANK_SPARE,    /* one per heap */
    LOCK_RANK_READY,    /* large blocks made ready */
    LOCK_RANK_PURGE,    /* slices withdrawn while their pages are given back */
    LOCK_RANK_ARENA,    /* chunks, slices, frontier */
    LOCK_RANK_META,     /* span records and other metadata */
    LOCK_RANK_OUTLOOK,  /* what the keeper forecasts; a child begins anew, fork does not take it */
    LOCK_RANK_PROFILE,  /* sites, live samples, modules, series */
};

typedef struct lock {
    uint32_t word; /* atomic: 0 free, 1 held, 2 held and somebody may sleep */
} lock_t;

extern void *lock_forking_thread; /* atomic(relaxed): lock_self() of the forking thread */

void lock_acquire_slow(lock_t *lock);
void lock_wake(lock_t *lock);
/* Is the calling thread between the prefork and the postfork handler? */
bool lock_is_forking(void);

/* An address that is unique to the calling thread while it lives. */
void *lock_self(void);

static inline bool
lock_try_acquire(lock_t *lock)
{
    uint32_t free_word = 0;

    return atomic_cas_acquire(&lock->word, &free_word, 1);
}

static inline void
lock_acquire(lock_t *lock)
{
    if (unlikely(!lock_try_acquire(lock))) {
        lock_acquire_slow(lock);
    }
}

static inline void
lock_release(lock_t *lock)
{
    if (unlikely(atomic_load_relaxed(&lock_forking_thread) != NULL) && lock_is_forking()) {
        return;
    }
    /* Pairs with the acquire in lock_try_acquire and lock_acquire_slow. */
    if (unlikely(atomic_exchange_release(&lock->word, 0) == 2)) {
        lock_wake(lock);
    }
}

/* After fork: the parent lets go of it; the child's begins anew, whoever waited for it. */
static inline void
lock_release_after_fork(lock_t *lock, bool in_child)
{
    if (in_child) {
        *lock = (lock_t){0};
    } else {
        lock_release(lock);
    }
}

/* The process id whose threads hold the locks; 0 before the first use. */
extern int lock_process;
/* Called by a waiter that finds itself in another process than lock_process. */
extern void (*lock_reset_all)(void);

#endif
