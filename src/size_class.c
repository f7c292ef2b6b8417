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
#define BIN_LIMIT_BYTES ((size_t)4 << 10)
#define BIN_LIMIT_BLOCKS 16u
#define EXACT_MAX 256u /* up to here one class per 16 bytes */

struct size_class size_classes[TIDE_CLASS_COUNT];

/* Constant, so that the first allocation of a thread may read it while another thread initialises.
 * size_class_init asserts that it agrees with next_size. */
const uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN] = {
    [0 ... 1] = 0,         [2 ... 2] = 2,         [3 ... 3] = 4,         [4 ... 4] = 6,
    [5 ... 5] = 8,         [6 ... 6] = 10,        [7 ... 7] = 12,        [8 ... 8] = 14,
    [9 ... 9] = 16,        [10 ... 10] = 18,      [11 ... 11] = 20,      [12 ... 12] = 22,
    [13 ... 13] = 24,      [14 ... 14] = 26,      [15 ... 15] = 28,      [16 ... 16] = 30,
    [17 ... 18] = 32,      [19 ... 20] = 34,      [21 ... 22] = 36,      [23 ... 24] = 38,
    [25 ... 26] = 40,      [27 ... 28] = 42,      [29 ... 30] = 44,      [31 ... 32] = 46,
    [33 ... 36] = 48,      [37 ... 40] = 50,      [41 ... 44] = 52,      [45 ... 48] = 54,
    [49 ... 52] = 56,      [53 ... 56] = 58,      [57 ... 60] = 60,      [61 ... 64] = 62,
    [65 ... 72] = 64,      [73 ... 80] = 66,      [81 ... 88] = 68,      [89 ... 96] = 70,
    [97 ... 104] = 72,     [105 ... 112] = 74,    [113 ... 120] = 76,    [121 ... 128] = 78,
    [129 ... 144] = 80,    [145 ... 160] = 82,    [161 ... 176] = 84,    [177 ... 192] = 86,
    [193 ... 208] = 88,    [209 ... 224] = 90,    [225 ... 240] = 92,    [241 ... 256] = 94,
    [257 ... 288] = 96,    [289 ... 320] = 98,    [321 ... 352] = 100,   [353 ... 384] = 102,
    [385 ... 416] = 104,   [417 ... 448] = 106,   [449 ... 480] = 108,   [481 ... 512] = 110,
    [513 ... 576] = 112,   [577 ... 640] = 114,   [641 ... 704] = 116,   [705 ... 768] = 118,
    [769 ... 832] = 120,   [833 ... 896] = 122,   [897 ... 960] = 124,   [961 ... 1024] = 126,
    [1025 ... 1152] = 128, [1153 ... 1280] = 130, [1281 ... 1408] = 132, [1409 ... 1536] = 134,
    [1537 ... 1664] = 136, [1665 ... 1792] = 138, [1793 ... 1920] = 140, [1921 ... 2048] = 142,
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
        sc->reciprocal = UINT64_MAX / size + 1 + ((UINT64_MAX % size) == size - 1);
        sc->step = sc->reciprocal * size; /* modulo 2^64 */
        sc->slices = (uint16_t)slices;
        sc->capacity = (slices << SLICE_SHIFT) / size;
        sc->bin_limit = (uint8_t)max_zu(min_zu(BIN_LIMIT_BYTES / size, BIN_LIMIT_BLOCKS), 4);
        sc->keep_live = (uint16_t)(sc->capacity / (sc->capacity <= 16 ? 4 : 8));
        tide_assert(size_class_of(size) == c && (c == 0 || size_class_of(size - 15) == c));
        size = next_size(size);
    }
}
