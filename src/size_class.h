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
    uint64_t inverse;   /* of the odd part of size, modulo 2^64 */
    uint32_t size;      /* bytes of a block */
    uint32_t capacity;  /* blocks in a span */
    uint16_t slices;    /* slices in a span */
    uint16_t keep_live; /* a span with this many live blocks or fewer belongs to the pool */
    uint8_t shift;      /* size == odd part << shift */
    uint8_t bin_limit;  /* frees into a bin between two looks; half as many blocks stay in it */
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

/* offset / size when size divides offset; otherwise a number above any block's index: the product
 * with the inverse of an odd number is the quotient if there is one and at least 2^64 / odd if not,
 * and the rotation does the same for the power of two (Warren, "Hacker's Delight", 10-17). One
 * compare then tells a block's start from everything else. */
TIDE_HOT uint64_t
exact_quotient(uint64_t offset, uint64_t inverse, unsigned shift)
{
    uint64_t q = offset * inverse;

    return q >> shift | q << (-shift & 63);
}

#endif
