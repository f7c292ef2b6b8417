/* SPDX-License-Identifier: MIT */
/*
 * The class tables. The spacing follows the rule in the header; the span of each class is the
 * shortest one of up to eight slices that wastes at most 1/16 of itself behind its last block (or
 * else the one that wastes least) and holds at least four blocks. (A thread's first spans of a
 * class are shorter: slices_of_next.) tests/unit/test_size_class.c has the rules as code and holds
 * the tables to them.
 *
 * Constants: what a process computes at its start costs it time and pages of its own.
 */
#include "size_class.h"

#include "types.h"

#define BIN_LIMIT_BYTES 4096u
#define BIN_LIMIT_BLOCKS 16u
#define BIN_LEAST_BLOCKS 4u
#define BIN_MOST_BLOCKS 32u /* where more was freed than it took, again and again */
#define HORIZON_BYTES (256u << 10)
#define HORIZON_MIN 64u /* a look costs some 40 instructions */
#define HORIZON_MAX 4096u
#define BIN_SMALL 512u /* of smaller ones more would only mix pages: batch-random-256 */

#define AT_MOST(n, most) ((n) < (most) ? (n) : (most))
#define AT_LEAST(n, least) ((n) > (least) ? (n) : (least))
#define BIN_LIMIT(bytes)                                                                           \
    AT_LEAST(AT_MOST(BIN_LIMIT_BYTES / (bytes), BIN_LIMIT_BLOCKS), BIN_LEAST_BLOCKS)
#define HORIZON(bytes) AT_LEAST(AT_MOST(HORIZON_BYTES / (bytes), HORIZON_MAX), HORIZON_MIN)
#define CAPACITY(bytes, count) (((uint32_t)(count) << SLICE_SHIFT) / (bytes))
/* Odd: no bit of the offset is lost. The step is modulo 2^64. */
#define RECIPROCAL(bytes) ((UINT64_MAX / (bytes) + 1) | 1)

/* From 512 B on os pages are free by then, which the keeper can give back. */
#define KEEP_LIVE(bytes, blocks) ((blocks) / ((bytes) < 512 ? 8 : 2))
#define CLASS(bytes, count)                                                                        \
    {                                                                                              \
        .size = (bytes), .slices = (count), .capacity = CAPACITY(bytes, count),                    \
        .reciprocal = RECIPROCAL(bytes), .step = RECIPROCAL(bytes) * (bytes),                      \
        .bin_limit = (uint8_t)BIN_LIMIT(bytes),                                                    \
        .bin_most = (uint8_t)((bytes) > BIN_SMALL ? BIN_MOST_BLOCKS : BIN_LIMIT(bytes)),           \
        .keep_live = (uint16_t)KEEP_LIVE(bytes, CAPACITY(bytes, count)),                           \
        .horizon = (uint16_t)HORIZON(bytes),                                                       \
    }

/* Bytes of a block, slices of a span. */
const struct size_class size_classes[TIDE_CLASS_COUNT] = {
    CLASS(16, 1),    CLASS(32, 1),    CLASS(48, 1),    CLASS(64, 1),    CLASS(80, 1),
    CLASS(96, 1),    CLASS(112, 1),   CLASS(128, 1),   CLASS(144, 1),   CLASS(160, 1),
    CLASS(176, 1),   CLASS(192, 1),   CLASS(208, 1),   CLASS(224, 1),   CLASS(240, 1),
    CLASS(256, 1),   CLASS(288, 1),   CLASS(320, 1),   CLASS(352, 1),   CLASS(384, 1),
    CLASS(416, 1),   CLASS(448, 1),   CLASS(480, 1),   CLASS(512, 1),   CLASS(576, 1),
    CLASS(640, 1),   CLASS(704, 1),   CLASS(768, 1),   CLASS(832, 1),   CLASS(896, 1),
    CLASS(960, 1),   CLASS(1024, 1),  CLASS(1152, 1),  CLASS(1280, 1),  CLASS(1408, 1),
    CLASS(1536, 1),  CLASS(1664, 1),  CLASS(1792, 1),  CLASS(1920, 1),  CLASS(2048, 1),
    CLASS(2304, 1),  CLASS(2560, 1),  CLASS(2816, 1),  CLASS(3072, 1),  CLASS(3328, 2),
    CLASS(3584, 1),  CLASS(3840, 1),  CLASS(4096, 1),  CLASS(4608, 1),  CLASS(5120, 1),
    CLASS(5632, 2),  CLASS(6144, 1),  CLASS(6656, 3),  CLASS(7168, 2),  CLASS(7680, 1),
    CLASS(8192, 1),  CLASS(9216, 2),  CLASS(10240, 2), CLASS(11264, 4), CLASS(12288, 2),
    CLASS(13312, 3), CLASS(14336, 4), CLASS(15360, 2), CLASS(16384, 2), CLASS(18432, 3),
    CLASS(20480, 4), CLASS(22528, 5), CLASS(24576, 3), CLASS(26624, 5), CLASS(28672, 7),
    CLASS(30720, 4), CLASS(32768, 4),
};

const uint8_t size_class_lookup[TIDE_CLASS_LOOKUP_LEN] = {
    TIDE_FRONT_LOOKUP,     [257 ... 288] = 98,    [289 ... 320] = 100,   [321 ... 352] = 102,
    [353 ... 384] = 104,   [385 ... 416] = 106,   [417 ... 448] = 108,   [449 ... 480] = 110,
    [481 ... 512] = 112,   [513 ... 576] = 114,   [577 ... 640] = 116,   [641 ... 704] = 118,
    [705 ... 768] = 120,   [769 ... 832] = 122,   [833 ... 896] = 124,   [897 ... 960] = 126,
    [961 ... 1024] = 128,  [1025 ... 1152] = 130, [1153 ... 1280] = 132, [1281 ... 1408] = 134,
    [1409 ... 1536] = 136, [1537 ... 1664] = 138, [1665 ... 1792] = 140, [1793 ... 1920] = 142,
    [1921 ... 2048] = 144,
};
