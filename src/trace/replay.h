/* SPDX-License-Identifier: MIT */
/*
 * A trace made ready to be replayed (`tide trace --prepare`, bench/replay): blocks are numbered
 * places, and each operation says whom it has to wait for, so that replaying looks nothing up.
 *
 *   file = struct replay_head, struct replay_thread of each thread, operations
 *
 * Numbers are little-endian. An operation with REPLAY_WAIT follows one of another thread on the
 * same place, which has REPLAY_TELL: it waits until there were `turn` of those on the place. All
 * others are on places that only their own thread knows meanwhile.
 *
 * Two operations keep threads together that wait for each other in the program without a trace of
 * it: REPLAY_START for the end of threads that had ended, REPLAY_PACE for the others' operations.
 * Whoever waits does so for operations that are earlier in the trace, so somebody can always go on.
 */
#ifndef TIDE_TRACE_REPLAY_H
#define TIDE_TRACE_REPLAY_H

#include <stdint.h>

#define REPLAY_MAGIC "\x89PLAY\r\n\x1a"
#define REPLAY_MAGIC_BYTES 8
#define REPLAY_VERSION 1

enum replay_code {
    REPLAY_MALLOC = 1,
    REPLAY_FREE = 2,
    REPLAY_CALLOC = 3,
    REPLAY_ALIGNED = 4,
    REPLAY_REALLOC = 5,
    REPLAY_START = 6, /* a thread: its number is the place; `turn` threads have ended before */
    REPLAY_PACE = 7,  /* every REPLAY_STRIDE operations: `size` of all threads come before */
    REPLAY_CODES = 8,
};

enum { REPLAY_STRIDE = 256 };

enum replay_flag { REPLAY_WAIT = 1, REPLAY_TELL = 2 };

struct replay_op {
    uint32_t place;
    uint32_t turn;
    uint64_t size;
    uint32_t wait_us; /* since the thread's operation before */
    uint8_t code;
    uint8_t flags;
    uint8_t align_log2;
    uint8_t spare;
};

struct replay_thread {
    uint64_t offset; /* of its first operation in the file */
    uint64_t count;
};

struct replay_head {
    char magic[REPLAY_MAGIC_BYTES];
    uint32_t version;
    uint32_t threads; /* the first begins by itself, each other is started by one */
    uint64_t places;
    uint64_t ops; /* but for REPLAY_START and REPLAY_PACE */
    uint64_t allocated_bytes;
    uint64_t peak_live_bytes;
    uint64_t duration_us;
};

#endif
