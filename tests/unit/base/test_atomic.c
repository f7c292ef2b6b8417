/* SPDX-License-Identifier: MIT */
/* base/atomic: what each word does to memory and gives back, and that nothing is lost. */
#include "../unit.h"

#include "base/atomic.h"

static void
test_values_given_back(void **state)
{
    uint32_t word = 5;
    uint32_t expected = 5;
    uint64_t big = UINT64_MAX;

    (void)state;
    assert_int_equal(atomic_add_relaxed(&word, 3), 8);
    assert_int_equal(atomic_sub_relaxed(&word, 6), 2);
    assert_int_equal(atomic_exchange_acquire(&word, 9), 2);
    assert_int_equal(atomic_exchange_release(&word, 10), 9);
    assert_int_equal(atomic_exchange_acq_rel(&word, 11), 10);
    assert_int_equal(atomic_load_relaxed(&word), 11);
    assert_false(atomic_cas_acquire(&word, &expected, 1));
    assert_int_equal(expected, 11); /* refreshed */
    assert_true(atomic_cas_acquire(&word, &expected, 1));
    expected = 0;
    assert_false(atomic_cas_release(&word, &expected, 2));
    assert_true(atomic_cas_release(&word, &expected, 2));
    expected = 2;
    assert_true(atomic_cas_acq_rel(&word, &expected, 3));
    atomic_store_release(&word, 4);
    assert_int_equal(atomic_load_acquire(&word), 4);
    counter_add(&big, 2);
    assert_true(big == 1);
    counter_add(&big, (uint64_t)0 - 1);
    assert_true(big == 0);
}

#define ADDS 100000u

static uint64_t sum;

static void *
add_many(void *arg)
{
    for (uint32_t i = 0; i < ADDS; i++) {
        uint64_t seen = atomic_load_relaxed(&sum);

        atomic_add_relaxed(&sum, 1);
        while (!atomic_cas_acq_rel(&sum, &seen, seen + 2)) {
        }
    }
    return arg;
}

static void
test_nothing_is_lost_between_threads(void **state)
{
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(sum, 9 * ADDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_given_back),
        cmocka_unit_test(test_nothing_is_lost_between_threads),
    };

    return cmocka_run_group_tests_name("base/atomic", tests, unit_setup, NULL);
}
