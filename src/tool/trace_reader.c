/* SPDX-License-Identifier: MIT */
/*
 * Reads traces. Chunks are found first, then the threads' chunks are read beside each other, one
 * buffer a thread, and records handed out by their sequence numbers: a heap has the threads by what
 * they have next. A thread's first chunk is read when its turn comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/trace.h"

/* More ticks than this between two records (3 years) are damage. */
#define TICKS_MAX ((uint64_t)1 << 38)

struct trace_index {
    struct trace_chunk chunk;
    uint64_t at; /* in the file */
    uint32_t payload;
    uint32_t thread; /* index */
};

struct trace_cursor {
    size_t chunk, last; /* its chunks: those from here on, up to that */
    unsigned char *bytes;
    size_t used, at;
    uint64_t tick, block;
    uint32_t site;
    uint64_t seq; /* of the last record, then of what comes at the earliest */
    struct trace_event next;
    bool has_next;
};

static void TIDE_PRINTF(3, 4) complain(struct trace *t, uint64_t offset, const char *format, ...)
{
    va_list arguments;

    if (t->problem.count++ == 0) {
        t->problem.offset = offset;
        va_start(arguments, format);
        vsnprintf(t->problem.text, sizeof t->problem.text, format, arguments);
        va_end(arguments);
    }
}

/* Bytes read: fewer at the end of the file. */
static size_t
read_at(const struct trace *t, uint64_t at, void *to, size_t bytes)
{
    size_t done = 0;
    ssize_t n = 1;

    while (done < bytes && n > 0) {
        n = pread(t->fd, (char *)to + done, bytes - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return done;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

static bool
is_chunk(const struct trace_chunk *c, uint64_t at)
{
    return c->magic == TRACE_CHUNK_MAGIC && c->offset == at && c->kind >= TRACE_RECORDS &&
           c->kind <= TRACE_MODULES && c->bytes >= TRACE_PAGE && c->bytes <= TRACE_CHUNK_MAX &&
           c->bytes % TRACE_PAGE == 0 && c->used <= c->bytes - sizeof *c;
}

/* The payload of a chunk, into a buffer of TRACE_CHUNK_MAX; 0: nothing of it is good. */
static size_t
load(struct trace *t, const struct trace_index *i, unsigned char *to)
{
    size_t n = read_at(t, i->at + sizeof i->chunk, to, i->payload);

    if (i->chunk.used != 0 &&
        (n != i->chunk.used || trace_sum(to, i->chunk.used) != i->chunk.sum)) {
        complain(t, i->at, "a chunk's checksum is wrong");
        return 0;
    }
    return n;
}

static void
take_sites(struct trace *t, const struct trace_index *i, const unsigned char *bytes, size_t n)
{
    uint64_t number = i->chunk.first;
    struct trace_site site;

    for (size_t at = 0; at + sizeof site <= n; at += sizeof site, number++) {
        memcpy(&site, bytes + at, sizeof site);
        if (site.caller == 0) {
            return;
        }
        /* Numbers follow each other, so there are no more of them than the file has bytes. */
        if (number == 0 || number > t->bytes / sizeof site) {
            complain(t, i->at, "a site's number is out of range");
            return;
        }
        while (t->site_count <= number) {
            t->sites = tool_grow(t->sites, t->site_count, &t->site_room, sizeof *t->sites);
            t->sites[t->site_count++] = (struct trace_site){0};
        }
        t->sites[number] = site;
    }
}

static void
take_modules(struct trace *t, const struct trace_index *i, const unsigned char *bytes, size_t n)
{
    struct trace_module m;

    for (size_t at = 0; at + sizeof m <= n; at += m.bytes) {
        const unsigned char *texts = bytes + at + sizeof m;
        struct trace_place *place;

        memcpy(&m, bytes + at, sizeof m);
        if (m.bytes == 0) {
            return;
        }
        if (m.bytes > n - at || sizeof m + m.build_id_bytes + m.path_bytes > m.bytes ||
            m.build_id_bytes > TRACE_BUILD_ID_MAX || m.path_bytes > TRACE_PATH_MAX) {
            complain(t, i->at, "a module is longer than its place");
            return;
        }
        t->modules = tool_grow(t->modules, t->module_count, &t->module_room, sizeof *t->modules);
        place = &t->modules[t->module_count++];
        *place = (struct trace_place){m.start, m.end, m.file_offset, NULL, NULL, m.build_id_bytes};
        place->build_id =
            (unsigned char *)tool_pool_text(&t->pool, (const char *)texts, m.build_id_bytes);
        place->path =
            tool_pool_text(&t->pool, (const char *)texts + m.build_id_bytes, m.path_bytes);
    }
}

static void
take_chunk(struct trace *t, struct trace_index *i, unsigned char *buffer)
{
    size_t n;

    i->payload = i->chunk.used != 0 ? i->chunk.used : i->chunk.bytes - (uint32_t)sizeof i->chunk;
    if (i->at + i->chunk.bytes > t->bytes) {
        complain(t, t->bytes, "the file is cut off");
    }
    if (i->chunk.kind == TRACE_RECORDS) {
        t->chunks = tool_grow(t->chunks, t->chunk_count, &t->chunk_room, sizeof *t->chunks);
        t->chunks[t->chunk_count++] = *i;
        return;
    }
    n = load(t, i, buffer);
    if (i->chunk.kind == TRACE_SITES) {
        take_sites(t, i, buffer, n);
    } else {
        take_modules(t, i, buffer, n);
    }
}

static bool
is_zero(const struct trace_chunk *c)
{
    static const struct trace_chunk zero;

    return memcmp(c, &zero, sizeof zero) == 0;
}

static void
find_chunks(struct trace *t)
{
    unsigned char *buffer = tool_alloc(TRACE_CHUNK_MAX);
    uint64_t at = TRACE_PAGE;
    bool lost = false;

    while (at < t->bytes) {
        struct trace_index i = {.at = at};

        if (read_at(t, at, &i.chunk, sizeof i.chunk) == sizeof i.chunk && is_chunk(&i.chunk, at)) {
            take_chunk(t, &i, buffer);
            at += i.chunk.bytes;
            lost = false;
            continue;
        }
        /* Zeros are a chunk whose process ended when it had just claimed it. */
        if (!lost && !is_zero(&i.chunk)) {
            complain(t, at, "there is no chunk where one should begin");
            lost = true;
        }
        at += TRACE_PAGE;
    }
    free(buffer);
}

static int
compare_chunks(const void *a, const void *b)
{
    const struct trace_index *x = a, *y = b;

    if (x->chunk.thread != y->chunk.thread) {
        return x->chunk.thread < y->chunk.thread ? -1 : 1;
    }
    return x->at < y->at ? -1 : x->at > y->at;
}

static void
make_threads(struct trace *t)
{
    if (t->chunk_count > 0) {
        qsort(t->chunks, t->chunk_count, sizeof *t->chunks, compare_chunks);
    }
    t->threads = tool_alloc(t->chunk_count * sizeof *t->threads);
    for (size_t i = 0; i < t->chunk_count; i++) {
        if (i == 0 || t->chunks[i].chunk.thread != t->chunks[i - 1].chunk.thread) {
            t->threads[t->thread_count++] = t->chunks[i].chunk.thread;
        }
        t->chunks[i].thread = (uint32_t)t->thread_count - 1;
    }
    t->cursors = tool_alloc(t->thread_count * sizeof *t->cursors);
    t->heap = tool_alloc(t->thread_count * sizeof *t->heap);
}

/* ---- Records --------------------------------------------------------------------------------- */

static bool
take_varint(struct trace_cursor *c, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->used; shift += 7) {
        unsigned char byte = c->bytes[c->at++];

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The rest of a record behind its code. False: it is none. */
static bool
decode(const struct trace *t, struct trace_cursor *c, unsigned code)
{
    uint64_t seq = 1, ticks = 0, site = c->site, block;
    struct trace_event *e = &c->next;

    *e = (struct trace_event){.operation = (enum trace_operation)(code & TRACE_OPERATIONS)};
    e->is_operator = (code & TRACE_FLAG_OPERATOR) != 0;
    if ((code & TRACE_FLAG_SEQ) != 0 && !take_varint(c, &seq)) {
        return false;
    }
    if ((code & TRACE_FLAG_TICKS) != 0 && !take_varint(c, &ticks)) {
        return false;
    }
    if (e->operation == TRACE_ALIGNED && !take_varint(c, &e->alignment)) {
        return false;
    }
    if (e->operation != TRACE_FREE && e->operation != TRACE_REALLOC_BEGIN) {
        if ((code & TRACE_FLAG_SITE) == 0 && !take_varint(c, &site)) {
            return false;
        }
        if (!take_varint(c, &e->size)) {
            return false;
        }
    }
    if (!take_varint(c, &block) || e->operation == TRACE_OPERATIONS || code >= 0x80 ||
        ticks > TICKS_MAX || seq == 0 || c->seq > UINT64_MAX - seq) {
        return false;
    }
    c->seq += seq;
    c->tick += ticks;
    c->site = (uint32_t)site;
    c->block += block >> 1 ^ -(block & 1);
    e->seq = c->seq;
    e->time_ns =
        c->tick < t->head.start_tick ? 0 : (c->tick - t->head.start_tick) << TRACE_TICK_SHIFT;
    e->site = site < t->site_count ? c->site : 0;
    e->address = c->block << 3 | c->block >> 61;
    return true;
}

/* The cursor's next chunk. False: there is none. */
static bool
next_chunk(struct trace *t, struct trace_cursor *c)
{
    while (c->chunk < c->last) {
        const struct trace_index *i = &t->chunks[c->chunk++];

        if (i->chunk.first < c->seq || i->chunk.tick < t->head.start_tick ||
            i->chunk.tick - t->head.start_tick > TICKS_MAX) {
            complain(t, i->at, "a chunk is older than the one before it");
            continue;
        }
        if (c->bytes == NULL) {
            c->bytes = tool_alloc(TRACE_CHUNK_MAX);
        }
        c->used = load(t, i, c->bytes);
        c->at = 0;
        c->seq = i->chunk.first;
        c->tick = i->chunk.tick;
        c->block = c->site = 0;
        if (c->used > 0) {
            return true;
        }
    }
    return false;
}

static bool
advance(struct trace *t, struct trace_cursor *c, uint32_t thread)
{
    for (;;) {
        unsigned code = c->at < c->used ? c->bytes[c->at] : 0;

        if (code == 0) {
            if (!next_chunk(t, c)) {
                free(c->bytes);
                c->bytes = NULL;
                c->has_next = false;
                return false;
            }
            continue;
        }
        c->at++;
        if (decode(t, c, code)) {
            break;
        }
        complain(t, t->chunks[c->chunk - 1].at, "a record makes no sense");
        c->at = c->used;
    }
    c->next.thread = thread;
    c->has_next = true;
    return true;
}

/* ---- Order ----------------------------------------------------------------------------------- */

static uint64_t
key(const struct trace *t, size_t i)
{
    return t->cursors[t->heap[i]].seq;
}

static void
sift_down(struct trace *t, size_t i)
{
    for (;;) {
        size_t least = i, child = 2 * i + 1;

        if (child < t->heap_count && key(t, child) < key(t, least)) {
            least = child;
        }
        if (child + 1 < t->heap_count && key(t, child + 1) < key(t, least)) {
            least = child + 1;
        }
        if (least == i) {
            return;
        }
        uint32_t other = t->heap[least];
        t->heap[least] = t->heap[i];
        t->heap[i] = other;
        i = least;
    }
}

void
trace_rewind(struct trace *t)
{
    size_t chunk = 0;

    t->heap_count = t->thread_count;
    for (size_t i = 0; i < t->thread_count; i++) {
        struct trace_cursor *c = &t->cursors[i];

        free(c->bytes);
        *c = (struct trace_cursor){.chunk = chunk};
        while (chunk < t->chunk_count && t->chunks[chunk].thread == i) {
            chunk++;
        }
        c->last = chunk;
        c->seq = t->chunks[c->chunk].chunk.first;
        t->heap[i] = (uint32_t)i;
    }
    for (size_t i = t->heap_count; i-- > 0;) {
        sift_down(t, i);
    }
}

bool
trace_next(struct trace *t, struct trace_event *e)
{
    while (t->heap_count > 0) {
        struct trace_cursor *c = &t->cursors[t->heap[0]];
        bool has = c->has_next;

        if (has) {
            *e = c->next;
        }
        if (!advance(t, c, t->heap[0])) {
            t->heap[0] = t->heap[--t->heap_count];
        }
        sift_down(t, 0);
        if (has && (t->head.stop == TRACE_RUNNING || e->seq <= t->head.stop_seq)) {
            return true;
        }
    }
    return false;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static bool
refuse(struct trace *t, const char *why)
{
    complain(t, 0, "%s", why);
    close(t->fd);
    return false;
}

bool
trace_open(struct trace *t, int fd)
{
    struct stat status;
    size_t n;

    *t = (struct trace){.fd = fd};
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return refuse(t, "it is no file");
    }
    t->bytes = (uint64_t)status.st_size;
    n = read_at(t, 0, &t->head, sizeof t->head);
    if (n < TRACE_MAGIC_BYTES || memcmp(t->head.magic, TRACE_MAGIC, TRACE_MAGIC_BYTES) != 0) {
        return refuse(t, "it is no trace of allocations");
    }
    if (n < sizeof t->head) {
        return refuse(t, "it is cut off within its head");
    }
    if (t->head.version != TRACE_VERSION) {
        complain(
            t, TRACE_MAGIC_BYTES,
            "it is of version %u, and this tool reads version %u: take the tool that came with "
            "the library",
            t->head.version, TRACE_VERSION);
        return refuse(t, "");
    }
    if (t->head.tick_ns != 1u << TRACE_TICK_SHIFT) {
        return refuse(t, "its clock is none that this version has");
    }
    t->head.program[sizeof t->head.program - 1] = '\0';
    t->head.command[sizeof t->head.command - 1] = '\0';
    find_chunks(t);
    make_threads(t);
    trace_rewind(t);
    return true;
}

void
trace_close(struct trace *t)
{
    for (size_t i = 0; i < t->thread_count; i++) {
        free(t->cursors[i].bytes);
    }
    free(t->cursors);
    free(t->heap);
    free(t->threads);
    free(t->chunks);
    free(t->sites);
    free(t->modules);
    tool_pool_free(&t->pool);
    close(t->fd);
    *t = (struct trace){.fd = -1};
}

void
trace_read(struct trace *t, const char *path)
{
    int fd = tool_open_file(AT_FDCWD, path, NULL);

    if (fd < 0) {
        tool_die(TOOL_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (!trace_open(t, fd)) {
        tool_die(TOOL_INPUT, "%s: %s", path, t->problem.text);
    }
}

int
trace_verdict(const struct trace *t, const char *path)
{
    if (t->problem.count == 0) {
        return TOOL_OK;
    }
    tool_warn("%s: damaged at byte %llu: %s%s; what could be read is shown", path,
              (unsigned long long)t->problem.offset, t->problem.text,
              t->problem.count > 1 ? ", and more" : "");
    return TOOL_INPUT;
}
