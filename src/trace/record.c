/* SPDX-License-Identifier: MIT */
/*
 * Records, into the thread's chunk. What costs: a number from the process's counter (an atomic
 * add), the clock, and some ten bytes written; a chunk is claimed every 64 KiB of them.
 *
 * A signal handler that allocates while its thread writes a record finds the stream busy and is
 * not recorded; it is counted.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/trace.h"

/* Code, and seven varints at most. */
enum { RECORD_MAX = 72 };

TIDE_TLS struct trace_stream trace_stream;

static struct trace_stream late; /* lock: of threads after their end */
static pthread_key_t ends;       /* init: calls stream_end */
static bool has_ends;            /* init: */
static uint32_t threads;         /* lock: the last number given out */
static uint32_t threads_of;      /* lock: in that generation */

/* The compiler must not move what the signal handler of this thread looks at. */
#define SIGNAL_BARRIER() __asm__ volatile("" : : : "memory")

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* A forked child that has not decided yet has its parent's chunk in mind, but not in memory. */
static void
stream_close(struct trace_stream *s)
{
    if (s->chunk != NULL && s->generation == trace_generation() &&
        atomic_load_relaxed(&trace_gate->state) != GATE_UNKNOWN) {
        trace_chunk_close(s->chunk, (uint32_t)(s->at - (unsigned char *)(s->chunk + 1)));
    }
    s->chunk = NULL;
    s->at = s->end = NULL;
}

static void
stream_end(void *stream)
{
    struct trace_stream *s = stream;
    int saved_errno = errno;

    s->busy = true;
    SIGNAL_BARRIER();
    stream_close(s);
    s->ended = true;
    SIGNAL_BARRIER();
    s->busy = false;
    errno = saved_errno;
}

/* The first chunk of a thread is a page: some programs have thousands. */
static uint32_t
next_size(const struct trace_stream *s)
{
    uint32_t next = s->chunk == NULL ? TRACE_PAGE : s->chunk->bytes * 4;

    return next < TRACE_CHUNK_MAX ? next : TRACE_CHUNK_MAX;
}

static void
number_thread_locked(struct trace_stream *s)
{
    if (threads_of != trace_generation()) {
        threads_of = trace_generation();
        threads = 0;
    }
    if (s != &late) {
        s->thread = ++threads;
    }
}

/* Room for a record, in a new chunk. False: recording has ended. */
TIDE_COLD static bool
stream_refill_locked(struct trace_stream *s)
{
    uint32_t bytes;

    if (s->generation != trace_generation()) {
        s->chunk = NULL; /* it was the parent's, and is not mapped here */
        s->generation = trace_generation();
        s->ended = false;
        number_thread_locked(s);
    }
    bytes = next_size(s);
    stream_close(s);
    s->chunk = trace_chunk_claim_locked(TRACE_RECORDS, bytes);
    if (s->chunk == NULL) {
        return false;
    }
    s->seq = trace_last_seq();
    s->tick = trace_now_ticks();
    s->block = 0;
    s->site = 0;
    s->chunk->thread = s == &late ? 0 : s->thread;
    s->chunk->tid = s == &late ? 0 : (uint32_t)syscall(SYS_gettid);
    s->chunk->first = s->seq;
    s->chunk->tick = s->tick;
    s->at = (unsigned char *)(s->chunk + 1);
    s->end = (unsigned char *)s->chunk + bytes - RECORD_MAX;
    return true;
}

TIDE_COLD static bool
stream_refill(struct trace_stream *s)
{
    int saved_errno = errno, cancel;
    bool has_room;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    trace_lock();
    if (!has_ends) {
        has_ends = pthread_key_create(&ends, stream_end) == 0;
    }
    has_room = stream_refill_locked(s);
    trace_unlock();
    if (has_ends) {
        pthread_setspecific(ends, s);
    }
    pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
    return has_room;
}

/* ---- Records --------------------------------------------------------------------------------- */

struct record {
    unsigned code;
    uint32_t site;
    uint64_t block;
    uint64_t size;
    uint64_t alignment;
};

TIDE_HOT unsigned char *
put_varint(unsigned char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (unsigned char)value;
    return to;
}

TIDE_HOT void
put_record(struct trace_stream *s, const struct record *r)
{
    unsigned char *to = s->at + 1;
    unsigned operation = r->code & TRACE_OPERATIONS, code = r->code;
    uint64_t seq = trace_next_seq(), tick = trace_now_ticks();
    uint64_t block = r->block >> 3 | r->block << 61, more = block - s->block;

    if (seq - s->seq != 1) {
        code |= TRACE_FLAG_SEQ;
        to = put_varint(to, seq - s->seq);
    }
    s->seq = seq;
    if (tick > s->tick) {
        code |= TRACE_FLAG_TICKS;
        to = put_varint(to, tick - s->tick);
        s->tick = tick;
    }
    if (operation != TRACE_FREE && operation != TRACE_REALLOC_BEGIN) {
        if (operation == TRACE_ALIGNED) {
            to = put_varint(to, r->alignment);
        }
        if (r->site == s->site) {
            code |= TRACE_FLAG_SITE;
        } else {
            to = put_varint(to, r->site);
            s->site = r->site;
        }
        to = put_varint(to, r->size);
    }
    to = put_varint(to, more << 1 ^ (uint64_t)((int64_t)more >> 63));
    s->block = block;
    /* Whoever reads the file of a process that was killed must not take half a record for one. */
    SIGNAL_BARRIER();
    *s->at = (unsigned char)code;
    s->at = to;
}

/* The thread's stream has ended: all such threads share one. */
TIDE_COLD static void
record_late(const struct record *r)
{
    int saved_errno = errno, cancel;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    trace_lock();
    if ((late.at != NULL && late.at < late.end && late.generation == trace_generation()) ||
        stream_refill_locked(&late)) {
        put_record(&late, r);
    }
    trace_unlock();
    pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
}

void
trace_record(unsigned operation, const void *block, size_t size, size_t alignment,
             struct trace_caller caller)
{
    struct trace_stream *s = &trace_stream;
    struct record r = {operation, 0, (uintptr_t)block, size, alignment};

    if (unlikely(atomic_load_relaxed(&trace_gate->state) != GATE_ON)) {
        if (atomic_load_relaxed(&trace_gate->state) == GATE_OFF) {
            return;
        }
        if (s->busy) { /* a child's signal handler */
            return;
        }
        s->busy = true;
        SIGNAL_BARRIER();
        trace_begin();
        SIGNAL_BARRIER();
        s->busy = false;
        if (atomic_load_relaxed(&trace_gate->state) != GATE_ON) {
            return;
        }
    }
    if (unlikely(s->busy)) {
        trace_count_lost();
        return;
    }
    s->busy = true;
    SIGNAL_BARRIER();
    if (caller.address != NULL) {
        r.site = trace_site(caller);
    }
    if (unlikely(s->ended && s->generation == trace_generation())) {
        record_late(&r);
    } else if (likely(s->at != NULL && s->at < s->end && s->generation == trace_generation()) ||
               stream_refill(s)) {
        put_record(s, &r);
    }
    SIGNAL_BARRIER();
    s->busy = false;
}
