/* SPDX-License-Identifier: MIT */
/*
 * fork from a multithreaded parent. Handlers are registered once; all locks are taken in rank
 * order, so every structure under a lock is whole in the child. What is under no lock, another
 * thread's heap, is never looked into again by the child (HEAP_LOST). libc may allocate between
 * our handlers and the clone: the forking thread passes through the locks it holds.
 *
 * vfork and posix_spawn children do not allocate. _Fork and raw clone run no handlers: see
 * lock.c for how their child recovers from a lock whose holder it does not have.
 */
#include "api/fork.h"

#include <pthread.h>

#include "heap/heap.h"
#include "keeper/keeper.h"
#include "os/os.h"
#include "page/page.h"
#include "profile/profile.h"

static void
release_all(bool in_child)
{
    profile_postfork(in_child);
    span_locks_release(in_child);
    lock_release_after_fork(&meta_lock, in_child);
    lock_release_after_fork(&arena_lock, in_child);
    lock_release_after_fork(&purge_lock, in_child);
    heap_locks_release(in_child);
    keeper_postfork(in_child);
}

static void
prefork(void)
{
    profile_prefork();
    keeper_prefork();
    heap_locks_acquire();
    lock_acquire(&purge_lock);
    lock_acquire(&arena_lock);
    lock_acquire(&meta_lock);
    span_locks_acquire();
    profile_lock_acquire();
    atomic_store_relaxed(&lock_forking_thread, lock_self());
}

static void
postfork_parent(void)
{
    atomic_store_relaxed(&lock_forking_thread, NULL);
    release_all(false);
}

static void
become_child(void)
{
    if (!lock_is_forking()) {
        heap_fork_abrupt();
        profile_fork_abrupt();
    }
    atomic_store_relaxed(&lock_forking_thread, NULL);
    lock_process = os_pid();
    page_fork_child(); /* before there may be another keeper */
    release_all(true);
    heap_fork_child();
}

void
fork_init(void)
{
    lock_process = os_pid();
    lock_reset_all = become_child;
}

void
fork_register(void)
{
    pthread_atfork(prefork, postfork_parent, become_child);
}
