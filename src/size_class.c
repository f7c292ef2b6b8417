/* SPDX-License-Identifier: MIT */
/*
 * Builds the class tables. The spacing follows the rule in the header; the span of each class is
 * the shortest one of up to four slices that wastes at most 1/16 of itself behind its last
 * block (or else the one that wastes least) and holds at least four blocks: a span is what a
 * thread holds of a class at least, and dense ones are resident whole.
 */
#include "size_class.h"

#include "types.h"

#define MAX_SPAN_SLICES 4u
#define MIN_SPAN_BLOCKS 4u
#define EXACT_MAX 256u /* up to here one class per 16 bytes */

struct size_class size_classes[TIDE_CLASS_COUNT];
uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN];

static unsigned
choose_slices(uint32_t size)
{
    unsigned best = 0;
    uint64_t best_waste = UINT64_MAX; /* in 1/65536 of the span */

    for (unsigned n = 1; n <= MAX_SPAN_SLICES; n++) {
        uint32_t bytes = n << SLICE_SHIFT;
        uint64_t waste = ((uint64_t)(bytes % size) << 16) / bytes;

        if (bytes / size < MIN_SPAN_BLOCKS) {
            continue;
        }
        if (waste < best_waste) {
            best = n;
            best_waste = waste;
        }
        if (waste <= 65536 / 16) {
            break;
        }
    }
    return best;
}

/* Modulo 2^64, by Newton's iteration: each step doubles the number of right bits. */
static uint64_t
inverse_of(uint64_t odd)
{
    uint64_t x = odd; /* right in the lowest three bits */

    for (int i = 0; i < 5; i++) {
        x *= 2 - odd * x;
    }
    return x;
}

static uint32_t
next_size(uint32_t size)
{
    uint32_t step = size < EXACT_MAX ? 16 : 1u << (log2_floor(size) - 3);

    return size + step;
}

void
size_class_init(void)
{
    uint32_t size = 16;
    size_t at = 0;

    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        struct size_class *sc = &size_classes[c];
        unsigned slices = choose_slices(size);

        sc->size = size;
        sc->shift = (uint8_t)__builtin_ctz(size);
        sc->inverse = inverse_of(size >> sc->shift);
        sc->slices = (uint16_t)slices;
        sc->capacity = (slices << SLICE_SHIFT) / size;
        sc->keep_live = (uint16_t)(sc->capacity / (sc->capacity <= 16 ? 4 : 8));
        for (; at <= size >> TIDE_CLASS_STEP_SHIFT; at++) {
            size_class_lookup[at] = (uint8_t)c;
        }
        size = next_size(size);
    }
}
