/* SPDX-License-Identifier: MIT */
/* arena/space: what is ours, growth of the frontier, metadata, small reservations. */
#include "../unit.h"

#include "arena/arena.h"

/* --- addresses -------------------------------------------------------------------------------- */

static void
test_addresses_that_are_not_ours_have_no_span(void **state)
{
    int on_stack = 0;
    char *end = (char *)space.base + (atomic_load_relaxed(&space.slice_limit) << SLICE_SHIFT);

    (void)state;
    assert_null(space_span_of(NULL));
    assert_null(space_span_of(&on_stack));
    assert_null(space_span_of(&space));
    assert_null(space_span_of(end));
    assert_null(space_span_of((void *)(space.base - 1)));
    assert_null(space_span_of((void *)(space.base - 16)));
    assert_null(space_span_of((void *)UINTPTR_MAX));
    assert_null(space_span_of(space.slices)); /* metadata is nobody's block */
}

static void
test_a_slice_knows_its_span_while_it_has_one(void **state)
{
    struct slices s = slices_alloc(3, SLICE_BYTES, SLICES_SPARSE);
    static span_t span;

    (void)state;
    assert_non_null(s.start);
    assert_int_equal(s.count, 3);
    span.kind = SPAN_LARGE;
    space_map_span(&span, s.start, 3);
    assert_ptr_equal(space_span_of(s.start), &span);
    assert_ptr_equal(space_span_of(s.start + 1), &span);
    assert_ptr_equal(space_span_of(s.start + 3 * SLICE_BYTES - 1), &span);
    assert_ptr_not_equal(space_span_of(s.start + 3 * SLICE_BYTES), &span);
    assert_ptr_not_equal(space_span_of(s.start - 1), &span);
    slices_free(s.start, 3, 0);
    for (size_t i = 0; i < 3 * SLICE_BYTES; i += 4096) {
        assert_ptr_equal(space_span_of(s.start + i), &span_gone);
    }
}

static void
test_slices_never_used_have_the_span_of_nobody(void **state)
{
    size_t first;

    (void)state;
    lock_acquire(&arena_lock);
    first = space_grow_locked(1, CHUNK_SMALL_PAGES);
    lock_release(&arena_lock);
    assert_true(first != SIZE_MAX);
    for (size_t i = 0; i < CHUNK_SLICES; i++) {
        assert_ptr_equal(space_span_of(chunk_address(first) + (i << SLICE_SHIFT)), &span_none);
    }
    assert_int_equal(span_none.kind, SPAN_NONE);
    assert_int_equal(span_gone.kind, SPAN_NONE);
    assert_int_equal(space_slice_at(chunk_address(first))->owner, 0);
    assert_int_equal(space_slice_at(chunk_address(first))->marks, 0); /* no block is here */
}

static void
test_chunk_addresses_and_back(void **state)
{
    (void)state;
    assert_int_equal(space.base % CHUNK_BYTES, 0);
    for (size_t i = 0; i < 1000; i++) {
        char *at = chunk_address(i);

        require_eq((uintptr_t)at, space.base + i * CHUNK_BYTES);
        require_eq(chunk_of_address(at), i);
        require_eq(chunk_of_address(at + CHUNK_BYTES - 1), i);
    }
}

/* --- growth ----------------------------------------------------------------------------------- */

static size_t
grow(size_t count)
{
    size_t first;

    lock_acquire(&arena_lock);
    first = space_grow_locked(count, CHUNK_SMALL_PAGES);
    lock_release(&arena_lock);
    return first;
}

static void
test_growth_is_contiguous_and_reads_as_zero(void **state)
{
    size_t before = space.frontier;

    (void)state;
    assert_int_equal(grow(1), before);
    assert_int_equal(grow(5), before + 1);
    assert_int_equal(space.frontier, before + 6);
    assert_int_equal(space.slice_limit, (before + 6) * CHUNK_SLICES);
    for (size_t i = before; i < before + 6; i++) {
        char *chunk = chunk_address(i);

        require(unit_is_filled(chunk, 0, OS_PAGE));
        require(unit_is_filled(chunk + CHUNK_BYTES - OS_PAGE, 0, OS_PAGE));
        chunk[0] = chunk[CHUNK_BYTES - 1] = 1;
        require_eq(os_resident_range(chunk, CHUNK_BYTES), 2 * OS_PAGE);
    }
}

static void
test_growth_that_is_refused_changes_nothing(void **state)
{
    size_t before = space.frontier;
    size_t limit = space.slice_limit;
    uint32_t nth;

    (void)state;
    for (nth = 1; nth < 10; nth++) {
        size_t first;

        unit_faults_begin("commit", ENOMEM, nth, 1);
        first = grow(3);
        if (unit_faults_end() == 0) {
            assert_int_equal(first, before);
            break;
        }
        require(first == SIZE_MAX);
        require_eq(space.frontier, before);
        require_eq(space.slice_limit, limit);
    }
    require(nth > 1 && nth < 10);
    require_eq(space.frontier, before + 3);
}

static void
test_growth_beyond_the_address_space_is_refused(void **state)
{
    size_t before = space.frontier;

    (void)state;
    assert_true(grow(space.max_chunks + 1) == SIZE_MAX);
    assert_true(grow(space.max_chunks - before + 1) == SIZE_MAX);
    assert_true(grow(SIZE_MAX / 2) == SIZE_MAX);
    assert_int_equal(space.frontier, before);
    assert_int_equal(grow(1), before);
}

/* --- metadata --------------------------------------------------------------------------------- */

static void
test_metadata_is_zeroed_aligned_and_apart(void **state)
{
    enum { N = 300 };
    static char *blocks[N];
    size_t before = meta_bytes();

    (void)state;
    for (size_t i = 0; i < N; i++) {
        size_t size = 1 + i * 7 % 1000;

        blocks[i] = meta_alloc(size);
        require(blocks[i] != NULL);
        require_eq((uintptr_t)blocks[i] % TIDE_CACHE_LINE, 0);
        require(unit_is_filled(blocks[i], 0, align_up(size, TIDE_CACHE_LINE)));
        require(space_span_of(blocks[i]) == NULL);
        require(blocks[i] >= (char *)space.slices);
        require(blocks[i] + size <= (char *)space.slices + meta_span_bytes());
        memset(blocks[i], (int)i | 1, size);
    }
    for (size_t i = 0; i < N; i++) {
        require(unit_is_filled(blocks[i], (unsigned char)(i | 1), 1 + i * 7 % 1000));
    }
    require_ge(meta_bytes(), before);
    require_le(meta_bytes(), meta_span_bytes());
}

static void
test_metadata_runs_out_and_comes_back(void **state)
{
    int got = 0;

    (void)state;
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    while (meta_alloc(4096) != NULL) {
        got++;
    }
    assert_null(meta_alloc(4096));
    assert_true(unit_faults_end() >= 2);
    assert_true(got <= 16); /* what was accessible */
    assert_non_null(meta_alloc(4096));
    assert_null(meta_alloc(meta_span_bytes()));
    assert_non_null(meta_alloc(1));
}

static void
test_span_records_are_reused_for_records_only(void **state)
{
    span_t *a = span_record_alloc();
    span_t *b = span_record_alloc();

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_int_equal((uintptr_t)a % TIDE_CACHE_LINE, 0);
    assert_int_equal(a->remote, 0);
    assert_int_equal(a->kind, SPAN_NONE);
    a->kind = SPAN_SMALL;
    a->remote = 0;
    span_record_free(a);
    assert_int_equal(a->kind, SPAN_NONE);
    assert_ptr_equal(span_record_alloc(), a);
    assert_null(a->next);
    span_record_free(b);
    span_record_free(a);
    assert_ptr_equal(span_record_alloc(), a);
    assert_ptr_equal(span_record_alloc(), b);
    span_record_free(a);
    span_record_free(b);
}

static void
test_span_records_run_out_and_come_back(void **state)
{
    enum { N = 2000 };
    static span_t *records[N];
    size_t n = 0;

    (void)state;
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    while (n < N && (records[n] = span_record_alloc()) != NULL) {
        n++;
    }
    assert_true(unit_faults_end() > 0);
    assert_true(n < N);
    records[n] = span_record_alloc();
    assert_non_null(records[n]);
    for (size_t i = 0; i <= n; i++) {
        span_record_free(records[i]);
    }
}

/* --- reservations: in children, which make a new one ------------------------------------------ */

static void
start_over(size_t address_limit)
{
    space = (struct space){.slices = space.slices};
    os_info.address_limit = address_limit;
}

static void
reserve_under_faults(void *arg)
{
    const uint32_t *faults = arg;

    start_over(SIZE_MAX);
    unit_faults_begin("reserve", ENOMEM, 1, *faults);
    require_eq(space_init((size_t)1 << 40), 0);
    require_eq(unit_faults_end(), *faults);
    /* Each refusal halves the wish. */
    require_ge(space.reserved_chunks, ((size_t)1 << 40 >> *faults) >> CHUNK_SHIFT);
    require_le(space.reserved_chunks, (((size_t)1 << 40 >> *faults) >> CHUNK_SHIFT) + 1);
    require_eq(grow(2), 0);
    memset(chunk_address(0), 1, 2 * CHUNK_BYTES);
    require(meta_alloc(10000) != NULL);
}

static void
test_a_refused_reservation_is_tried_again_smaller(void **state)
{
    (void)state;
    for (uint32_t n = 4; n <= 16; n += 4) {
        unit_child(reserve_under_faults, &n);
    }
}

static void
reserve_nothing(void *arg)
{
    (void)arg;
    start_over(SIZE_MAX);
    unit_faults_begin("reserve", ENOMEM, 1, UINT32_MAX);
    require_eq(space_init((size_t)1 << 40), ENOMEM);
    require_le(unit_faults_end(), 40);
}

static void
test_no_reservation_at_all_is_an_error(void **state)
{
    (void)state;
    unit_child(reserve_nothing, NULL);
}

/* 1 GiB of addresses: a part is reserved at first and extended in place while it lasts. */
static void
reserve_under_a_limit(void *arg)
{
    const size_t limit = (size_t)1 << 30;
    size_t chunks = 0;
    size_t first_reserved;

    (void)arg;
    start_over(limit);
    require_eq(space_init((size_t)1 << 40), 0);
    first_reserved = space.reserved_chunks;
    require_le(space.reserved_bytes, limit / 2);
    require_ge(space.max_chunks, limit >> CHUNK_SHIFT);
    while (chunks < limit / 2 >> CHUNK_SHIFT) {
        size_t got = grow(4);

        if (got == SIZE_MAX) { /* something lies behind us: no more, but no damage either */
            break;
        }
        require_eq(got, chunks);
        chunk_address(got)[0] = chunk_address(got + 4)[-1] = 1;
        chunks += 4;
    }
    require_ge(chunks + 3, first_reserved); /* all of the first part at least */
    require_le(space.frontier, space.reserved_chunks);
    require_eq(space.frontier, chunks);
    if (chunks > first_reserved) {
        require_le(space.reserved_bytes, limit);
    }
    while (grow(16) != SIZE_MAX) {
    }
    require_le(space.frontier, space.max_chunks);
}

static void
test_a_small_reservation_grows_in_place(void **state)
{
    (void)state;
    unit_child(reserve_under_a_limit, NULL);
}

/* Slice records are found by address bits: where the table ends it goes on with its first one. */
static void
reserve_where_the_records_wrap(void *arg)
{
    size_t slices;
    size_t first;
    size_t left;

    (void)arg;
    os_unreserve((void *)space.base, space.reserved_chunks << CHUNK_SHIFT); /* it is in the way */
    os_unreserve(space.slices, meta_span_bytes());
    space.slices = NULL;
    start_over((size_t)256 << 20); /* a small table, and all that it is for is ours */
    require_eq(space_init((size_t)1 << 40), 0);
    require_eq(grow(space.max_chunks), 0);
    slices = space.slice_mask / sizeof(slice_t) + 1;
    require_eq(slices, space.max_chunks * CHUNK_SLICES);
    first = (size_t)(space_slice_at((void *)space.base) - space.slices);
    left = slices - first;
    require(first > 0); /* the metadata is in front */
    for (size_t i = 0; i < slices; i++) {
        char *start = slice_address(i);
        slice_t *slice = space_slice_at(start + i % SLICE_BYTES);

        require_eq((size_t)(slice - space.slices), i < left ? first + i : i - left);
        require(space_span_of(start) == &span_none);
        space_map_span((span_t *)(void *)start, start, 1); /* any address will do */
    }
    for (size_t i = 0; i < slices; i++) {
        char *start = slice_address(i);

        require((void *)space_span_of(start + SLICE_BYTES - 1) == (void *)start);
    }
    require_eq(grow(1), SIZE_MAX);
}

static TIDE_UNUSED void
test_slice_records_go_on_at_the_other_end(void **state)
{
    (void)state;
    unit_child(reserve_where_the_records_wrap, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_that_are_not_ours_have_no_span),
        cmocka_unit_test(test_a_slice_knows_its_span_while_it_has_one),
        cmocka_unit_test(test_slices_never_used_have_the_span_of_nobody),
        cmocka_unit_test(test_chunk_addresses_and_back),
        cmocka_unit_test(test_growth_is_contiguous_and_reads_as_zero),
        cmocka_unit_test(test_growth_that_is_refused_changes_nothing),
        cmocka_unit_test(test_growth_beyond_the_address_space_is_refused),
        cmocka_unit_test(test_metadata_is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_metadata_runs_out_and_comes_back),
        cmocka_unit_test(test_span_records_are_reused_for_records_only),
        cmocka_unit_test(test_span_records_run_out_and_come_back),
        cmocka_unit_test(test_a_refused_reservation_is_tried_again_smaller),
        cmocka_unit_test(test_no_reservation_at_all_is_an_error),
        cmocka_unit_test(test_a_small_reservation_grows_in_place),
#ifndef TIDE_SANITIZED /* whose mappings are in the way */
        cmocka_unit_test(test_slice_records_go_on_at_the_other_end),
#endif
    };

    return cmocka_run_group_tests_name("arena/space", tests, unit_setup, NULL);
}
