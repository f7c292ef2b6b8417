/* SPDX-License-Identifier: MIT */
/*
 * Sizes to classes. 16-byte steps to 256, then 8 classes per doubling (at most 12.5 % apart) to
 * 32 KiB; beyond that a block is a span of its own. The look-up table is constant; the table of
 * classes is filled once, by size_class_init.
 */
#ifndef TIDE_SIZE_CLASS_H
#define TIDE_SIZE_CLASS_H

#include "base/bits.h"

#define TIDE_SMALL_MAX ((size_t)32 << 10) /* largest size served from shared spans */
#define TIDE_CLASS_COUNT 72
#define TIDE_CLASS_STEP_SHIFT 4
#define TIDE_CLASS_LOOKUP_LEN ((TIDE_SMALL_MAX >> TIDE_CLASS_STEP_SHIFT) + 1)

struct size_class {
    uint64_t reciprocal; /* see block_mark */
    uint64_t step;       /* the mark of block 1 */
    uint32_t size;       /* bytes of a block */
    uint32_t capacity;   /* blocks in a span */
    uint16_t slices;     /* slices in a span */
    uint16_t keep_live;  /* a span with this many live blocks or fewer belongs to the pool */
    uint8_t bin_limit;   /* blocks a bin takes beyond those of a refill */
};

extern TIDE_HIDDEN struct size_class size_classes[TIDE_CLASS_COUNT]; /* init: */
extern TIDE_HIDDEN const uint8_t
    size_class_lookup[TIDE_CLASS_LOOKUP_LEN]; /* (size+15)>>4 → 2*class */

void size_class_init(void);

/* size <= TIDE_SMALL_MAX */
TIDE_HOT unsigned
size_class_of(size_t size)
{
    return size_class_lookup[(size + 15) >> TIDE_CLASS_STEP_SHIFT] / 2u;
}

/* Twice the class: the table holds it so because 16-byte bins are addressed by 8 bytes at most. */
TIDE_HOT size_t
size_class_twice_of(size_t size)
{
    return size_class_lookup[(size + 15) >> TIDE_CLASS_STEP_SHIFT];
}

/* A number that is step × index for an offset where a block starts, and greater than that of any
 * block of the span for every other: reciprocal is floor(2^64 / size) + 1, so a whole block adds
 * step = reciprocal × size - 2^64, at most size, and each byte beyond one adds the reciprocal
 * (after Lemire, Kaser and Kurz, "Faster remainder by direct computation", doi:10.1002/spe.2689,
 * who ask for divisibility only). One compare then tells a block's start from everything else. */
TIDE_HOT uint64_t
block_mark(uint64_t offset, uint64_t reciprocal)
{
    return offset * reciprocal;
}

#endif
