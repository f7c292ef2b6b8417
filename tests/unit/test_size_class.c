/* SPDX-License-Identifier: MIT */
/* size_class: every size and every byte of every span, exactly. */
#include "unit.h"

#include "size_class.h"

static void
test_sizes_follow_the_rule(void **state)
{
    unsigned c = 0;

    (void)state;
    for (uint32_t size = 16; size <= 256; size += 16) {
        require_eq(size_classes[c++].size, size);
    }
    for (uint32_t base = 256; base < TIDE_SMALL_MAX; base *= 2) {
        for (uint32_t i = 1; i <= 8; i++) {
            require_eq(size_classes[c++].size, base + i * base / 8);
        }
    }
    assert_int_equal(c, TIDE_CLASS_COUNT);
    assert_int_equal(size_classes[TIDE_CLASS_COUNT - 1].size, TIDE_SMALL_MAX);
}

static void
test_neighbours_are_at_most_an_eighth_apart(void **state)
{
    (void)state;
    for (unsigned c = 1; c < TIDE_CLASS_COUNT; c++) {
        uint32_t low = size_classes[c - 1].size;
        uint32_t high = size_classes[c].size;

        require_gt(high, low);
        require_eq(high % 16, 0);
        require(high - low == 16 || (high - low) * 8 <= low);
    }
}

static void
test_every_size_gets_the_smallest_class_that_holds_it(void **state)
{
    unsigned expected = 0;

    (void)state;
    for (size_t size = 0; size <= TIDE_SMALL_MAX; size++) {
        while (size_classes[expected].size < size) {
            expected++;
        }
        require_eq(size_class_of(size), expected);
    }
}

/* What heap_alloc_aligned relies on. */
static void
test_a_multiple_gets_a_class_of_multiples(void **state)
{
    (void)state;
    for (size_t align = 16; align <= TIDE_SMALL_MAX; align *= 2) {
        for (size_t size = align; size <= TIDE_SMALL_MAX; size += align) {
            require_eq(size_classes[size_class_of(size)].size % align, 0);
        }
    }
}

static void
test_blocks_fill_the_span(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const struct size_class *sc = &size_classes[c];
        size_t bytes = (size_t)sc->slices << SLICE_SHIFT;
        size_t waste = bytes - (size_t)sc->capacity * sc->size;

        require_ge(sc->slices, 1);
        require_le(sc->slices, CHUNK_SLICES);
        require_eq(sc->capacity, bytes / sc->size);
        require_ge(sc->capacity, 2);
        require_le(sc->capacity, UINT16_MAX); /* what the remote word can count */
        require(waste < sc->size);
        require_le(waste * 16, bytes); /* behind the last block */
        require(sc->keep_live < sc->capacity);
    }
}

static void
test_marks_tell_every_block_from_every_other_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const struct size_class *sc = &size_classes[c];
        size_t bytes = (size_t)sc->slices << SLICE_SHIFT;
        uint64_t end = sc->capacity * sc->step;
        size_t within = 0;
        size_t index = 0;

        require_ge(sc->step, 1);
        require_le(sc->step, 2 * sc->size);
        for (size_t offset = 0; offset < bytes; offset++) {
            uint64_t mark = block_mark(offset, sc->reciprocal);

            if (within == 0 ? mark != index * sc->step : mark < end) {
                require_eq(offset, index * sc->size + within);
                require_eq(mark, index * sc->step);
            }
            if (++within == sc->size) {
                within = 0;
                index++;
            }
        }
        for (uint64_t before = 1; before <= 2 * sc->size; before++) { /* in front of the span */
            require_ge(block_mark((uint64_t)0 - before, sc->reciprocal), end);
        }
    }
}

static void
test_only_starts_of_linked_blocks_are_blocks(void **state)
{
    static char memory[1]; /* only its address is used */

    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const struct size_class *sc = &size_classes[c];
        uint32_t half = sc->capacity / 2;
        slice_t slice = {
            .start = memory,
            .reciprocal = sc->reciprocal,
            .marks = half * sc->step,
        };

        for (uint32_t i = 0; i < sc->capacity; i++) {
            uintptr_t block = (uintptr_t)memory + (size_t)i * sc->size;

            require_eq(slice_has_block_at(&slice, (void *)block), i < half);
            require(!slice_has_block_at(&slice, (void *)(block + 1)));
            require(!slice_has_block_at(&slice, (void *)(block + 8)));
            require(!slice_has_block_at(&slice, (void *)(block + sc->size - 1)));
        }
        require(!slice_has_block_at(&slice, (void *)((uintptr_t)memory - 16)));
        require(!slice_has_block_at(&slice, (void *)((uintptr_t)memory - sc->size)));
        /* Free asks the record of some slice of ours about any address whatever. */
        for (uintptr_t far = (uintptr_t)1 << 31; far <= (uintptr_t)1 << 46; far *= 2) {
            for (uintptr_t at = 0; at <= 8; at++) {
                uintptr_t away = far / 8 * at + (at % 3) * sc->size;

                require(!slice_has_block_at(&slice, (void *)((uintptr_t)memory + far + away)));
                require(!slice_has_block_at(&slice, (void *)((uintptr_t)memory - far - away)));
            }
        }
        for (uintptr_t tag = 1; tag < (uintptr_t)1 << 17; tag++) { /* bits no address has */
            uintptr_t block = (uintptr_t)memory + (size_t)(tag % (half + 1)) * sc->size;

            require(!slice_has_block_at(&slice, (void *)(block ^ tag << 47)));
        }
    }
}

/* The shortest span that wastes at most 1/16 behind its last block, or else the one that wastes
 * least; at least four blocks, at most eight slices. */
static unsigned
best_slices(uint32_t size)
{
    unsigned best = 0;
    uint64_t best_waste = UINT64_MAX; /* in 1/65536 of the span */

    for (unsigned n = 1; n <= 8; n++) {
        uint32_t bytes = n << SLICE_SHIFT;
        uint64_t waste = ((uint64_t)(bytes % size) << 16) / bytes;

        if (bytes / size < 4) {
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

static void
test_spans_and_bins_follow_the_rule(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const struct size_class *sc = &size_classes[c];

        require_eq(sc->slices, best_slices(sc->size));
        require_eq(sc->reciprocal, (UINT64_MAX / sc->size + 1) | 1);
        require_eq(sc->step, sc->reciprocal * sc->size);
        require_eq(sc->bin_limit, max_zu(min_zu(4096 / sc->size, 16), 4));
        require_eq(sc->bin_most, sc->size > 512 ? 32 : sc->bin_limit);
        require_eq(sc->keep_live, sc->capacity / (sc->size < 512 ? 8 : 2));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_follow_the_rule),
        cmocka_unit_test(test_neighbours_are_at_most_an_eighth_apart),
        cmocka_unit_test(test_every_size_gets_the_smallest_class_that_holds_it),
        cmocka_unit_test(test_a_multiple_gets_a_class_of_multiples),
        cmocka_unit_test(test_blocks_fill_the_span),
        cmocka_unit_test(test_marks_tell_every_block_from_every_other_byte),
        cmocka_unit_test(test_only_starts_of_linked_blocks_are_blocks),
        cmocka_unit_test(test_spans_and_bins_follow_the_rule),
    };

    return cmocka_run_group_tests_name("size_class", tests, unit_setup, NULL);
}
