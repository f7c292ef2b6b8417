/* SPDX-License-Identifier: MIT */
/*
 * What the parts of libtidetrace.so know of each other: interpose.c and operators.c are called by
 * the program, record.c writes, sites.c names callers, file.c has the file.
 *
 * Lock: one, `trace_gate->lock`, for whatever is rare (a new chunk, a new site). Functions in
 * _locked need it held. No call of the malloc below, and of nothing that could call malloc, is made
 * under it.
 */
#ifndef TIDE_TRACE_TRACE_H
#define TIDE_TRACE_TRACE_H

#include "base/atomic.h"
#include "trace/format.h"

enum { GATE_UNKNOWN = 0, GATE_ON = 1, GATE_OFF = 2 };

/* In a page of its own, which the kernel wipes in a forked child (MADV_WIPEONFORK): so a child that
 * no handler of fork announced finds recording undecided, and the lock free. */
struct trace_gate {
    uint32_t state; /* atomic(relaxed) */
    uint32_t lock;  /* atomic(acquire) */
};

/* Who called: where it returns to, and the frame of the function of ours that it called. */
struct trace_caller {
    const void *address; /* NULL: nobody */
    const void *frame;
};

/* Where a thread writes, in static TLS. */
struct trace_stream {
    unsigned char *at;         /* owner: the next record; NULL: no chunk */
    unsigned char *end;        /* owner: where a longest record no longer fits */
    struct trace_chunk *chunk; /* owner: */
    uint64_t seq;              /* owner: these four are the last record's */
    uint64_t tick;
    uint64_t block;
    uint32_t site;
    uint32_t generation; /* owner: the file that the chunk is of */
    uint32_t thread;     /* owner: 0: not yet numbered */
    bool busy;           /* owner: a record is being written; a signal handler finds it set */
    bool ended;          /* owner: its data are destroyed: what comes is thread 0's */
    struct trace_caller caller; /* owner: of the operator new that runs, or nobody */
    size_t new_size;            /* owner: what it was asked for */
    const void *made;           /* owner: the block that was recorded as its answer */
    const void *deleted;        /* owner: the block that was recorded as deleted */
};

extern struct trace_gate *trace_gate; /* init: */
extern TIDE_TLS struct trace_stream trace_stream;

/* ---- record.c -------------------------------------------------------------------------------- */

/* In a function that the program calls. */
#define TRACE_CALLER()                                                                             \
    (struct trace_caller)                                                                          \
    {                                                                                              \
        __builtin_return_address(0), __builtin_frame_address(0)                                    \
    }
#define TRACE_NOBODY ((struct trace_caller){NULL, NULL})

/* `operation` with flags; `caller` is where the program called. errno stays. */
void trace_record(unsigned operation, const void *block, size_t size, size_t alignment,
                  struct trace_caller caller);

/* ---- sites.c --------------------------------------------------------------------------------- */

/* The number of the caller: one for each height of the stack, as long as there is room for that; 0
 * when there are too many. */
uint32_t trace_site(struct trace_caller caller);
void trace_sites_forget(void);

/* ---- file.c ---------------------------------------------------------------------------------- */

void trace_lock(void);
void trace_unlock(void);

/* Decides whether this process is recorded, and makes its file. errno stays. */
void trace_begin(void);
/* The file's generation: another one in a forked child. */
uint32_t trace_generation(void);
uint64_t trace_next_seq(void);
uint64_t trace_last_seq(void);
uint64_t trace_now_ticks(void);
void trace_count_lost(void);

/* A chunk of so many bytes, mapped and zeroed but for its head; NULL: recording has ended. */
struct trace_chunk *trace_chunk_claim_locked(enum trace_kind kind, uint32_t bytes);
/* Nothing more will be written to it. */
void trace_chunk_close(struct trace_chunk *chunk, uint32_t used);
void trace_stop_locked(enum trace_stop why, int error);

/* ---- interpose.c ----------------------------------------------------------------------------- */

/* The malloc below, for operators without one of their own below. */
void *trace_next_malloc(size_t size);
void *trace_next_memalign(size_t alignment, size_t size);
void trace_next_free(void *block);

#endif
