/* SPDX-License-Identifier: MIT */
/*
 * Builds the class tables. The spacing follows the rule in the header; the span of each class is
 * the shortest one of up to four slices that wastes at most 1/16 of itself behind its last
 * block (or else the one that wastes least) and holds at least four blocks: a span is what a
 * thread holds of a class at least, and dense ones are resident whole.
 */
#include "size_class.h"

#include "base/assert.h"
#include "types.h"

#define MAX_SPAN_SLICES 4u
#define MIN_SPAN_BLOCKS 4u
#define EXACT_MAX 256u /* up to here one class per 16 bytes */

struct size_class size_classes[TIDE_CLASS_COUNT];

/* Constant, so that the first allocation of a thread may read it while another thread initialises.
 * size_class_init asserts that it agrees with next_size. */
const uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN] = {
    [0 ... 1] = 0, [2 ... 2] = 1, [3 ... 3] = 2, [4 ... 4] = 3, [5 ... 5] = 4, [6 ... 6] = 5,
    [7 ... 7] = 6, [8 ... 8] = 7, [9 ... 9] = 8, [10 ... 10] = 9, [11 ... 11] = 10,
    [12 ... 12] = 11, [13 ... 13] = 12, [14 ... 14] = 13, [15 ... 15] = 14, [16 ... 16] = 15,
    [17 ... 18] = 16, [19 ... 20] = 17, [21 ... 22] = 18, [23 ... 24] = 19, [25 ... 26] = 20,
    [27 ... 28] = 21, [29 ... 30] = 22, [31 ... 32] = 23, [33 ... 36] = 24, [37 ... 40] = 25,
    [41 ... 44] = 26, [45 ... 48] = 27, [49 ... 52] = 28, [53 ... 56] = 29, [57 ... 60] = 30,
    [61 ... 64] = 31, [65 ... 72] = 32, [73 ... 80] = 33, [81 ... 88] = 34, [89 ... 96] = 35,
    [97 ... 104] = 36, [105 ... 112] = 37, [113 ... 120] = 38, [121 ... 128] = 39,
    [129 ... 144] = 40, [145 ... 160] = 41, [161 ... 176] = 42, [177 ... 192] = 43,
    [193 ... 208] = 44, [209 ... 224] = 45, [225 ... 240] = 46, [241 ... 256] = 47,
    [257 ... 288] = 48, [289 ... 320] = 49, [321 ... 352] = 50, [353 ... 384] = 51,
    [385 ... 416] = 52, [417 ... 448] = 53, [449 ... 480] = 54, [481 ... 512] = 55,
    [513 ... 576] = 56, [577 ... 640] = 57, [641 ... 704] = 58, [705 ... 768] = 59,
    [769 ... 832] = 60, [833 ... 896] = 61, [897 ... 960] = 62, [961 ... 1024] = 63,
    [1025 ... 1152] = 64, [1153 ... 1280] = 65, [1281 ... 1408] = 66, [1409 ... 1536] = 67,
    [1537 ... 1664] = 68, [1665 ... 1792] = 69, [1793 ... 1920] = 70, [1921 ... 2048] = 71,
};

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

    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        struct size_class *sc = &size_classes[c];
        unsigned slices = choose_slices(size);

        sc->size = size;
        sc->shift = (uint8_t)__builtin_ctz(size);
        sc->inverse = inverse_of(size >> sc->shift);
        sc->slices = (uint16_t)slices;
        sc->capacity = (slices << SLICE_SHIFT) / size;
        sc->keep_live = (uint16_t)(sc->capacity / (sc->capacity <= 16 ? 4 : 8));
        tide_assert(size_class_of(size) == c && (c == 0 || size_class_of(size - 15) == c));
        size = next_size(size);
    }
}
