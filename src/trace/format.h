/* SPDX-License-Identifier: MIT */
/*
 * The trace of a process's allocations, as libtidetrace.so writes it while the process runs.
 *
 *   file    = head (one page), then chunks, each of whole pages, to the end
 *   chunk   = struct trace_chunk, then its payload
 *
 * Numbers of fixed width are little-endian. Chunks are mapped files, so what was recorded is there
 * however the process ended. A chunk is filled with zeros when it is claimed: its payload ends at
 * `used` when it was closed, at the first zero when it was not (the process ended, or still runs).
 * What cannot be read as a chunk is passed over, page by page.
 *
 * TRACE_RECORDS: what one thread did, each chunk readable without the one before. A record is
 *
 *   code    one byte: the operation (TRACE_OPERATIONS), and flags. 0 is the end. Written last.
 *   seq     varint, with TRACE_FLAG_SEQ: how much further the sequence number is than the
 *           record's before (in the first one: than the chunk's); 1 without the flag
 *   ticks   varint, with TRACE_FLAG_TICKS: time since the record before; 0 without
 *   then, by operation (varints all; unsigned LEB128):
 *     MALLOC CALLOC         site size block
 *     ALIGNED               alignment site size block
 *     FREE, REALLOC_BEGIN   block
 *     REALLOC_END           site size block; block 0: it failed, and the old one is as it was, or
 *                           the size was 0 and it is freed
 *   site    not there with TRACE_FLAG_SITE: that of the record with a site before it (0 at first)
 *   block   its address rotated right by three bits, as the difference to the record's before (0 at
 *           first), zigzag: 0 -1 1 -2 are 0 1 2 3
 *
 * The order between threads is that of the sequence numbers, which are one counter of the process.
 * A free draws its number before the block is given to the malloc below, an allocation when it has
 * come from there: so an address that passes from a thread to another is first freed, then
 * allocated. A realloc is both, hence two records; between them the block has no address. Time
 * alone could not tell: its ticks are 256 ns, and clocks may have equal ones.
 *
 * Thread numbers count from 1. Thread 0 is all threads after their own end: what they free
 * while the C library takes them down.
 *
 * TRACE_SITES: struct trace_site each: sites `first`, `first` + 1, … Site 0 is the rest when the
 * table was full.
 *
 * TRACE_MODULES: executable mappings, struct trace_module and behind it build-id and path, filled
 * up to eight bytes.
 */
#ifndef TIDE_TRACE_FORMAT_H
#define TIDE_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC "\x89TRACE\n\x1a"
#define TRACE_MAGIC_BYTES 8
#define TRACE_VERSION 2
#define TRACE_PAGE 4096u
#define TRACE_TICK_SHIFT 8 /* a tick is 256 ns */
#define TRACE_CHUNK_MAGIC 0x4b434454u
#define TRACE_CHUNK_MAX (64u << 10)
#define TRACE_BUILD_ID_MAX 64u
#define TRACE_PATH_MAX 1024u

enum trace_operation {
    TRACE_END = 0,
    TRACE_MALLOC = 1,
    TRACE_FREE = 2,
    TRACE_CALLOC = 3,
    TRACE_ALIGNED = 4,
    TRACE_REALLOC_BEGIN = 5,
    TRACE_REALLOC_END = 6,
    TRACE_OPERATIONS = 7, /* also the bits of the code that hold one */

    TRACE_FLAG_SEQ = 0x08,
    TRACE_FLAG_TICKS = 0x10,
    TRACE_FLAG_SITE = 0x20,
    TRACE_FLAG_OPERATOR = 0x40, /* C++: new or delete */
};

enum trace_kind { TRACE_RECORDS = 1, TRACE_SITES = 2, TRACE_MODULES = 3 };

enum trace_stop {
    TRACE_RUNNING = 0,   /* recorded to the end, whatever that was */
    TRACE_STOP_SIZE = 1, /* as large as it may be */
    TRACE_STOP_FILE = 2, /* the file could not be made longer */
};

struct trace_head {
    char magic[TRACE_MAGIC_BYTES];
    uint32_t version;
    uint32_t tick_ns;
    uint32_t pid;
    uint32_t stop;          /* enum trace_stop */
    uint64_t stop_seq;      /* with a stop: what has a higher number does not count */
    uint64_t start_real_ns; /* since 1970 */
    uint64_t start_tick;
    uint64_t first_seq; /* numbers are above it: a forked child counts on from its parent's */
    uint64_t lost;      /* calls from signal handlers that came while a record was written */
    char program[512];
    char command[2048]; /* arguments, each with an end mark */
};

struct trace_chunk {
    uint32_t magic;
    uint32_t kind;   /* enum trace_kind */
    uint64_t offset; /* where it is in the file: no payload says that by accident */
    uint32_t bytes;  /* of it all, whole pages */
    uint32_t used;   /* of the payload, once it is closed; before 0 */
    uint32_t thread; /* TRACE_RECORDS */
    uint32_t tid;
    uint64_t first; /* TRACE_RECORDS: sequence number before; TRACE_SITES: number of the first */
    uint64_t tick;  /* TRACE_RECORDS: time before */
    uint64_t sum;   /* trace_sum() of what is used, once it is closed */
    uint64_t spare;
};

/* Who calls: cheap to know, and more than the return address alone says where everything is
 * allocated by one function of the program's own. */
struct trace_site {
    uint64_t caller; /* return address */
    uint32_t height; /* of the thread's stack there, bytes / 16, as of one function; 0: unknown */
    uint32_t spare;
};

struct trace_module {
    uint32_t bytes; /* with what is behind it; 0: none. Written last. */
    uint16_t build_id_bytes;
    uint16_t path_bytes;
    uint64_t start;
    uint64_t end;
    uint64_t file_offset;
};

/* A checksum over whole words (the rest of the last one is zeros): 2 µs for a chunk, where a CRC
 * without a table of its own would take the recording thread 100. */
static inline uint64_t
trace_sum(const void *bytes, uint32_t used)
{
    const unsigned char *at = (const unsigned char *)bytes;
    uint64_t sum = used, word;

    for (uint32_t i = 0; i < used; i += 8) {
        word = 0;
        __builtin_memcpy(&word, at + i, used - i < 8 ? used - i : 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    return sum;
}

#endif
