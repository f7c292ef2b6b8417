/* SPDX-License-Identifier: MIT */
/* What the profile's files need of each other: who is inside, and when it began. */
#ifndef TIDE_PROFILE_RECORD_H
#define TIDE_PROFILE_RECORD_H

#include "os/lock.h"

extern lock_t profile_dump_lock; /* rank dump */

/*
 * Between them the calling thread's allocations and frees are the profile's own, or a signal
 * handler's: they are not recorded, and frees of samples are put off. False: it is inside already.
 * Whatever takes the profile's lock is inside.
 */
bool profile_enter(void);
void profile_leave(void);
bool profile_is_inside(void);

/* Samples that were not recorded: no memory, inside already, forking. */
uint64_t profile_lost(void);

struct profile_times {
    uint64_t start_ns; /* os_now_ns */
    uint64_t start_real_ns;
    size_t rate;
};
struct profile_times profile_times(void);

#endif
