/* SPDX-License-Identifier: MIT */
/* arena/populate: pages are there before they are taken, and taken first; the marks. */
#include "../unit.h"

#include "arena/arena.h"

static int
begin(void **state)
{
    (void)state;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    return arena_counters.free_dirty_slices == 0 ? 0 : -1;
}

static void
test_what_is_populated_is_taken_next_and_is_zero(void **state)
{
    size_t got = arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES);
    struct slices s;

    (void)state;
    assert_int_equal(got, CHUNK_BYTES / 4);
    assert_int_equal(arena_counters.free_dirty_slices << SLICE_SHIFT, got);
    s = slices_alloc(CHUNK_SLICES / 4, SLICE_BYTES, SLICES_SPARSE);
    assert_int_equal(s.clean, 0);
    assert_int_equal(os_resident_range(s.start, got), got);
    assert_true(unit_is_filled(s.start, 0, got));
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    slices_free(s.start, s.count, s.count);
}

static void
test_it_can_be_given_back_like_any_other(void **state)
{
    size_t got = arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES);

    (void)state;
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), got);
}

static void
test_small_amounts_come_from_small_gaps(void **state)
{
    struct slices s = slices_alloc(CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    size_t got;

    (void)state;
    slices_free(s.start + (16 << SLICE_SHIFT), 12, 0); /* a gap of 12 without pages */
    got = arena_populate(CHUNK_BYTES, CHUNK_SMALL_PAGES);
    assert_int_equal(got, (size_t)12 << SLICE_SHIFT);
    assert_int_equal(os_resident_range(s.start + (16 << SLICE_SHIFT), got), got);
    assert_int_equal(arena_populate(0, CHUNK_SMALL_PAGES), 0);
    assert_int_equal(arena_populate(SLICE_BYTES - 1, CHUNK_SMALL_PAGES), 0);
    slices_free(s.start, 16, 0);
    slices_free(s.start + (28 << SLICE_SHIFT), CHUNK_SLICES - 28, 0);
}

static void
test_huge_pages_whole_chunks_only(void **state)
{
    size_t got = arena_populate(SLICE_BYTES, CHUNK_HUGE_PAGES);

    (void)state;
    assert_int_equal(got, CHUNK_BYTES);
    assert_int_equal(arena_counters.free_dirty_slices, CHUNK_SLICES);
}

static void
test_refusals_lose_nothing(void **state)
{
    size_t used = arena_counters.used_slices;
    uint64_t failures = arena_counters.populate_failures;

    (void)state;
    unit_faults_begin("populate", ENOMEM, 1, 1);
    assert_int_equal(arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES), 0);
    unit_faults_end();
    assert_int_equal(arena_counters.populate_failures, failures + 1);
    assert_int_equal(arena_counters.used_slices, used);
    assert_true(arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES) > 0);
}

static void
test_marks(void **state)
{
    struct slices s[3];

    (void)state;
    assert_false(arena_is_watched());
    assert_false(arena_runs_low());
    assert_true(arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES) > 0);
    arena_set_marks(CHUNK_SLICES / 8, arena_counters.clean_taken + 4);
    assert_true(arena_is_watched());
    assert_false(arena_runs_low());
    s[0] = slices_alloc(CHUNK_SLICES / 8, SLICE_BYTES, SLICES_SPARSE);
    assert_false(arena_runs_low());
    s[1] = slices_alloc(1, SLICE_BYTES, SLICES_SPARSE);
    assert_true(arena_runs_low()); /* few are left */
    arena_set_marks(0, arena_counters.clean_taken + 4);
    assert_false(arena_runs_low());
    s[2] = slices_alloc(CHUNK_SLICES / 4, SLICE_BYTES, SLICES_SPARSE);
    assert_true(s[2].clean >= 4);
    assert_true(arena_runs_low()); /* page faults are to come */
    arena_set_marks(0, UINT64_MAX);
    assert_false(arena_runs_low());
    for (unsigned i = 0; i < 3; i++) {
        slices_free(s[i].start, s[i].count, s[i].count);
    }
}

static void
test_bare_slices_have_no_pages_and_are_no_demand(void **state)
{
    uint64_t clean_taken = arena_counters.clean_taken;
    size_t used = arena_counters.used_slices;
    char *p;

    (void)state;
    assert_true(arena_populate(CHUNK_BYTES / 4, CHUNK_SMALL_PAGES) > 0);
    p = slices_alloc_bare(3);
    assert_non_null(p);
    assert_int_equal(os_resident_range(p, 3 << SLICE_SHIFT), 0);
    assert_int_equal(arena_counters.clean_taken, clean_taken);
    assert_int_equal(arena_counters.used_slices, used + 3);
    assert_true(arena_populate_used(p, SLICE_BYTES + OS_PAGE));
    assert_int_equal(os_resident_range(p, 3 << SLICE_SHIFT), SLICE_BYTES + OS_PAGE);
    slices_free(p, 3, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_is_populated_is_taken_next_and_is_zero, begin),
        cmocka_unit_test_setup(test_it_can_be_given_back_like_any_other, begin),
        cmocka_unit_test_setup(test_small_amounts_come_from_small_gaps, begin),
        cmocka_unit_test_setup(test_huge_pages_whole_chunks_only, begin),
        cmocka_unit_test_setup(test_refusals_lose_nothing, begin),
        cmocka_unit_test_setup(test_marks, begin),
        cmocka_unit_test_setup(test_bare_slices_have_no_pages_and_are_no_demand, begin),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
