/* SPDX-License-Identifier: MIT */
/* The samples that live, by address. All functions: lock(profile) held. */
#ifndef TIDE_PROFILE_LIVE_H
#define TIDE_PROFILE_LIVE_H

#include "profile/sites.h"

/* 0 or ENOMEM. The address must not be there. */
int live_add_locked(const sample_t *sample);
/* NULL: that block is not of a sample that is known. Valid until one is added or taken out. */
sample_t *live_find_locked(const void *address);
/* Takes out what live_find_locked gave. */
void live_remove_locked(sample_t *sample);
size_t live_count_locked(void);
/* The index-th of them, in no order; NULL: there are not so many. */
const sample_t *live_entry_locked(size_t index);

#endif
