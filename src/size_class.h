/* SPDX-License-Identifier: MIT */
/*
 * Sizes to classes. 16-byte steps to 256, then 8 classes per doubling (at most 12.5 % apart) to
 * 32 KiB; beyond that a block is a span of its own. The tables are constant.
 */
#ifndef TIDE_SIZE_CLASS_H
#define TIDE_SIZE_CLASS_H

#include "base/bits.h"

#define TIDE_SMALL_MAX ((size_t)32 << 10) /* largest size served from shared spans */
#define TIDE_CLASS_COUNT 72
#define TIDE_SPAN_SLICES_MAX 8u /* of any class */
#define TIDE_CLASS_STEP_SHIFT 4
#define TIDE_CLASS_LOOKUP_LEN ((TIDE_SMALL_MAX >> TIDE_CLASS_STEP_SHIFT) + 1)

/* The beginning of the look-up table, which every thread has in its front as well: sizes beyond are
 * a branch away, so it is long enough for those to be rare. */
#define TIDE_FRONT_SIZE_MAX ((size_t)4 << 10)
#define TIDE_FRONT_LOOKUP_LEN ((TIDE_FRONT_SIZE_MAX >> TIDE_CLASS_STEP_SHIFT) + 1)
#define TIDE_X2(v) v, v
#define TIDE_X4(v) TIDE_X2(v), TIDE_X2(v)
#define TIDE_X8(v) TIDE_X4(v), TIDE_X4(v)
#define TIDE_X16(v) TIDE_X8(v), TIDE_X8(v)
#define TIDE_FRONT_LOOKUP                                                                          \
    0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, TIDE_X2(34), TIDE_X2(36),       \
        TIDE_X2(38), TIDE_X2(40), TIDE_X2(42), TIDE_X2(44), TIDE_X2(46), TIDE_X2(48), TIDE_X4(50), \
        TIDE_X4(52), TIDE_X4(54), TIDE_X4(56), TIDE_X4(58), TIDE_X4(60), TIDE_X4(62), TIDE_X4(64), \
        TIDE_X8(66), TIDE_X8(68), TIDE_X8(70), TIDE_X8(72), TIDE_X8(74), TIDE_X8(76), TIDE_X8(78), \
        TIDE_X8(80), TIDE_X16(82), TIDE_X16(84), TIDE_X16(86), TIDE_X16(88), TIDE_X16(90),         \
        TIDE_X16(92), TIDE_X16(94), TIDE_X16(96)

struct size_class {
    uint64_t reciprocal; /* see block_mark */
    uint64_t step;       /* the mark of block 1 */
    uint32_t size;       /* bytes of a block */
    uint32_t capacity;   /* blocks in a span of that length */
    uint16_t slices;     /* slices in a span at most */
    uint16_t keep_live;  /* a span with this many live blocks or fewer belongs to the pool */
    uint8_t bin_limit;   /* blocks a bin takes beyond those of a refill, at first */
    uint8_t bin_most;    /* and at last, see bin_takes */
    uint16_t horizon;    /* frees that a bin in balance may go without a look at most */
};

extern TIDE_HIDDEN const struct size_class size_classes[TIDE_CLASS_COUNT];
/* (size+15)>>4 → 2*class + 2, 0 for no bytes: bins are 16 bytes and addressed by 8 at most. */
extern TIDE_HIDDEN const uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN];

/* size <= TIDE_SMALL_MAX; that of 0 is that of 1. */
TIDE_HOT unsigned
size_class_of(size_t size)
{
    return size_class_lookup[(size + 15 + (size == 0)) >> TIDE_CLASS_STEP_SHIFT] / 2u - 1;
}

/* A number that is step × index for an offset where a block starts, and greater than that of any
 * block of the span for every other: reciprocal is the first odd number above 2^64 / size, so a
 * whole block adds step = reciprocal × size - 2^64, at most 2 × size, and each byte beyond one adds
 * the reciprocal (after Lemire, Kaser and Kurz, "Faster remainder by direct computation",
 * doi:10.1002/spe.2689, who ask for divisibility only). One compare then tells a block's start from
 * every other address: 47 bits of them are too few for the mark to come round, and a bit set
 * beyond, being multiplied by an odd number, stays. */
TIDE_HOT uint64_t
block_mark(uint64_t offset, uint64_t reciprocal)
{
    return offset * reciprocal;
}

#endif
