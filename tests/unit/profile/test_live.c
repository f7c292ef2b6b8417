/* SPDX-License-Identifier: MIT */
/* profile/live: what is put in is found until it is taken out, through growth and chains of
 * addresses with the same home; without memory the table refuses and stays whole. */
#include "../unit.h"

#include "profile/live.h"

enum { ADDRESSES = 20000 };

static bool present[ADDRESSES];

static void *
address_of(size_t i)
{
    return (void *)(uintptr_t)((i + 1) * 16 + (i % 7) * ((uintptr_t)1 << 30));
}

static void
check_all(void)
{
    size_t count = 0;
    size_t seen = 0;
    const sample_t *entry;

    for (size_t i = 0; i < ADDRESSES; i++) {
        sample_t *sample = live_find_locked(address_of(i));

        assert_true((sample != NULL) == present[i]);
        assert_true(sample == NULL || sample->size == i);
        count += present[i];
    }
    assert_int_equal(live_count_locked(), count);
    for (size_t i = 0; (entry = live_entry_locked(i)) != NULL; i++) {
        assert_ptr_equal(live_find_locked((void *)entry->address), entry);
        seen++;
    }
    assert_int_equal(seen, count);
}

static void
test_what_is_in_is_found(void **state)
{
    uint64_t random = 5;

    (void)state;
    assert_null(live_find_locked(address_of(0)));
    for (size_t n = 0; n < 60000; n++) {
        /* Grows at first, and shrinks later. */
        size_t limit = n < 30000 ? ADDRESSES : ADDRESSES / 20;
        size_t i = (random = random * 6364136223846793005u + 1442695040888963407u) >> 33;

        i %= n % 3 == 0 ? limit : ADDRESSES;
        if (!present[i] && (n < 30000 || i < limit)) {
            sample_t sample = {.address = (uintptr_t)address_of(i), .size = i};

            assert_int_equal(live_add_locked(&sample), 0);
            present[i] = true;
        } else if (present[i]) {
            live_remove_locked(live_find_locked(address_of(i)));
            present[i] = false;
        }
        if (n % 5000 == 0) {
            check_all();
        }
    }
    check_all();
}

static int
no_memory(const char *call)
{
    (void)call;
    return ENOMEM;
}

static void
test_without_memory_it_refuses(void **state)
{
    int error = 0;
    size_t added = 0;

    (void)state;
    os_fault_hook = no_memory;
    for (size_t i = 0; i < 1000000 && error == 0; i++) {
        sample_t sample = {.address = (uintptr_t)1 << 40 | i << 4, .size = 1};

        error = live_add_locked(&sample);
        added += error == 0;
    }
    os_fault_hook = NULL;
    assert_int_equal(error, ENOMEM);
    for (size_t i = 0; i < added; i++) {
        live_remove_locked(live_find_locked((void *)((uintptr_t)1 << 40 | i << 4)));
    }
    check_all();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_in_is_found),
        cmocka_unit_test(test_without_memory_it_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
