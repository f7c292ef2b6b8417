/* SPDX-License-Identifier: MIT */
/* predict/price: when huge pages are dear, for how long, and what does not make them so. */
#include "../unit.h"

#include "predict/price.h"

#define MIB ((uint64_t)1 << 20)
#define MS ((uint64_t)1000000)
#define SMALL_NS (250 * 1000ull) /* a MiB */

static struct price
with_small_ones(unsigned calls)
{
    struct price price = {.until_ns = 0};

    for (unsigned i = 0; i < calls; i++) {
        price_note(&price, false, i * MS, MIB, SMALL_NS);
    }
    return price;
}

static void
test_cheap_ones_are_never_dear(void **state)
{
    struct price price = with_small_ones(10);

    (void)state;
    for (uint64_t ms = 10; ms < 20000; ms += 10) {
        price_note(&price, true, ms * MS, 2 * MIB, 2 * SMALL_NS + SMALL_NS * (ms / 10 % 2));
        require(!price_huge_is_dear(&price, ms * MS));
    }
}

static void
test_dear_ones_are_tried_again_in_time(void **state)
{
    struct price price = with_small_ones(10);
    uint64_t end = 20 * MS + PRICE_MEMORY_NS;

    (void)state;
    price_note(&price, true, 15 * MS, 2 * MIB, 6 * MS);
    require(!price_huge_is_dear(&price, 15 * MS)); /* once is no sign */
    price_note(&price, true, 20 * MS, 2 * MIB, 6 * MS);
    require(price_huge_is_dear(&price, 20 * MS));
    require(price_huge_is_dear(&price, end - 1));
    require(!price_huge_is_dear(&price, end));
    price_note(&price, true, end, 2 * MIB, SMALL_NS);
    price_note(&price, true, end, 2 * MIB, SMALL_NS);
    require(!price_huge_is_dear(&price, end)); /* what was is forgotten */
    price_note(&price, true, end, 2 * MIB, 20 * MS);
    price_note(&price, true, end, 2 * MIB, SMALL_NS);
    price_note(&price, true, end, 2 * MIB, 20 * MS);
    require(!price_huge_is_dear(&price, end)); /* two, but not in a row */
    price_note(&price, true, end, 2 * MIB, 20 * MS);
    require(price_huge_is_dear(&price, end));
}

static void
test_all_of_it_being_slow_is_no_reason(void **state)
{
    struct price price = {.until_ns = 0};

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        price_note(&price, false, i * MS, MIB, 3 * MS);
        price_note(&price, true, i * MS, 2 * MIB, 7 * MS);
        require(!price_huge_is_dear(&price, i * MS));
    }
}

/* Each time one call is enough, and each time they are left alone for twice as long. */
static void
test_what_stays_dear_is_tried_ever_more_rarely(void **state)
{
    struct price price = with_small_ones(10);
    uint64_t now = 20 * MS;
    uint64_t memory = PRICE_MEMORY_NS;

    (void)state;
    price_note(&price, true, now, 2 * MIB, 6 * MS);
    for (unsigned i = 0; i < 12; i++) {
        price_note(&price, true, now, 2 * MIB, 6 * MS);
        price_note(&price, true, now + 1, 2 * MIB, 6 * MS); /* begun before: counts once */
        require(price_huge_is_dear(&price, now + memory - 1));
        now += memory;
        require(!price_huge_is_dear(&price, now));
        memory = memory < PRICE_MEMORY_MAX_NS ? 2 * memory : memory;
    }
    assert_int_equal(memory, PRICE_MEMORY_MAX_NS);
    price_note(&price, true, now, 2 * MIB, SMALL_NS); /* cheap: all of that is forgotten */
    price_note(&price, true, now, 2 * MIB, 6 * MS);
    require(!price_huge_is_dear(&price, now));
    price_note(&price, true, now, 2 * MIB, 6 * MS);
    require(price_huge_is_dear(&price, now + PRICE_MEMORY_NS - 1));
    require(!price_huge_is_dear(&price, now + PRICE_MEMORY_NS));
}

static void
test_without_ordinary_ones_a_usual_price_is_assumed(void **state)
{
    uint64_t usual = (uint64_t)(PRICE_SMALL_NS * 2 * MIB);

    (void)state;
    for (unsigned calls = 0; calls < PRICE_MIN_CALLS; calls++) {
        struct price price = with_small_ones(calls);

        for (unsigned i = 0; i < 10; i++) {
            price_note(&price, true, i * MS, 2 * MIB, 2 * usual - 1);
            require(!price_huge_is_dear(&price, i * MS));
        }
        price_note(&price, true, 10 * MS, 2 * MIB, 3 * usual);
        price_note(&price, true, 10 * MS, 2 * MIB, 3 * usual);
        require(price_huge_is_dear(&price, 10 * MS));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cheap_ones_are_never_dear),
        cmocka_unit_test(test_dear_ones_are_tried_again_in_time),
        cmocka_unit_test(test_all_of_it_being_slow_is_no_reason),
        cmocka_unit_test(test_what_stays_dear_is_tried_ever_more_rarely),
        cmocka_unit_test(test_without_ordinary_ones_a_usual_price_is_assumed),
    };

    return cmocka_run_group_tests_name("predict/price", tests, unit_setup, NULL);
}
