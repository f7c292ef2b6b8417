/* SPDX-License-Identifier: MIT */
/*
 * Threads, as far as a profile tells them apart: numbers, names, and a series each.
 *
 * There are series for so many threads, in fixed memory, and one for all others together. Who gets
 * one is decided at a thread's first sample: a free one, or that of the thread that has ended and
 * allocated the least, whose figures are the others' from then on. So the sum over all series is
 * the process, always. A thread's live bytes are those that it allocated, whoever frees them; what
 * it freed is what it freed, whoever allocated it.
 *
 * All functions: lock(profile) held.
 */
#ifndef TIDE_PROFILE_THREADS_H
#define TIDE_PROFILE_THREADS_H

#include "profile/series.h"

#define THREADS_MAX 32u
#define THREAD_NAME_BYTES 16u /* the kernel's */

/* After series_init. 0 or ENOMEM. Once. */
int threads_init(void);

/* The calling thread's number, from 1: never another thread's, as ids of the system and addresses
 * are. Asks the kernel for its name, ten times a second at most. */
uint32_t threads_self_locked(void);

/* The process's totals have changed since they were `before`: `actor` allocated or freed blocks of
 * `owner`. After series_advance_locked. */
void threads_note_locked(uint32_t owner, uint32_t actor, const series_totals_t *before);

/* All series are as late as the process's. */
void threads_follow_locked(void);

/* The index-th series, up to THREADS_MAX; name and tid of the others are "others" and 0. False:
 * there is none there. */
struct thread_view {
    const series_t *series;
    const char *name;
    int tid;
};
bool threads_view_locked(unsigned index, struct thread_view *view);

/* The calling thread is the only one, and has another id. Without the lock. */
void threads_fork_child(void);

#endif
