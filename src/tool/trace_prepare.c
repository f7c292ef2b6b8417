/* SPDX-License-Identifier: MIT */
/*
 * `tide trace --prepare`: a trace for bench/replay (trace/replay.h). The trace is gone through
 * twice: once to know how many operations each thread has, once to write them where they belong.
 * Then an operation still has to be told that another thread's waits for it, which is why the file
 * is mapped.
 *
 * Places are used again, so that replaying needs as much memory for them as there are blocks. A
 * thread that frees its own block has the place for its next; one that freed another's gives it to
 * all, who take it after many others, when nobody should still have to wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/trace.h"
#include "trace/replay.h"

enum { QUEUE_LAG = 1 << 16, NOBODY = 0 };

/* A number of places, last in first out; or first in first out from `first` on. */
struct heap_of_places {
    uint32_t *places;
    size_t count, room, first;
};

struct place {
    struct replay_op *last; /* that used it */
    uint32_t thread;        /* which did; index + 1 */
    uint32_t tells;
};

struct prepare {
    struct trace t;
    struct trace_blocks blocks;
    struct replay_head head;
    struct replay_thread *threads;
    struct heap_of_places *own; /* by thread */
    uint64_t *told_us;          /* by thread: the time of its last operation */
    uint64_t *totals;           /* by number: its operations; NULL while they are counted */
    uint32_t counted;           /* threads with such a total */
    uint32_t ended;             /* threads that have done them all */
    uint32_t *order; /* the number of a thread in the replay + 1; NOBODY: not yet begun */
    struct heap_of_places queue;
    struct place *places;
    size_t place_count, place_room;
    unsigned char *file; /* NULL: counting */
    uint64_t live_bytes;
    uint32_t current; /* the thread of the last event, index + 1 */
};

static void
push(struct heap_of_places *h, uint32_t place)
{
    h->places = tool_grow(h->places, h->count, &h->room, sizeof *h->places);
    h->places[h->count++] = place;
}

/* The oldest of the queue. What was taken from its front is dropped when it is half of it. */
static uint32_t
pull(struct heap_of_places *h)
{
    uint32_t place = h->places[h->first++];

    if (h->first > h->count / 2) {
        memmove(h->places, h->places + h->first, (h->count - h->first) * sizeof *h->places);
        h->count -= h->first;
        h->first = 0;
    }
    return place;
}

static uint32_t
new_place(struct prepare *p, uint32_t thread)
{
    struct heap_of_places *own = &p->own[thread];

    if (own->count > 0) {
        return own->places[--own->count];
    }
    if (p->queue.count - p->queue.first > QUEUE_LAG) {
        return pull(&p->queue);
    }
    if (p->place_count == UINT32_MAX) {
        tool_die(TOOL_INPUT, "the trace has more than %u blocks at once", UINT32_MAX);
    }
    p->places = tool_grow(p->places, p->place_count, &p->place_room, sizeof *p->places);
    p->places[p->place_count] = (struct place){0};
    return (uint32_t)p->place_count++;
}

/* The thread's next operation, to be filled in; NULL while only counting. */
static struct replay_op *
next_op(struct prepare *p, uint32_t thread, uint64_t time_ns)
{
    struct replay_thread *to = &p->threads[p->order[thread] - 1];
    uint64_t us = time_ns / 1000, wait = us - p->told_us[thread];
    struct replay_op *op;

    to->count++;
    p->told_us[thread] = us;
    if (p->file == NULL) {
        return NULL;
    }
    if (p->order[thread] > p->counted || to->count > p->totals[p->order[thread] - 1]) {
        tool_die(TOOL_INPUT, "the trace changed while it was read: is the program still running?");
    }
    p->ended += to->count == p->totals[p->order[thread] - 1];
    op = (struct replay_op *)(p->file + to->offset) + (to->count - 1);
    op->wait_us = wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait;
    return op;
}

static void
put_pace(struct prepare *p, const struct trace_event *e)
{
    struct replay_op *op;

    if (p->t.thread_count > 1 &&
        p->threads[p->order[e->thread] - 1].count % REPLAY_STRIDE == REPLAY_STRIDE - 1) {
        op = next_op(p, e->thread, e->time_ns);
        if (op != NULL) {
            op->code = REPLAY_PACE;
            op->size = p->head.ops;
        }
    }
}

static void
put_op(struct prepare *p, const struct trace_event *e, enum replay_code code, uint32_t at)
{
    struct place *place = &p->places[at];
    struct replay_op *op;

    put_pace(p, e);
    op = next_op(p, e->thread, e->time_ns);
    p->head.ops++;
    if (op != NULL) {
        op->place = at;
        op->code = (uint8_t)code;
        op->size = e->size;
        op->align_log2 = e->alignment < 2 ? 0 : (uint8_t)(64 - __builtin_clzll(e->alignment - 1));
        if (place->last != NULL && place->thread != e->thread + 1) {
            place->last->flags |= REPLAY_TELL;
            op->flags |= REPLAY_WAIT;
            op->turn = ++place->tells;
        }
        place->last = op;
    }
    place->thread = e->thread + 1;
}

static void
free_block(struct prepare *p, const struct trace_event *e, const struct trace_block *block)
{
    struct trace_event gone = *e;

    gone.size = gone.alignment = 0;
    p->live_bytes -= block->size;
    put_op(p, &gone, REPLAY_FREE, block->tag);
    push(block->thread == e->thread ? &p->own[e->thread] : &p->queue, block->tag);
}

static enum replay_code
code_of(const struct trace_event *e)
{
    switch (e->operation) {
    case TRACE_CALLOC:
        return REPLAY_CALLOC;
    case TRACE_ALIGNED:
        return REPLAY_ALIGNED;
    default:
        return REPLAY_MALLOC;
    }
}

/* A thread that appears is started by the one that was last heard of: by now it must run. */
static void
begin_thread(struct prepare *p, const struct trace_event *e)
{
    if (p->order[e->thread] != NOBODY) {
        return;
    }
    if (p->current != 0) {
        uint32_t ended = p->ended; /* without the one that starts it, which may do so last */
        struct replay_op *op = next_op(p, p->current - 1, e->time_ns);

        if (op != NULL) {
            op->code = REPLAY_START;
            op->place = p->head.threads;
            op->turn = ended;
        }
    }
    p->order[e->thread] = ++p->head.threads;
}

static void
take(struct prepare *p, const struct trace_event *e)
{
    struct trace_change c;

    begin_thread(p, e);
    p->current = e->thread + 1;
    c = trace_blocks_apply(&p->blocks, e);
    p->head.duration_us = e->time_ns / 1000;
    if (c.lost.address != 0) {
        free_block(p, e, &c.lost);
    }
    if (c.effect == TRACE_FREED) {
        free_block(p, e, &c.before);
    } else if (c.effect == TRACE_ALLOCATED) {
        c.now->tag = new_place(p, e->thread);
        put_op(p, e, code_of(e), c.now->tag);
    } else if (c.effect == TRACE_RESIZED) {
        p->live_bytes -= c.before.size;
        put_op(p, e, REPLAY_REALLOC, c.now->tag);
    }
    if (c.now != NULL) {
        p->live_bytes += c.now->size;
        p->head.allocated_bytes += c.now->size;
    }
    if (p->live_bytes > p->head.peak_live_bytes) {
        p->head.peak_live_bytes = p->live_bytes;
    }
}

/* Both times from the same beginning, so that they come to the same. */
static void
go_through(struct prepare *p)
{
    size_t threads = p->t.thread_count;
    struct trace_event e;

    trace_blocks_init(&p->blocks, &p->t);
    p->own = tool_alloc(threads * sizeof *p->own);
    p->told_us = tool_alloc(threads * sizeof *p->told_us);
    p->order = tool_alloc(threads * sizeof *p->order);
    p->head = (struct replay_head){REPLAY_MAGIC, REPLAY_VERSION, 0, 0, 0, 0, 0, 0};
    p->live_bytes = p->current = p->ended = 0;
    p->place_count = 0;
    trace_rewind(&p->t);
    while (trace_next(&p->t, &e)) {
        take(p, &e);
    }
    p->head.places = p->place_count;
    for (size_t i = 0; i < threads; i++) {
        free(p->own[i].places);
    }
    free(p->own);
    free(p->told_us);
    free(p->order);
    free(p->queue.places);
    p->queue = (struct heap_of_places){0};
    trace_blocks_free(&p->blocks);
}

/* Where each thread's operations begin, and the whole length; the counts begin anew. */
static uint64_t
lay_out(struct prepare *p)
{
    uint64_t at = sizeof p->head + p->head.threads * sizeof *p->threads;

    p->totals = tool_alloc(p->head.threads * sizeof *p->totals);
    p->counted = p->head.threads;
    for (uint32_t i = 0; i < p->head.threads; i++) {
        p->threads[i].offset = at;
        at += p->threads[i].count * sizeof(struct replay_op);
        p->totals[i] = p->threads[i].count;
        p->threads[i].count = 0;
    }
    return at;
}

/* Made anew, it would be gone before it is read. */
static void
refuse_same_file(const char *in, const char *out)
{
    struct stat a, b;

    if (stat(in, &a) == 0 && stat(out, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
        tool_die(TOOL_INPUT, "%s: is the trace itself: another name is needed", out);
    }
}

static void
write_file(struct prepare *p, const char *out)
{
    uint64_t bytes = lay_out(p);
    int fd = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), error;

    error = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);
    if (error == 0) {
        p->file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = p->file == MAP_FAILED ? errno : 0;
    }
    if (error != 0) {
        tool_die(TOOL_INPUT, "%s: cannot be written: %s", out, strerror(error));
    }
    go_through(p);
    memcpy(p->file, &p->head, sizeof p->head);
    memcpy(p->file + sizeof p->head, p->threads, p->head.threads * sizeof *p->threads);
    if (munmap(p->file, bytes) != 0 || close(fd) != 0) {
        tool_die(TOOL_INPUT, "%s: not everything could be written: %s", out, strerror(errno));
    }
}

int
trace_prepare(const char *path, const char *out)
{
    struct prepare p = {0};
    int status;

    refuse_same_file(path, out);
    trace_read(&p.t, path);
    p.threads = tool_alloc(p.t.thread_count * sizeof *p.threads);
    go_through(&p);
    if (p.head.ops == 0) {
        tool_warn("%s: there is nothing in it to replay", path);
        status = TOOL_NOT_SO;
    } else {
        write_file(&p, out);
        status = TOOL_OK;
    }
    status = trace_verdict(&p.t, path) != TOOL_OK ? TOOL_INPUT : status;
    free(p.places);
    free(p.threads);
    free(p.totals);
    trace_close(&p.t);
    return status;
}
