/* SPDX-License-Identifier: MIT */
/* tool/lanes: pages that come and go as the heap's would, and lanes that do not mix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/random.h"
#include "tool/lanes.h"

enum { PAGE = 4096, BLOCKS = 20000, WINDOW = 10, SPARE = 256, THREADS = 3 };

static struct lanes_world w;
static struct lanes_place places[BLOCKS];
static unsigned classes[BLOCKS];

static int
begin(void **state)
{
    (void)state;
    lanes_init(&w, THREADS);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    lanes_free(&w);
    return 0;
}

static void
test_pages_come_with_blocks(void **state)
{
    unsigned c = size_class_of(1024);

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        places[i] = lanes_take(&w, 0, c, LANE_LONG);
        assert_int_equal(w.now.pinned, i / 4 + 1);
        assert_int_equal(w.now.resident, i / 4 + 1);
    }
    places[32] = lanes_take(&w, 0, c, LANE_LONG);
    assert_int_equal(w.now.pinned, 9);
}

static void
test_a_block_over_two_pages_pins_both(void **state)
{
    unsigned c = size_class_of(3072);

    (void)state;
    places[0] = lanes_take(&w, 0, c, LANE_LONG);
    assert_int_equal(w.now.pinned, 1);
    places[1] = lanes_take(&w, 0, c, LANE_LONG); /* from 3072 to 6144 */
    assert_int_equal(w.now.pinned, 2);
    lanes_give(&w, 0, places[0]);
    assert_int_equal(w.now.pinned, 2);
    lanes_give(&w, 0, places[1]);
    assert_int_equal(w.now.pinned, 0);
}

static void
test_freed_pages_are_used_again_or_go(void **state)
{
    unsigned c = size_class_of(4096), other = size_class_of(2048);
    uint64_t resident;

    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        places[i] = lanes_take(&w, 0, c, LANE_LONG);
    }
    assert_int_equal(w.now.resident, 4000);
    lanes_pass(&w, 1);
    for (unsigned i = 0; i < 4000; i++) {
        lanes_give(&w, 0, places[i]);
    }
    assert_int_equal(w.now.pinned, 0);
    assert_int_equal(w.now.resident, 4000);
    for (unsigned i = 0; i < 4000; i++) { /* half of them, by another class */
        places[i] = lanes_take(&w, 0, other, LANE_LONG);
    }
    assert_int_equal(w.now.resident, 4000);
    lanes_pass(&w, WINDOW);
    assert_int_equal(w.now.resident, 4000);
    lanes_pass(&w, WINDOW + 1);
    resident = w.now.resident;
    assert_true(resident >= 2000 + SPARE && resident <= 2000 + SPARE + 40);
}

static void
test_holes_of_idle_spans_go(void **state)
{
    unsigned c = size_class_of(256); /* 16 in a page, 128 in a span */

    (void)state;
    for (unsigned i = 0; i < BLOCKS; i++) {
        places[i] = lanes_take(&w, 0, c, LANE_LONG);
    }
    for (unsigned i = 0; i < BLOCKS; i++) { /* one in each span stays */
        if (i % 128 != 0) {
            lanes_give(&w, 0, places[i]);
        }
    }
    assert_true(w.now.pinned >= BLOCKS / 128 && w.now.pinned <= BLOCKS / 128 + 1);
    assert_int_equal(w.now.resident, (BLOCKS + 15) / 16);
    lanes_pass(&w, WINDOW - 1);
    assert_int_equal(w.now.resident, (BLOCKS + 15) / 16);
    lanes_pass(&w, WINDOW);
    assert_in_range(w.now.resident, BLOCKS / 128, BLOCKS / 128 + 5 * 8);
}

/* What stays of 64 short blocks and a long one each: nothing but pages of long ones. */
static uint64_t
pages_of_long_ones(enum lanes_lane lane_of_short)
{
    unsigned c = size_class_of(64);

    for (unsigned i = 0; i < BLOCKS; i++) {
        places[i] = lanes_take(&w, 0, c, i % 64 == 0 ? LANE_LONG : lane_of_short);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i % 64 != 0) {
            lanes_give(&w, 0, places[i]);
        }
    }
    return w.now.pinned;
}

static void
test_lanes_keep_long_blocks_together(void **state)
{
    uint64_t mixed = pages_of_long_ones(LANE_LONG), apart;

    lanes_free(&w);
    begin(state);
    apart = pages_of_long_ones(LANE_SHORT);
    assert_int_equal(mixed, (BLOCKS + 63) / 64);
    assert_int_equal(apart, ((BLOCKS + 63) / 64 + 63) / 64);
}

static int
compare_places(const void *a, const void *b)
{
    const struct lanes_place *x = a, *y = b;

    if (x->span != y->span) {
        return (uintptr_t)x->span < (uintptr_t)y->span ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static void
expect_all_different(const unsigned char *owned)
{
    static struct lanes_place sorted[BLOCKS];
    size_t count = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        if (owned[i]) {
            sorted[count++] = places[i];
        }
    }
    assert_true(count > BLOCKS / 4);
    qsort(sorted, count, sizeof *sorted, compare_places);
    for (size_t i = 1; i < count; i++) {
        assert_true(compare_places(&sorted[i - 1], &sorted[i]) < 0);
    }
}

static void
test_nothing_is_handed_out_twice(void **state)
{
    static unsigned char owned[BLOCKS];
    uint64_t random = 3, live = 0;

    (void)state;
    for (unsigned round = 0; round < 400000; round++) {
        unsigned i = (unsigned)(random_next(&random) >> 33) % BLOCKS;
        uint32_t thread = (uint32_t)(random_next(&random) >> 40) % THREADS;

        if (owned[i]) {
            lanes_give(&w, thread, places[i]);
            live -= (uint64_t)size_classes[classes[i]].size;
        } else {
            classes[i] = (unsigned)(random_next(&random) >> 35) % TIDE_CLASS_COUNT;
            places[i] = lanes_take(&w, thread, classes[i], i % LANES);
            live += (uint64_t)size_classes[classes[i]].size;
        }
        owned[i] = !owned[i];
        assert_true(w.now.pinned * PAGE >= live);
        assert_true(w.now.resident >= w.now.pinned);
        if (round % 1000 == 0) {
            lanes_pass(&w, round / 1000 + 1);
        }
    }
    expect_all_different(owned);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (owned[i]) {
            lanes_give(&w, 0, places[i]);
        }
    }
    assert_int_equal(w.now.pinned, 0);
    assert_true(w.now.resident < 40000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pages_come_with_blocks, begin, end),
        cmocka_unit_test_setup_teardown(test_a_block_over_two_pages_pins_both, begin, end),
        cmocka_unit_test_setup_teardown(test_freed_pages_are_used_again_or_go, begin, end),
        cmocka_unit_test_setup_teardown(test_holes_of_idle_spans_go, begin, end),
        cmocka_unit_test_setup_teardown(test_lanes_keep_long_blocks_together, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_is_handed_out_twice, begin, end),
    };

    return cmocka_run_group_tests_name("tool/lanes", tests, NULL, NULL);
}
