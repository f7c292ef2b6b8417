/* SPDX-License-Identifier: MIT */
/* arena/move: pages go to where they are wanted, contents stay what they are, nothing is lost when
 * the kernel refuses. */
#include "../unit.h"

#include "arena/arena.h"

#define HALF (CHUNK_SLICES / 2)

static struct slices
filled(size_t count, int byte)
{
    struct slices s = slices_alloc(count, CHUNK_BYTES, SLICES_SPARSE);

    require(s.start != NULL);
    memset(s.start, byte, count << SLICE_SHIFT);
    return s;
}

static void
give_back(struct slices s)
{
    slices_free(s.start, s.count, s.count);
}

/* Free memory that lies in single chunks between others in use: every second one of `chunks`. */
static char *
scattered(size_t chunks)
{
    char *p = filled(chunks * CHUNK_SLICES, 0xa5).start;

    for (size_t i = 0; i < chunks; i += 2) {
        slices_free(p + (i << CHUNK_SHIFT), CHUNK_SLICES, CHUNK_SLICES);
    }
    return p;
}

static void
give_back_the_others(char *p, size_t chunks)
{
    for (size_t i = 1; i < chunks; i += 2) {
        require(unit_is_filled(p + (i << CHUNK_SHIFT), 0xa5, CHUNK_BYTES));
        slices_free(p + (i << CHUNK_SHIFT), CHUNK_SLICES, CHUNK_SLICES);
    }
}

static int
begin(void **state)
{
    (void)state;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    if (!os_has(OS_FEATURE_MREMAP_DONTUNMAP)) {
        print_message("pages cannot be moved here\n");
        skip();
    }
    return arena_counters.free_dirty_slices == 0 ? 0 : -1;
}

static void
test_scattered_chunks_come_together(void **state)
{
    char *p = scattered(8);
    struct slices s = slices_alloc(4 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    uint64_t moved = arena_counters.moved_bytes;

    (void)state;
    assert_int_equal(s.clean, s.count); /* no four of them lie side by side */
    assert_true(arena_gather(&s));
    assert_int_equal(s.clean, 0);
    assert_int_equal(arena_counters.moved_bytes - moved, 4 * CHUNK_BYTES);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    assert_int_equal(os_resident_range(s.start, 4 * CHUNK_BYTES), 4 * CHUNK_BYTES);
    for (size_t i = 0; i < 8; i += 2) { /* what they left is clean, and can be had */
        size_t clean = 0;

        require_eq(os_resident_range(p + (i << CHUNK_SHIFT), CHUNK_BYTES), 0);
        require(slices_extend(p + (i << CHUNK_SHIFT), 0, CHUNK_SLICES, &clean));
        require_eq(clean, CHUNK_SLICES);
        require(unit_is_filled(p + (i << CHUNK_SHIFT), 0, CHUNK_BYTES));
        slices_free(p + (i << CHUNK_SHIFT), CHUNK_SLICES, CHUNK_SLICES);
    }
    memset(s.start, 0x11, 4 * CHUNK_BYTES);
    give_back_the_others(p, 8);
    assert_true(unit_is_filled(s.start, 0x11, 4 * CHUNK_BYTES));
    give_back(s);
}

static void
test_the_rest_of_the_last_chunk_is_free_memory_with_pages(void **state)
{
    char *p = scattered(6);
    struct slices s = slices_alloc(2 * CHUNK_SLICES + HALF, CHUNK_BYTES, SLICES_SPARSE);
    size_t clean = 0;

    (void)state;
    assert_true(arena_gather(&s));
    assert_int_equal(s.clean, 0);
    assert_int_equal(arena_counters.free_dirty_slices, HALF);
    assert_true(slices_extend(s.start, s.count, HALF, &clean));
    assert_int_equal(clean, 0);
    s.count += HALF;
    give_back_the_others(p, 6);
    give_back(s);
}

static void
test_chunks_with_pages_keep_them(void **state)
{
    struct slices s = filled(3 * CHUNK_SLICES, 0x77);
    char *p = scattered(4);
    char *start = s.start;

    (void)state;
    give_back(s);
    s = slices_alloc(3 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    assert_ptr_equal(s.start, start);
    assert_int_equal(s.clean, 0);
    assert_true(arena_gather(&s));
    assert_true(unit_is_filled(s.start, 0x77, 3 * CHUNK_BYTES));
    give_back_the_others(p, 4);
    give_back(s);
}

static void
refused(const char *other)
{
    char *p = scattered(8);
    struct slices s = slices_alloc(4 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    size_t dirty = arena_counters.free_dirty_slices;

    unit_faults_begin(other, ENOMEM, 1, UINT32_MAX);
    assert_true(arena_gather(&s)); /* the addresses are good nevertheless */
    assert_true(unit_faults_end() > 0);
    assert_int_equal(s.clean, s.count);
    assert_int_equal(arena_counters.free_dirty_slices, dirty);
    assert_true(unit_is_filled(s.start, 0, 4 * CHUNK_BYTES));
    for (size_t i = 0; i < 8; i++) {
        require(unit_is_filled(p + (i << CHUNK_SHIFT), 0xa5, CHUNK_BYTES));
    }
    give_back_the_others(p, 8);
    give_back(s);
}

static void
test_a_refusal_leaves_everything_as_it_was(void **state)
{
    (void)state;
    refused("move");
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    refused(NULL); /* the renewal as well */
}

static size_t
mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t n = 0;

    require(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        n++;
    }
    fclose(maps);
    return n;
}

static void
test_what_is_given_back_merges_again(void **state)
{
    enum { N = 32 };
    char *p = scattered(2 * N);
    size_t before = mappings();
    struct slices s = slices_alloc(N * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);

    (void)state;
    assert_true(arena_gather(&s));
    assert_true(mappings() >= before + N - 1);
    memset(s.start, 1, N * CHUNK_BYTES);
    give_back(s);
    give_back_the_others(p, 2 * N);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    assert_int_equal(os_resident_range(s.start, N * CHUNK_BYTES), 0);
    require_le(mappings(), before + 4);
}

static void
check_move(size_t from_slice, size_t count, const char *refuse)
{
    struct slices from = filled(from_slice + count, 0x3c);
    struct slices to = slices_alloc_clean(count + 5, 0, SLICES_SPARSE);
    size_t bytes = count << SLICE_SHIFT;
    size_t copied = 0;

    require(to.start != NULL);
    unit_faults_begin(refuse, ENOMEM, refuse == NULL ? UINT32_MAX : 2, 1);
    require(arena_move(from.start + (from_slice << SLICE_SHIFT), to.start, bytes, &copied));
    unit_faults_end();
    require(refuse != NULL || copied < bytes);
    require(unit_is_filled(to.start, 0x3c, bytes));
    require(unit_is_filled(to.start + bytes, 0, 5 * SLICE_BYTES));
    if (copied == 0) {
        require_eq(os_resident_range(from.start + (from_slice << SLICE_SHIFT), bytes), 0);
    }
    give_back(from);
    give_back(to);
}

static void
test_blocks_move_piece_by_piece(void **state)
{
    (void)state;
    check_move(0, 8, NULL);
    check_move(0, 3 * CHUNK_SLICES, NULL);
    check_move(7, 2 * CHUNK_SLICES + 9, NULL); /* no piece is a chunk */
    check_move(0, 3 * CHUNK_SLICES, "move");
    check_move(HALF, 3 * CHUNK_SLICES, "move");
}

enum { RUN = 6, RUNS = 5 };

/* A chunk in which runs of RUN slices are free with pages between others in use; one that does not
 * fit there, which gets them. */
static struct slices
gathered_from_runs(char **holes)
{
    char *p = filled(CHUNK_SLICES, 0xa5).start;
    struct slices s;

    for (size_t i = 0; i < RUNS; i++) {
        slices_free(p + (2 * i * RUN << SLICE_SHIFT), RUN, RUN);
    }
    s = slices_alloc(RUNS * RUN - 2, SLICE_BYTES, SLICES_SPARSE);
    require(s.start != NULL && s.clean == s.count);
    require(arena_gather(&s) && s.clean == s.count); /* there may be so much, and more */
    arena_counters.filled_highest = 0;
    while (arena_excess() == 0) { /* of what is in use a good deal less than all was, once */
        require(slices_alloc(CHUNK_SLICES, SLICE_BYTES, SLICES_SPARSE).start != NULL);
        arena_counters.filled_highest = 0;
    }
    require(arena_gather(&s));
    *holes = p;
    return s;
}

static void
test_runs_come_together(void **state)
{
    uint64_t moved = arena_counters.moved_bytes;
    char *p;
    struct slices s = gathered_from_runs(&p);

    (void)state;
    assert_int_equal(s.clean, 0);
    assert_int_equal(arena_counters.moved_bytes - moved, (size_t)s.count << SLICE_SHIFT);
    assert_int_equal(arena_counters.free_dirty_slices, 2);
    assert_int_equal(os_resident_range(s.start, s.count << SLICE_SHIFT), s.count << SLICE_SHIFT);
    memset(s.start, 0x11, (size_t)s.count << SLICE_SHIFT);
    for (size_t i = 0; i < RUNS; i++) {
        require(unit_is_filled(p + ((2 * i + 1) * RUN << SLICE_SHIFT), 0xa5, RUN << SLICE_SHIFT));
    }
    for (size_t i = 0; i < RUNS; i++) { /* what they left is clean; two slices stayed somewhere */
        char *run = p + (2 * i * RUN << SLICE_SHIFT);
        size_t clean = 0;

        require(slices_extend(run, 0, RUN, &clean) && clean >= RUN - 2);
        require(clean < RUN || unit_is_filled(run, 0, RUN << SLICE_SHIFT));
    }
    assert_true(unit_is_filled(s.start, 0x11, (size_t)s.count << SLICE_SHIFT));
    slices_free(p, CHUNK_SLICES, CHUNK_SLICES);
    give_back(s);
}

static void
test_what_was_gathered_moves_on(void **state)
{
    char *p;
    struct slices s = gathered_from_runs(&p);
    struct slices to = slices_alloc_clean(s.count, 0, SLICES_SPARSE);
    size_t bytes = (size_t)s.count << SLICE_SHIFT;
    size_t copied;

    (void)state;
    memset(s.start, 0x3c, bytes);
    assert_true(arena_move(s.start, to.start, bytes, &copied));
    assert_int_equal(copied, 0); /* no piece of it lies in two mappings */
    assert_true(unit_is_filled(to.start, 0x3c, bytes));
    assert_int_equal(os_resident_range(s.start, bytes), 0);
    slices_free(s.start, s.count, 0);
    give_back(to);
}

static void
test_gathering_at_random_keeps_contents(void **state)
{
    enum { N = 16, STEPS = 600 };
    struct unit_random r = {5};
    struct slices held[N] = {{.start = NULL}};
    int byte[N] = {0};

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        size_t i = unit_below(&r, N);

        if (held[i].start != NULL) {
            require(unit_is_filled(held[i].start, byte[i], (size_t)held[i].count << SLICE_SHIFT));
            give_back(held[i]);
        }
        held[i] = slices_alloc(1 + unit_below(&r, step % 2 ? HALF : 4 * CHUNK_SLICES), SLICE_BYTES,
                               SLICES_DENSE);
        arena_counters.filled_highest = 0; /* whatever is free is too much */
        require(held[i].start != NULL && arena_gather(&held[i]));
        if (held[i].clean == held[i].count) {
            require(unit_is_filled(held[i].start, 0, (size_t)held[i].count << SLICE_SHIFT));
        }
        byte[i] = 1 + (int)unit_below(&r, 250);
        memset(held[i].start, byte[i], (size_t)held[i].count << SLICE_SHIFT);
        if (step % 40 == 0) {
            (void)arena_purge_free(8 << 20, unit_now_tick());
        }
    }
    for (size_t i = 0; i < N; i++) {
        if (held[i].start != NULL) {
            require(unit_is_filled(held[i].start, byte[i], (size_t)held[i].count << SLICE_SHIFT));
            give_back(held[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_scattered_chunks_come_together, begin),
        cmocka_unit_test_setup(test_the_rest_of_the_last_chunk_is_free_memory_with_pages, begin),
        cmocka_unit_test_setup(test_chunks_with_pages_keep_them, begin),
        cmocka_unit_test_setup(test_a_refusal_leaves_everything_as_it_was, begin),
        cmocka_unit_test_setup(test_what_is_given_back_merges_again, begin),
        cmocka_unit_test_setup(test_blocks_move_piece_by_piece, begin),
        cmocka_unit_test_setup(test_runs_come_together, begin),
        cmocka_unit_test_setup(test_what_was_gathered_moves_on, begin),
        cmocka_unit_test_setup(test_gathering_at_random_keeps_contents, begin),
    };

    return cmocka_run_group_tests_name("arena/move", tests, unit_setup, NULL);
}
