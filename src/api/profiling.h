/* SPDX-License-Identifier: MIT */
/* The profile's options and its end. */
#ifndef TIDE_API_PROFILING_H
#define TIDE_API_PROFILING_H

#include "base/compiler.h"

/* Hands the options to the profile: those fixed at start-up, and those that are not. */
void profiling_configure(void);
void profiling_apply_runtime(void);

/* Starts or stops the profile as the option says: without locks, and not before the constructor,
 * since libraries may be loaded. at_start: from there. */
void profiling_follow(bool at_start);
void profiling_constructor(void);

/* Writes profile_out. */
void profiling_at_exit(void);

#endif
