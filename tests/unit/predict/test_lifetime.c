/* SPDX-License-Identifier: MIT */
/*
 * predict/lifetime: what a key is taken for after which blocks, how it is found out, and that it is
 * believed ever more slowly.
 */
#include "../unit.h"

#include "base/random.h"
#include "predict/lifetime.h"

static const struct lifetime_params usual = {.min_blocks = 16, .sure = 16};

static void
observe(struct lifetime_key *key, unsigned count, bool is_long)
{
    while (count-- > 0) {
        lifetime_observe(key, &usual, is_long);
    }
}

/* How many short blocks it takes until it is short. */
static unsigned
until_short(struct lifetime_key *key)
{
    unsigned count = 0;

    for (; !key->is_short && count < 100000; count++) {
        lifetime_observe(key, &usual, false);
    }
    return count;
}

static void
test_a_new_key_is_not_short(void **state)
{
    struct lifetime_key key = {0};

    (void)state;
    require(!key.is_short);
    observe(&key, usual.min_blocks - 1, false);
    require(!key.is_short);
    observe(&key, 1, false);
    require(key.is_short);
    require_eq(key.demoted, 0);
}

static void
test_a_key_with_some_long_blocks_is_not_short(void **state)
{
    struct lifetime_key key = {0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) { /* one in 11 */
        lifetime_observe(&key, &usual, i % 11 == 0);
        require(!key.is_short);
    }
}

static void
test_a_key_with_few_long_blocks_stays_short(void **state)
{
    struct lifetime_key key = {0};

    (void)state;
    observe(&key, 64, false);
    for (unsigned i = 0; i < 1000; i++) { /* one in 31 */
        lifetime_observe(&key, &usual, i % 31 == 30);
        require(key.is_short);
    }
    require_eq(key.demoted, 0);
}

static void
test_a_key_that_changes_is_found_out(void **state)
{
    struct lifetime_key key = {0};
    unsigned blocks = 0;

    (void)state;
    observe(&key, 100000, false);
    for (; key.is_short; blocks++) {
        lifetime_observe(&key, &usual, true);
    }
    /* However much was short before: of the last LIFETIME_COUNT_MAX one in 16 is enough. */
    require_le(blocks, LIFETIME_COUNT_MAX / usual.sure + 1);
    require_eq(key.demoted, 1);
}

static void
test_a_key_that_was_wrong_is_believed_later_each_time(void **state)
{
    struct lifetime_key key = {0};
    unsigned before = until_short(&key);

    (void)state;
    for (unsigned i = 1; i <= 12; i++) {
        unsigned count;

        while (key.is_short) {
            lifetime_observe(&key, &usual, true);
        }
        require_eq(key.demoted, i < LIFETIME_DEMOTED_MAX ? i : LIFETIME_DEMOTED_MAX);
        count = until_short(&key);
        require_ge(count, usual.min_blocks << key.demoted);
        require(i > LIFETIME_DEMOTED_MAX ? count == before : count > before);
        before = count;
    }
}

static void
test_counts_stay_within_bounds(void **state)
{
    struct lifetime_key key = {0}, same = {0};
    uint64_t random = 5;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        bool is_long = (random_next(&random) >> 20) % 40 < i / 5000;

        lifetime_observe(&key, &usual, is_long);
        lifetime_observe(&same, &usual, is_long);
        require(key.shorter + key.longer < (int)LIFETIME_COUNT_MAX);
        require_le(key.demoted, LIFETIME_DEMOTED_MAX);
        require(memcmp(&key, &same, sizeof key) == 0);
    }
    require(!key.is_short);
    require_eq(key.seen, UINT16_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_key_is_not_short),
        cmocka_unit_test(test_a_key_with_some_long_blocks_is_not_short),
        cmocka_unit_test(test_a_key_with_few_long_blocks_stays_short),
        cmocka_unit_test(test_a_key_that_changes_is_found_out),
        cmocka_unit_test(test_a_key_that_was_wrong_is_believed_later_each_time),
        cmocka_unit_test(test_counts_stay_within_bounds),
    };

    return cmocka_run_group_tests_name("predict/lifetime", tests, unit_setup, NULL);
}
