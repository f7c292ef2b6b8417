/* SPDX-License-Identifier: MIT */
/* base/bits: against definitions that count one bit at a time. */
#include "../unit.h"

#include "base/bits.h"

typedef __typeof__(run_mask(0, 1)) word_t; /* a bit for each slice of a chunk */
#define BITS ((unsigned)sizeof(word_t) * 8)
#define ONES ((word_t) ~(word_t)0)

static word_t
slow_run_starts(word_t mask, unsigned n)
{
    word_t starts = 0;

    for (unsigned i = 0; i + n <= BITS; i++) {
        unsigned k = 0;

        while (k < n && (mask >> (i + k) & 1) != 0) {
            k++;
        }
        starts |= (word_t)(k == n) << i;
    }
    return starts;
}

static unsigned
slow_longest_run(word_t mask)
{
    unsigned longest = 0;
    unsigned run = 0;

    for (unsigned i = 0; i < BITS; i++) {
        run = (mask >> i & 1) != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void
compare_runs(word_t mask)
{
    require_eq(longest_run(mask), slow_longest_run(mask));
    for (unsigned n = 1; n <= BITS; n++) {
        require_eq(run_starts(mask, n), slow_run_starts(mask, n));
    }
}

static void
test_runs_of_known_words(void **state)
{
    (void)state;
    require_eq(longest_run(0), 0);
    require_eq(longest_run(1), 1);
    require_eq(longest_run((word_t)1 << (BITS - 1)), 1);
    require_eq(longest_run(ONES), BITS);
    require_eq(longest_run(ONES >> 1), BITS - 1);
    require_eq(longest_run(0xf0f00f00u), 4);
    require_eq(run_starts(ONES, 1), ONES);
    require_eq(run_starts(ONES, BITS), 1);
    require_eq(run_starts(ONES, BITS - 1), 3);
    require_eq(run_starts(0x0000ff00u, 8), 0x100);
    require_eq(run_starts(0x0000ff00u, 7), 0x300);
    require_eq(run_starts(0x0000ff00u, 9), 0);
    require_eq(run_starts(0, 1), 0);
}

/* All words of 11 bits at three places, and all words that are one run. */
static void
test_runs_of_all_short_words(void **state)
{
    (void)state;
    for (word_t w = 0; w < 1u << 11; w++) {
        compare_runs(w);
        compare_runs(w << (BITS - 11));
        compare_runs(~(w << 9));
    }
    for (unsigned at = 0; at < BITS; at++) {
        for (unsigned n = 1; at + n <= BITS; n++) {
            compare_runs(run_mask(at, n));
            compare_runs(~run_mask(at, n));
        }
    }
}

static void
test_runs_of_random_words(void **state)
{
    struct unit_random r = {11};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        compare_runs((word_t)(unit_next(&r) & unit_next(&r)));
        compare_runs((word_t)(unit_next(&r) | unit_next(&r) | unit_next(&r)));
    }
}

static void
test_run_mask_has_n_bits_from_at(void **state)
{
    (void)state;
    for (unsigned at = 0; at < BITS; at++) {
        for (unsigned n = 1; at + n <= BITS; n++) {
            word_t mask = run_mask(at, n);

            require_eq(__builtin_popcountll(mask), n);
            require_eq(__builtin_ctzll(mask), at);
            require_eq(longest_run(mask), n);
        }
    }
}

static void
test_rounding_to_powers_of_two(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 20; k++) {
        size_t align = (size_t)1 << k;

        for (size_t n = 0; n < 3000; n++) {
            require_eq(align_up(n, align), (n + align - 1) / align * align);
            require_eq(align_down(n, align), n / align * align);
        }
    }
    assert_true(align_up(SIZE_MAX - 15, 16) == SIZE_MAX - 15);
    assert_true(align_down(SIZE_MAX, (size_t)1 << 63) == (size_t)1 << 63);
}

static void
test_logarithm_and_powers(void **state)
{
    (void)state;
    assert_false(is_pow2(0));
    assert_int_equal(log2_floor(1), 0);
    assert_int_equal(log2_ceil(0), 0);
    for (unsigned k = 0; k < 64; k++) {
        size_t n = (size_t)1 << k;

        require_eq(log2_floor(n), k);
        require_eq(log2_ceil(n), k);
        require(is_pow2(n));
        if (k > 1) {
            require_eq(log2_floor(n - 1), k - 1);
            require(!is_pow2(n - 1));
            require(!is_pow2(n + 1));
        }
        if (k > 0 && k < 63) {
            require_eq(log2_floor(n + 1), k);
            require_eq(log2_ceil(n + 1), k + 1);
        }
    }
    assert_int_equal(log2_floor(SIZE_MAX), 63);
}

static void
test_min_and_max(void **state)
{
    (void)state;
    assert_true(min_zu(0, SIZE_MAX) == 0);
    assert_true(max_zu(0, SIZE_MAX) == SIZE_MAX);
    assert_true(min_zu(7, 7) == 7);
    assert_true(max_zu(8, 7) == 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_of_known_words),
        cmocka_unit_test(test_runs_of_all_short_words),
        cmocka_unit_test(test_runs_of_random_words),
        cmocka_unit_test(test_run_mask_has_n_bits_from_at),
        cmocka_unit_test(test_rounding_to_powers_of_two),
        cmocka_unit_test(test_logarithm_and_powers),
        cmocka_unit_test(test_min_and_max),
    };

    return cmocka_run_group_tests_name("base/bits", tests, unit_setup, NULL);
}
