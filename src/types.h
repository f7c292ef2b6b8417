/* SPDX-License-Identifier: MIT */
/*
 * Read me first. The words, the structures and who may touch which field.
 *
 *   os page  4 KiB, the kernel's unit
 *   slice    32 KiB, the unit of metadata look-up: one record of 64 bytes each
 *   chunk    2 MiB = 64 slices, aligned to itself: the unit of growth, huge pages, page-out
 *   span     a run of slices that serves one size class, or one large block
 *   block    what the user gets
 *   heap     one thread's view: a bin per size class, its current span, spans with room
 *   bin      the blocks a heap hands out next for one class
 *   front    what the hot paths touch of a heap, in its thread's static TLS: the bins
 *   lent     a full span: its owner's frees go to the bin, another thread's first free takes it
 *   over
 *   pool     per class, the spans that belong to nobody and have room; anyone may claim one
 *   keeper   the background thread
 *   lane     predicted lifetime class; one lane, `default`, so far
 *
 *   address:  base + | chunk | slice in chunk (6 bits) | byte in slice (15 bits) |
 *
 * A freed block holds {next, next + its own address + the process's guard word}: whoever pops it
 * sees an overwritten link at once, and whoever frees it sees that it was free already. (Its
 * address, so that a stale link copied elsewhere does not make a good block look freed.) Lists end
 * in a list end, whose words are zero and fail the same test: empty, damaged and uninitialised
 * are one compare.
 */
#ifndef TIDE_TYPES_H
#define TIDE_TYPES_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/lock.h"
#include "size_class.h"

enum {
    SLICE_SHIFT = 15,
    CHUNK_SHIFT = 21,
    CHUNK_SLICES = 1 << (CHUNK_SHIFT - SLICE_SHIFT),
};
#define SLICE_BYTES ((size_t)1 << SLICE_SHIFT)
#define CHUNK_BYTES ((size_t)1 << CHUNK_SHIFT)
TIDE_STATIC_ASSERT(CHUNK_SLICES == 64, "a chunk's slices are the bits of a uint64_t");

typedef struct block {
    struct block *next;
    uintptr_t guard; /* next + block + heap_guards.word while free; 0 once handed out */
} block_t;

/*
 * What lists end in. Any will do (chains that come from another thread end in that one's); a thread
 * uses the same one for all that it begins, apart from other threads' and from all else: malloc
 * finds an empty bin by a branch that is predicted the other way, and what is done in vain until
 * then includes the store to the block that it would hand out, for which the processor asks for the
 * line, to write. Nobody ever writes there.
 */
#define LIST_ENDS 16u
typedef struct list_end {
    block_t block; /* const: both words 0 */
} TIDE_ALIGNED(TIDE_LINE_PAIR) list_end_t;

extern TIDE_HIDDEN list_end_t list_ends[LIST_ENDS];

TIDE_HOT bool
is_list_end(const block_t *block)
{
    return (uintptr_t)block - (uintptr_t)list_ends < sizeof list_ends;
}

typedef struct heap heap_t;

/*
 * A heap's key is its number, in the bits that no address has; a thread that has not allocated has
 * the empty heap, key 0.
 *
 * A span's owner word is that key plus the offset of its class's bin in the front: one load tells
 * free whether the span is the calling thread's and where the block goes. The two cannot be two
 * loads: another thread may take over a lent span between them. Less the front's origin, which is
 * the key less the front's address, it is the bin's address; that of another heap is none at all.
 */
#define HEAP_ALIGN ((uintptr_t)4096)
#define HEAP_KEY_SHIFT 48
#define HEAP_KEY(number) ((uintptr_t)(number) << HEAP_KEY_SHIFT)
#define OWNER_KEY(owner) ((owner)&HEAP_KEY(0xffff))
#define OWNER_BIN_MASK ((uintptr_t)0x7f0)
#define OWNER_BIN(owner) ((owner)&OWNER_BIN_MASK)
/* Frees go to the span's own list, not to the bin: it has room, or it is the one its heap allocates
 * from and the bin is full. Without it the span is that one, or it is used up, and lent: another
 * thread may own it by now. */
#define OWNER_DIRECT ((uintptr_t)0x800)
#define OWNER_NOBODY_KEY HEAP_KEY(0xffff)
/* Nobody's, and no class's either: large, cold, or no span at all. Bin 0 never has room. */
#define OWNER_NOBODY OWNER_NOBODY_KEY
/* The profile's: its blocks are sampled. */
#define OWNER_SAMPLED_KEY HEAP_KEY(0xfffe)
#define OWNER_SAMPLED OWNER_SAMPLED_KEY
/* Heaps have the numbers from 1 to this. */
#define HEAP_NUMBER_MAX 0xfffdu

/* The blocks a heap hands out next for one class: the last ones freed, and what refills brought. */
typedef struct bin {
    block_t *head; /* owner: never NULL; a list end when empty */
    int32_t left;  /* owner: frees until a look << 16, plus how many more blocks it takes */
    uint32_t open; /* owner: full, it passes its blocks on to other threads; see heap/transfer.h */
} bin_t;

/* What a free takes of bin.left; an allocation adds 1. See heap/sample.h. */
#define BIN_LOOK 0x10000
#define BIN_FREE (BIN_LOOK + 1)

/* The hot paths' half of a heap. In TLS: neither has to look for it. */
typedef struct heap_front {
    bin_t none;                   /* that of 0 bytes, and of no class: empty, and without room */
    bin_t bins[TIDE_CLASS_COUNT]; /* owner: */
    uintptr_t origin;             /* owner: owner word less this: the bin; see OWNER_KEY */
    uintptr_t reach;              /* owner: such addresses below this take blocks; see below */
    heap_t *heap;                 /* owner: never NULL; &heap_empty */
    block_t *end;                 /* owner: what its lists end in */
    uint8_t lookup[TIDE_FRONT_LOOKUP_LEN]; /* const: TIDE_FRONT_LOOKUP */
} heap_front_t;
/* Where a class's bin is in the front: 8 times its entry in the look-up table. */
#define BIN_OFFSET(size_class) (((size_t)(size_class) + 1) * sizeof(bin_t))
TIDE_STATIC_ASSERT(BIN_OFFSET(TIDE_CLASS_COUNT) <= OWNER_BIN_MASK, "an owner word holds it");

/* Bins take blocks of the heap's own spans that are not direct. */
#define FRONT_STRICT(front) ((uintptr_t)(front) + OWNER_DIRECT)
/* Without a heap they take none: no owner word less this is below FRONT_STRICT(NULL). */
#define FRONT_NO_ORIGIN ((uintptr_t)1)
/* There is an open bin, which takes those of all spans: heap_free_open sees to it. The heap frees
 * many blocks of other heaps' spans of the class; to ask would be a coin toss, whose misprediction
 * stops the loads of the next blocks. */
#define FRONT_OPEN ((uintptr_t)0)

typedef struct span span_t;

/*
 * One per slice of the reservation: the one line that free reads. It is found by address bits
 * alone, without asking whether the address is ours: the table is read-only zero pages where
 * nothing was written, and a zero record takes no block. See space_slice_at.
 */
typedef struct slice {
    uintptr_t owner;     /* atomic(relaxed): see OWNER_KEY; OWNER_NOBODY */
    char *start;         /* const while a small span has it: the span's first byte */
    uint64_t reciprocal; /* likewise: see block_mark */
    uint64_t marks;      /* owner-w/any-r: the mark of the span's first block not linked yet */
    span_t *span;        /* atomic(relaxed): NULL: never used */
} TIDE_ALIGNED(TIDE_CACHE_LINE) slice_t;
#define SLICE_RECORD_SHIFT 6
TIDE_STATIC_ASSERT(sizeof(slice_t) == (size_t)1 << SLICE_RECORD_SHIFT, "found by a shift");

/*
 * The remote word: everything other threads do to a span goes through this one word, so each
 * step is one atomic operation and no state is seen half changed.
 *
 *   bits  0..31  offset of the first remotely freed block in units of 16 bytes, plus 1; 0: none
 *   bits 32..47  how many are chained there
 *   bits 48..49  enum span_state
 */
enum span_state {
    SPAN_OWNED = 0,  /* span.owner (or the keeper, or nobody for a moment) works on it alone */
    SPAN_FULL = 1,   /* no block on its list; lent, or nobody's: the next other thread owns it */
    SPAN_POOLED = 2, /* in its class's pool; free blocks on its own list */
    SPAN_COLD = 3,   /* in the pool; free blocks only in the bitmap; frees write no data */
};

enum span_kind {
    SPAN_NONE = 0, /* the one record that stands for slices without a span */
    SPAN_SMALL = 1,
    SPAN_LARGE = 2,
    SPAN_SAMPLED = 3, /* a small one whose blocks are all sampled */
};

/*
 * One record per span, out of line and type-stable: a record is reused for spans only, so a stale
 * pointer reads a valid (if different) span and the remote word tells.
 *
 * Who may touch it: `owner:` fields belong to the thread whose heap its slices' owner word names;
 * while that is nobody, to whoever moved the remote word to SPAN_OWNED. `pool:` fields are under
 * the class's pool lock. Handing over is a release CAS on `remote`, taking over an acquire CAS.
 *
 * Counting identity (small): live + |own list| + |blocks in bitmap| == linked, where live counts
 * every block that is not known to the span as free: those in bins, in rings and on the remote
 * chain, too. live == left + live_floor while owned, pool_live in the pool, capacity when full.
 */
struct span {
    /* the line of direct frees and refills */
    block_t *own;        /* owner: free blocks, a list end when none */
    char *start;         /* const: first byte, slice-aligned */
    uint32_t left;       /* owner: live - live_floor; free takes a look when it reaches 0 */
    uint32_t block_size; /* const: bytes; 0 for large */
    uint32_t linked;     /* owner-w/any-r: blocks ever handed to a list; the rest is fresh */
    uint16_t live_floor; /* owner: see left */
    uint8_t size_class;  /* const: */
    uint8_t kind;        /* const: enum span_kind */

    /* the line that other threads write to */
    uint64_t remote TIDE_ALIGNED(TIDE_CACHE_LINE); /* atomic: see above */
    struct span *next; /* owner or pool: neighbour in the heap's or the pool's list */
    struct span *previous;
    uint64_t *bitmap;      /* owner or pool: one bit per block, set = free and on no list */
    size_t bytes;          /* large: usable bytes, os pages; owner of the block */
    uint32_t bitmap_count; /* owner or pool: bits set */
    uint32_t capacity;     /* const: blocks */
    uint32_t slice_count;  /* const for small; large: grows and shrinks in place (arena lock) */
    union {
        uint32_t touched_slices; /* large: slices that may hold pages (growth room is clean) */
        uint32_t pool_live;      /* atomic(relaxed), pool: live blocks, remote ones included */
    };
    uint16_t pool_epoch; /* pool: keeper tick of the last change */
    uint8_t zero;        /* const: the fresh tail reads as zero */
    uint8_t flags;       /* owner or pool: enum span_flags */
};
TIDE_STATIC_ASSERT(sizeof(span_t) == 2 * TIDE_CACHE_LINE, "one line for the owner, one for others");

enum span_flags {
    SPAN_FLAG_ON_LIST = 2, /* owner: linked into the heap's list of spans with room */
    SPAN_FLAG_STALE = 4,   /* pool: cold, but blocks were freed in it since it was cooled */
    SPAN_FLAG_CUT = 8,     /* large: realloc made it shorter */
    SPAN_FLAG_GREW = 16,   /* large: realloc made it longer after that, and may once more */
};

/* Frees of other threads' blocks wait here, coalesced per span, until one atomic takes them. */
#define HEAP_RING_LEN 128u
typedef struct remote_batch {
    span_t *span;   /* owner: NULL when empty */
    block_t *head;  /* owner: */
    block_t *tail;  /* owner: */
    uint32_t count; /* owner: */
    uint32_t pad;
} remote_batch_t;

/* A heap keeps freed large blocks of up to this many slices, at most 320 KiB in all: taking and
 * giving them through the arena costs four lock operations a pair. */
#define HEAP_LARGE_CACHE 4u
#define HEAP_LARGE_KEPT_MAX (HEAP_LARGE_CACHE * SLICE_BYTES)
#define HEAP_LARGE_KEPT_SLICES 10u /* in all */

/* Empty spans of one slice a heap keeps for its next span of whatever class: so many, and as
 * many as it lately had in use. A phase that frees and makes spans all the time then does so
 * without the arena's locks. The keeper takes away what a heap did not need between two passes,
 * another heap takes one rather than memory that has no pages yet. */
#define HEAP_SPARE_SPANS 16u
typedef struct spare_spans {
    lock_t lock;    /* rank spare: the owner, the keeper, and heaps in want of one */
    uint32_t count; /* lock */
    span_t *first;  /* lock */
    uint32_t low;   /* lock: the least there were since the keeper looked */
    uint32_t made;  /* owner: spans made and not released, of late */
    uint32_t peak;  /* owner: the most of that, of late */
} spare_spans_t;

#define HEAP_SPANS_MOST 15u

typedef struct heap_class {
    span_t *current;   /* owner: refills come from it; on no list */
    span_t *with_room; /* owner: other spans of this heap that have free blocks, latest first */
    span_t *oldest;    /* owner: the last of them */
    block_t *aside;    /* owner: the chain an open bin was full of before; NULL: none */
    int32_t ahead;     /* owner: the block to be marked is the so manieth to come into the bin,
                         * counted from its next look; see bin_until. Of no meaning while quiet */
    int32_t armed;     /* owner: what bin.left was when it was last armed */
    uint32_t with_room_count;
    uint16_t foreign;      /* owner: of the bin: see transfer.h */
    uint8_t bin_more;      /* owner: blocks the bin takes beyond its class's bin_limit by now */
    uint8_t bin_full : 1;  /* owner: it took no more since the last refill */
    uint8_t had_spans : 1; /* owner: see span_from_arena */
    uint8_t spans : 4;     /* owner: made less released, near enough; see slices_of_next */
} heap_class_t;

/* Span records that fill up the first os page of a heap: those of a small thread's spans cost no
 * page then. Like all records they serve whatever span wants one. */
#define HEAP_RECORDS 2u

/* Counters of one heap: owner-w/any-r. */
typedef struct heap_counters {
    uint64_t refills;
    uint64_t claimed;
    uint64_t pooled;
    uint64_t pool_takes;
    uint64_t remote_batches;
    uint64_t remote_blocks;
    uint64_t spans_new;
    uint64_t spans_released;
    uint64_t large_allocs;
    uint64_t large_frees;
    uint64_t realloc_in_place;
    uint64_t realloc_moved;
    uint64_t realloc_copied;
    uint64_t zeroing_avoided_bytes;
} heap_counters_t;

/* How fast the heap's samples come; see sample.c. */
typedef struct sample_pace {
    uint64_t looked_ns; /* owner: when it was looked at; 0: never */
    int64_t credit;     /* owner: bytes that may be allocated faster than others are */
    uint32_t count;     /* owner: samples since then */
    uint32_t looks;     /* owner: looks at bins since then */
    uint32_t thinned;   /* owner: one sample in (rate << thinned) bytes */
} sample_pace_t;

/* Who allocates, while callers are noted (heap/callers.h): where malloc returns to, and the stack
 * there. Address 0: not known. */
struct heap_caller {
    uintptr_t address;
    uintptr_t frame;
};

/*
 * One per thread, from metadata, never unmapped; handed whole to the next thread when its thread
 * exits. What every thread uses comes first, and is one os page with the records of its first
 * spans; what follows is not touched before it has blocks of other threads, or ends.
 */
struct heap {
    bin_t *bins;                /* owner: its thread's front's, or resting_bins */
    uintptr_t key;              /* const: HEAP_KEY of its number */
    heap_t *next;               /* const after publish: list of all heaps */
    heap_t *next_idle;          /* lock(heaps): orphans, or empty heaps */
    uint32_t state;             /* lock(heaps) to write, relaxed to read: enum heap_state */
    uint32_t destructor_rounds; /* owner: */
    uint32_t trim_epoch;        /* owner: the last process-wide trim it answered */
    uint32_t ring_used;         /* owner: batches that are not empty */
    uint32_t collect_at;        /* owner: refills until the next look around */
    uint32_t orphan_tick;       /* lock(heaps): keeper tick at which it was orphaned */
    uint32_t open_bins;         /* owner: how many bins are open */
    uint32_t sample_epoch;      /* owner: the change of the sampling rate it follows */
    uint32_t quiet_epoch;       /* owner: the same while that means none; else no such change */
    uint64_t random;            /* owner: see random_next */
    int64_t large_until;        /* owner: bytes of large blocks until the next to be sampled */
    struct heap_caller caller;  /* owner: of the allocation under way */
    spare_spans_t spare;
    heap_counters_t counters;                  /* owner-w/any-r: */
    span_t *large_cache[HEAP_LARGE_CACHE + 1]; /* owner: by slices; freed large blocks */
    uint32_t large_kept;                       /* owner: slices of all of them */
    heap_class_t classes[TIDE_CLASS_COUNT];    /* owner: */
    span_t records[HEAP_RECORDS];              /* not the heap's: see HEAP_RECORDS */
    bin_t resting_bins[TIDE_CLASS_COUNT];      /* owner: the bins while it has no thread */
    remote_batch_t ring[HEAP_RING_LEN];        /* owner: */
    sample_pace_t pace;                        /* owner: */
};
TIDE_STATIC_ASSERT(offsetof(heap_t, resting_bins) <= HEAP_ALIGN, "the rest is the first os page");

enum heap_state {
    HEAP_LIVE = 1,   /* a thread has it */
    HEAP_ORPHAN = 2, /* its thread ended; spans still owned by it */
    HEAP_EMPTY = 3,  /* owns nothing */
    HEAP_LOST = 4,   /* its thread did not survive a fork; never looked into again */
};

/* 2 MiB of the reservation. lock(arena) for all. */
typedef struct chunk {
    uint64_t free;    /* bit per slice: in no span */
    uint64_t dirty;   /* bit per slice: may hold pages (never: known to read as zero) */
    uint64_t seams;   /* bit per slice: a mapping may begin there, of pages moved to the chunk */
    uint32_t next[2]; /* neighbours in the bucket lists: [0] any run, [1] dirty run */
    uint32_t previous[2];
    uint8_t bucket[2];     /* longest free run / longest free dirty run: the list it is on */
    uint8_t kind;          /* enum chunk_kind */
    uint8_t committed : 1; /* exists below the frontier */
    uint8_t bare : 1;      /* held no pages when a block of several chunks took it */
    uint8_t split : 1;     /* was of huge pages until part of it was given back */
    uint32_t freed_tick;   /* keeper tick of the last slice freed */
} chunk_t;
TIDE_STATIC_ASSERT(sizeof(chunk_t) == 48, "a terabyte has half a million of these");

enum chunk_kind {
    CHUNK_SMALL_PAGES = 0, /* 4 KiB pages: sparse or early */
    CHUNK_HUGE_PAGES = 1,  /* one huge page: dense and lasting */
    CHUNK_KINDS = 2,
};

#endif
