/* SPDX-License-Identifier: MIT */
/*
 * What the machine has left: memory that may be taken without pressing anybody, and CPUs that have
 * nothing to do. For the background thread: these read files below /proc and /sys, and what cannot
 * be read counts as nothing left (but for groups: a kernel without has no limits).
 */
#ifndef TIDE_OS_MACHINE_H
#define TIDE_OS_MACHINE_H

#include "base/compiler.h"

/* Bytes the process may still take before the machine (MemAvailable) or one of its control groups
 * (v1, v2: limit less usage, file pages nobody needs not counted) runs out. 0: none, or not known.
 * 50 us. (slow) */
uint64_t os_headroom_bytes(void);

/* CPUs the process may use at the same time, by what is online, its affinity, and the quotas of its
 * control groups. 0: not known. 50 us. (slow) */
unsigned os_usable_cpus(void);

/* How many of these are idle now, as far as can be told: by all that runs on the machine, wherever
 * that is. 0 where there is but one, and without /proc/loadavg. 5 us. (slow) */
unsigned os_idle_cpus(unsigned usable);

/* For tests: the parsers of what those read. */
uint64_t machine_parse_meminfo(const char *text);
/* The path of the group in the text of /proc/self/cgroup, of the v1 controller or of v2 (NULL); its
 * length, 0: there is none. */
size_t machine_parse_group(const char *text, const char *controller, const char **path);
/* Tasks that run or wait for a CPU, of /proc/loadavg; 0: not understood. */
unsigned machine_parse_running(const char *text);
unsigned machine_parse_cpu_max(const char *text);
/* CPUs in a list such as "0-3,8"; 0: not understood. */
unsigned machine_parse_cpu_list(const char *text);

#endif
