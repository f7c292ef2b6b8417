/* SPDX-License-Identifier: MIT */
/*
 * Traces (trace/format.h): the records of all threads in their order, and the blocks that they are
 * about. Nothing in a file is believed; what cannot be read is passed over and reported.
 */
#ifndef TIDE_TOOL_TRACE_H
#define TIDE_TOOL_TRACE_H

#include "tool/tool.h"
#include "trace/format.h"

/* ---- Records (trace_reader.c) ---------------------------------------------------------------- */

struct trace_event {
    uint64_t seq;
    uint64_t time_ns; /* since the beginning of the trace */
    uint64_t address;
    uint64_t size;
    uint64_t alignment; /* 0: as malloc gives it */
    uint32_t thread;    /* index, in the order of the numbers */
    uint32_t site;
    enum trace_operation operation;
    bool is_operator; /* C++ */
};

struct trace_place {
    uint64_t start, end, file_offset;
    const char *path;
    const unsigned char *build_id;
    size_t build_id_bytes;
};

struct trace_problem {
    uint64_t offset; /* in the file */
    uint64_t count;  /* how many there are; this is the first */
    char text[128];
};

struct trace {
    struct trace_head head;
    uint64_t bytes; /* of the file */
    struct trace_problem problem;
    struct trace_site *sites; /* by number */
    size_t site_count;
    struct trace_place *modules;
    size_t module_count;
    uint32_t *threads; /* numbers by index */
    size_t thread_count;
    /* trace_reader.c's own */
    int fd;
    struct trace_index *chunks; /* of records, by thread and place */
    struct trace_cursor *cursors;
    uint32_t *heap; /* cursors by what comes next */
    size_t chunk_count, heap_count, chunk_room, site_room, module_room;
    struct tool_pool pool;
};

/* Takes the descriptor. False: it is no trace, or none that can be read; problem says why. */
bool trace_open(struct trace *t, int fd);
void trace_close(struct trace *t);
/* From the first record on, as often as wanted. */
void trace_rewind(struct trace *t);
/* False: that was the last. */
bool trace_next(struct trace *t, struct trace_event *e);
/* The file of that name; dies when nothing of it can be read, and warns of what cannot. */
void trace_read(struct trace *t, const char *path);
/* TOOL_OK, or TOOL_INPUT with a warning when something could not be read so far. */
int trace_verdict(const struct trace *t, const char *path);

/* ---- Blocks (trace_blocks.c) ----------------------------------------------------------------- */

struct trace_block {
    uint64_t address; /* 0: none */
    uint64_t size;
    uint32_t site;
    uint32_t thread; /* that allocated it */
    uint32_t tag;    /* the caller's */
};

enum trace_effect {
    TRACE_NOTHING,
    TRACE_ALLOCATED, /* now */
    TRACE_FREED,     /* before */
    TRACE_RESIZED,   /* before, now */
};

struct trace_change {
    enum trace_effect effect;
    struct trace_block before;
    struct trace_block *now; /* until the next change */
    /* A block that was at the address of what is now, and whose free is not in the trace. */
    struct trace_block lost;
};

struct trace_blocks {
    struct trace_block *slots; /* open addressing */
    size_t size, count;
    struct trace_block *pending; /* by thread: between the two records of a realloc */
    uint64_t unknown_frees;
    uint64_t failed_reallocs;
    uint64_t lost_frees;
};

void trace_blocks_init(struct trace_blocks *b, const struct trace *t);
void trace_blocks_free(struct trace_blocks *b);
struct trace_change trace_blocks_apply(struct trace_blocks *b, const struct trace_event *e);

/* ---- What is done with them ------------------------------------------------------------------ */

/* Each returns an exit code. */
int trace_info(const char *path, const char *out, bool as_json, size_t top);
int trace_series(const char *path, const char *out, bool as_json, uint64_t interval_ms);
/* factor: a block is long when so many times the live bytes were allocated since it came. */
int trace_lanes(const char *path, const char *out, bool as_json, uint64_t factor);
int trace_prepare(const char *path, const char *out);

#endif
