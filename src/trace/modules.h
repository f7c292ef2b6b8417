/* SPDX-License-Identifier: MIT */
/* Executable mappings of this process, and the chunks that tell of them. */
#ifndef TIDE_TRACE_MODULES_H
#define TIDE_TRACE_MODULES_H

#include "trace/trace.h"

enum { TRACE_RANGES_MAX = 1024 };

struct trace_range {
    uint64_t start, end;
};

/* Zero-initialised is empty. All of it: lock. */
struct trace_modules {
    struct trace_range ranges[TRACE_RANGES_MAX];
    uint32_t count;
    struct trace_chunk *chunk;
    uint32_t used;
};

/* Makes the mapping of the address known, if it is in one. */
void trace_modules_cover_locked(struct trace_modules *m, uint64_t address);

#endif
