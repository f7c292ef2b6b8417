/* SPDX-License-Identifier: MIT */
/* What a profile's series tell of its threads: "thread/NAME/TID/FIGURE" (profile/format.h). */
#ifndef TIDE_TOOL_THREADS_H
#define TIDE_TOOL_THREADS_H

#include "tool/profile.h"

/* The last minute, or as long as the thread was known. */
struct thread_summary {
    const char *name;
    uint64_t tid;       /* 0: all threads that had no series of their own */
    int64_t live_bytes; /* that it allocated, at the end */
    /* a second, on average: */
    double allocated_bytes;
    double allocations; /* blocks */
    double freed_bytes;
};

/* Those of a finished profile, who allocated the most first. Memory of malloc, names in the
 * profile's pool; NULL when there are none. */
struct thread_summary *threads_of(struct profile *p, size_t *count);

#endif
