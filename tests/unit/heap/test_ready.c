/* SPDX-License-Identifier: MIT */
/* heap/ready: blocks made to measure hold their pages and no others; who gets them. */
#include "spans.h"

#include "heap/ready.h"

enum { PAGES = 9 };
static const size_t bytes = (size_t)PAGES << OS_PAGE_SHIFT;

static int
drop_all(void **state)
{
    (void)state;
    large_let_go_cache(heap_self()); /* or malloc takes what the test before has freed */
    while (ready_drop(PAGES) > 0) {
    }
    return ready_slices == 0 ? 0 : -1;
}

static void
test_one_is_made_and_taken(void **state)
{
    span_t *span;

    (void)state;
    assert_null(ready_take(PAGES));
    assert_int_equal(ready_make(PAGES), bytes);
    assert_int_equal(ready_count(PAGES), 1);
    assert_int_equal(ready_slices, 2);
    assert_null(ready_take(PAGES + 1));
    span = ready_take(PAGES);
    assert_non_null(span);
    assert_int_equal(span->bytes, bytes);
    assert_int_equal(os_resident_range(span->start, 2 * SLICE_BYTES), bytes);
    assert_true(unit_is_filled(span->start, 0, bytes));
    assert_int_equal(ready_slices, 0);
    tide_free(span->start);
}

static void
test_malloc_and_calloc_take_them(void **state)
{
    char *p;
    char *q;

    (void)state;
    assert_int_equal(ready_make(PAGES), bytes);
    assert_int_equal(ready_make(PAGES), bytes);
    p = tide_malloc(bytes);
    q = tide_calloc(1, bytes);
    assert_int_equal(ready_count(PAGES), 0);
    assert_int_equal(tide_malloc_usable_size(p), bytes);
    assert_true(unit_is_filled(q, 0, bytes));
    memset(p, 1, bytes);
    memset(q, 2, bytes);
    tide_free(p);
    tide_free(q);
}

static void
test_aligned_ones_are_not_theirs(void **state)
{
    void *p;

    (void)state;
    assert_int_equal(ready_make(PAGES), bytes);
    p = tide_aligned_alloc(2 * SLICE_BYTES, bytes);
    assert_int_equal((uintptr_t)p % (2 * SLICE_BYTES), 0);
    assert_int_equal(ready_count(PAGES), 1);
    tide_free(p);
}

static void
test_questions_are_counted_while_somebody_listens(void **state)
{
    uint64_t asked = ready_asked(PAGES);

    (void)state;
    assert_null(ready_take(PAGES));
    assert_int_equal(ready_asked(PAGES), asked);
    arena_set_marks(0, UINT64_MAX - 1);
    assert_null(ready_take(PAGES));
    arena_set_marks(0, UINT64_MAX);
    assert_int_equal(ready_asked(PAGES), asked + 1);
}

static void
test_no_pages_no_block(void **state)
{
    size_t used = arena_counters.used_slices;

    (void)state;
    unit_faults_begin("populate", ENOMEM, 1, 1);
    assert_int_equal(ready_make(PAGES), 0);
    unit_faults_end();
    assert_int_equal(arena_counters.used_slices, used);
    assert_int_equal(ready_count(PAGES), 0);
    assert_int_equal(ready_drop(PAGES), 0);
}

static void
use_in_child(void *arg)
{
    void *p = tide_malloc(bytes);

    (void)arg;
    require_eq(ready_count(PAGES), 0);
    memset(p, 3, bytes);
    tide_free(p);
    require_eq(ready_make(PAGES), bytes);
}

static void
test_a_child_has_them_too(void **state)
{
    (void)state;
    assert_int_equal(ready_make(PAGES), bytes);
    unit_child(use_in_child, NULL);
    assert_int_equal(ready_count(PAGES), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_is_made_and_taken, drop_all),
        cmocka_unit_test_setup(test_malloc_and_calloc_take_them, drop_all),
        cmocka_unit_test_setup(test_aligned_ones_are_not_theirs, drop_all),
        cmocka_unit_test_setup(test_questions_are_counted_while_somebody_listens, drop_all),
        cmocka_unit_test_setup(test_no_pages_no_block, drop_all),
        cmocka_unit_test_setup(test_a_child_has_them_too, drop_all),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
