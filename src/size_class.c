/* SPDX-License-Identifier: MIT */
/*
 * Builds the class tables. The spacing follows the rule in the header; the span of each class is
 * the shortest one of up to eight slices that wastes at most 1/16 of itself behind its last
 * block (or else the one that wastes least) and holds at least four blocks: a span is what a
 * thread holds of a class at least, and dense ones are resident whole.
 */
#include "size_class.h"

#include "base/assert.h"
#include "types.h"

#define MAX_SPAN_SLICES 8u
#define MIN_SPAN_BLOCKS 4u
#define BIN_LIMIT_BYTES ((size_t)4 << 10)
#define BIN_LIMIT_BLOCKS 16u
#define BIN_MOST_BLOCKS 32u /* where more was freed than it took, again and again */
#define BIN_SMALL 512u      /* of smaller ones more would only mix pages: batch-random-256 */
#define EXACT_MAX 256u      /* up to here one class per 16 bytes */

struct size_class size_classes[TIDE_CLASS_COUNT];

/* Constant, so that the first allocation of a thread may read it while another thread initialises.
 * size_class_init asserts that it agrees with next_size. */
const uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN] = {
    TIDE_FRONT_LOOKUP,     [257 ... 288] = 98,    [289 ... 320] = 100,   [321 ... 352] = 102,
    [353 ... 384] = 104,   [385 ... 416] = 106,   [417 ... 448] = 108,   [449 ... 480] = 110,
    [481 ... 512] = 112,   [513 ... 576] = 114,   [577 ... 640] = 116,   [641 ... 704] = 118,
    [705 ... 768] = 120,   [769 ... 832] = 122,   [833 ... 896] = 124,   [897 ... 960] = 126,
    [961 ... 1024] = 128,  [1025 ... 1152] = 130, [1153 ... 1280] = 132, [1281 ... 1408] = 134,
    [1409 ... 1536] = 136, [1537 ... 1664] = 138, [1665 ... 1792] = 140, [1793 ... 1920] = 142,
    [1921 ... 2048] = 144,
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
        sc->reciprocal = (UINT64_MAX / size + 1) | 1; /* odd: no bit of the offset is lost */
        sc->step = sc->reciprocal * size;             /* modulo 2^64 */
        sc->slices = (uint16_t)slices;
        sc->capacity = (slices << SLICE_SHIFT) / size;
        sc->bin_limit = (uint8_t)max_zu(min_zu(BIN_LIMIT_BYTES / size, BIN_LIMIT_BLOCKS), 4);
        sc->bin_most = size > BIN_SMALL ? BIN_MOST_BLOCKS : sc->bin_limit;
        sc->keep_live = (uint16_t)(sc->capacity / (sc->capacity <= 16 ? 4 : 8));
        tide_assert(size_class_of(size) == c && (c == 0 || size_class_of(size - 15) == c));
        size = next_size(size);
    }
}
