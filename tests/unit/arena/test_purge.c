/* SPDX-License-Identifier: MIT */
/* arena/purge: what is given back is gone, and reads as zero; who decides what. */
#include "../unit.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "arena/arena.h"

/* Chunks of our own, every page of them in RAM. */
static char *
filled_chunks(size_t chunks)
{
    struct slices s = slices_alloc(chunks * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);

    require(s.start != NULL);
    memset(s.start, 0xa5, chunks << CHUNK_SHIFT);
    require_eq(os_resident_range(s.start, chunks << CHUNK_SHIFT), chunks << CHUNK_SHIFT);
    return s.start;
}

/* Nothing is left to give back, so that the tests count only their own. */
static int
begin(void **state)
{
    (void)state;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    return arena_counters.free_dirty_slices == 0 ? 0 : -1;
}

static void
test_free_pages_are_gone_and_read_as_zero(void **state)
{
    char *p = filled_chunks(3);
    uint64_t purged = arena_counters.purged_bytes;
    size_t clean = 0;

    (void)state;
    slices_free(p, 3 * CHUNK_SLICES, 3 * CHUNK_SLICES);
    assert_int_equal(os_resident_range(p, 3 * CHUNK_BYTES), 3 * CHUNK_BYTES); /* kept until then */
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 3 * CHUNK_BYTES);
    assert_int_equal(os_resident_range(p, 3 * CHUNK_BYTES), 0);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    assert_int_equal(arena_counters.purged_bytes - purged, 3 * CHUNK_BYTES);
    assert_true(slices_extend(p, 0, 3 * CHUNK_SLICES, &clean));
    assert_int_equal(clean, 3 * CHUNK_SLICES);
    assert_true(unit_is_filled(p, 0, 3 * CHUNK_BYTES));
    slices_free(p, 3 * CHUNK_SLICES, 3 * CHUNK_SLICES);
}

static void
test_used_slices_are_left_alone(void **state)
{
    char *p = filled_chunks(1);

    (void)state;
    for (size_t i = 0; i < CHUNK_SLICES; i += 2) { /* every second one */
        slices_free(p + (i << SLICE_SHIFT), 1, 1);
    }
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), CHUNK_BYTES / 2);
    for (size_t i = 0; i < CHUNK_SLICES; i++) {
        char *slice = p + (i << SLICE_SHIFT);

        require_eq(os_resident_range(slice, SLICE_BYTES), i % 2 == 0 ? 0 : SLICE_BYTES);
        require(i % 2 == 0 || unit_is_filled(slice, 0xa5, SLICE_BYTES));
    }
    for (size_t i = 1; i < CHUNK_SLICES; i += 2) {
        slices_free(p + (i << SLICE_SHIFT), 1, 1);
    }
}

static void
test_clean_slices_cost_no_call(void **state)
{
    struct slices s = slices_alloc(2 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    uint64_t calls;

    (void)state;
    slices_free(s.start, s.count, 0);
    calls = arena_counters.purge_calls;
    unit_faults_begin("purge", EINVAL, UINT32_MAX, 0); /* counts only */
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 0);
    unit_faults_end();
    assert_int_equal(unit_faults.seen, 0);
    assert_int_equal(arena_counters.purge_calls, calls);
}

static void
test_the_quota_is_kept_to_a_chunk(void **state)
{
    char *p = filled_chunks(5);
    size_t got;

    (void)state;
    slices_free(p, 5 * CHUNK_SLICES, 5 * CHUNK_SLICES);
    assert_int_equal(arena_purge_free(0, unit_now_tick()), 0);
    got = arena_purge_free(CHUNK_BYTES + 1, unit_now_tick());
    assert_int_equal(got, 2 * CHUNK_BYTES);
    assert_int_equal(os_resident_range(p, 5 * CHUNK_BYTES), 3 * CHUNK_BYTES);
    /* From the top, where memory is least likely to be wanted back. */
    assert_int_equal(os_resident_range(p, 3 * CHUNK_BYTES), 3 * CHUNK_BYTES);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 3 * CHUNK_BYTES);
}

static void
test_chunks_freed_into_since_the_tick_are_spared(void **state)
{
    char *p = filled_chunks(2);
    uint32_t tick;

    (void)state;
    slices_free(p, CHUNK_SLICES, CHUNK_SLICES);
    tick = atomic_add_relaxed(&arena_tick, 1);
    slices_free(p + CHUNK_BYTES, CHUNK_SLICES, CHUNK_SLICES);
    assert_int_equal(arena_purge_free(SIZE_MAX, tick - 1), 0);
    assert_int_equal(arena_purge_free(SIZE_MAX, tick), CHUNK_BYTES);
    assert_int_equal(os_resident_range(p, CHUNK_BYTES), 0);
    assert_int_equal(os_resident_range(p + CHUNK_BYTES, CHUNK_BYTES), CHUNK_BYTES);
    assert_int_equal(arena_purge_free(SIZE_MAX, tick + 1), CHUNK_BYTES);
}

static void
test_ticks_may_wrap(void **state)
{
    char *p = filled_chunks(1);

    (void)state;
    atomic_store_relaxed(&arena_tick, UINT32_MAX);
    slices_free(p, CHUNK_SLICES, CHUNK_SLICES);
    assert_int_equal(arena_purge_free(SIZE_MAX, UINT32_MAX), 0);
    assert_int_equal(arena_purge_free(SIZE_MAX, 0), CHUNK_BYTES);
    atomic_store_relaxed(&arena_tick, 100);
}

static void
test_a_refused_purge_keeps_the_slices_in_use_and_dirty(void **state)
{
    char *p = filled_chunks(2);
    uint64_t failures = arena_counters.purge_failures;
    size_t clean = 0;

    (void)state;
    slices_free(p, 2 * CHUNK_SLICES, 2 * CHUNK_SLICES);
    unit_faults_begin("purge", EAGAIN, 1, UINT32_MAX);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 0);
    assert_true(unit_faults_end() > 0);
    assert_true(arena_counters.purge_failures > failures);
    assert_int_equal(arena_counters.free_dirty_slices, 2 * CHUNK_SLICES);
    assert_true(slices_extend(p, 0, 2 * CHUNK_SLICES, &clean));
    assert_int_equal(clean, 0);
    assert_true(unit_is_filled(p, 0xa5, 2 * CHUNK_BYTES));
    slices_free(p, 2 * CHUNK_SLICES, 2 * CHUNK_SLICES);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 2 * CHUNK_BYTES);
}

/* Of one chunk's runs some were purged and one was not: that stays dirty. */
static void
test_what_is_refused_stays_dirty_and_the_rest_goes(void **state)
{
    char *p = filled_chunks(1);
    size_t clean = 0;

    (void)state;
    slices_free(p, 4, 4);
    slices_free(p + 8 * SLICE_BYTES, 4, 4);
    unit_faults_begin("purge", EAGAIN, 2, 1);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 4 * SLICE_BYTES);
    assert_int_equal(unit_faults_end(), 1);
    assert_int_equal(arena_counters.free_dirty_slices, 4);
    assert_true(slices_extend(p, 0, 4, &clean));
    assert_int_equal(clean, 4);
    assert_true(slices_extend(p + 8 * SLICE_BYTES, 0, 4, &clean));
    assert_int_equal(clean, 0);
    assert_true(unit_is_filled(p + 8 * SLICE_BYTES, 0xa5, 4 * SLICE_BYTES));
    slices_free(p, CHUNK_SLICES, CHUNK_SLICES);
}

/* More runs than one call is asked for, some of which cannot go. */
static void
test_of_many_runs_only_the_locked_ones_stay(void **state)
{
    enum { CHUNKS = 40, SLICES = CHUNKS * CHUNK_SLICES };
    static const size_t locked[] = {0, 2, 700, SLICES - 2};
    size_t stay = TIDE_ARRAY_LEN(locked);
    uint64_t purged = arena_counters.purged_bytes;
    char *p = filled_chunks(CHUNKS);

    (void)state;
    for (size_t i = 0; i < stay; i++) {
        if (syscall(SYS_mlock, p + (locked[i] << SLICE_SHIFT), OS_PAGE) != 0) {
            skip(); /* RLIMIT_MEMLOCK */
        }
    }
    for (size_t i = 0; i < SLICES; i += 2) {
        slices_free(p + (i << SLICE_SHIFT), 1, 1);
    }
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()),
                     (SLICES / 2 - stay) * SLICE_BYTES);
    assert_int_equal(arena_counters.purged_bytes - purged, (SLICES / 2 - stay) * SLICE_BYTES);
    assert_int_equal(arena_counters.free_dirty_slices, stay);
    for (size_t i = 0; i < SLICES; i++) {
        char *slice = p + (i << SLICE_SHIFT);
        bool here = i % 2 != 0 || i == 0 || i == 2 || i == 700 || i == SLICES - 2;

        require(unit_is_filled(slice, here ? 0xa5 : 0, SLICE_BYTES));
    }
    for (size_t i = 0; i < stay; i++) {
        require_eq(syscall(SYS_munlock, p + (locked[i] << SLICE_SHIFT), OS_PAGE), 0);
    }
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), stay * SLICE_BYTES);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    for (size_t i = 1; i < SLICES; i += 2) {
        slices_free(p + (i << SLICE_SHIFT), 1, 1);
    }
}

static void
forbid_purging(void *arg)
{
    char *p = filled_chunks(4);

    (void)arg;
    slices_free(p, 4 * CHUNK_SLICES, 4 * CHUNK_SLICES);
    unit_faults_begin("purge", EPERM, 1, UINT32_MAX);
    require_eq(arena_purge_free(SIZE_MAX, unit_now_tick()), 0);
    require_eq(arena_purge_free(SIZE_MAX, unit_now_tick()), 0);
    require_eq(unit_faults_end(), 1); /* a sandbox that forbids it is asked once */
    require(!os_has(OS_FEATURE_DONTNEED));
    require_eq(arena_counters.free_dirty_slices, 4 * CHUNK_SLICES);
    require_eq(os_resident_range(p, 4 * CHUNK_BYTES), 4 * CHUNK_BYTES);
}

static void
test_a_sandbox_that_forbids_it_is_asked_once(void **state)
{
    (void)state;
    unit_child(forbid_purging, NULL);
}

static void
test_withdrawn_slices_are_not_handed_out(void **state)
{
    char *p = filled_chunks(1);
    size_t index = chunk_of_address(p);
    size_t clean = 0;

    (void)state;
    slices_free(p, CHUNK_SLICES, CHUNK_SLICES);
    lock_acquire(&arena_lock);
    chunk_withdraw_locked(index, 0xff00u);
    lock_release(&arena_lock);
    assert_false(slices_extend(p, 0, 9, &clean));
    assert_false(slices_extend(p + 15 * SLICE_BYTES, 0, 1, &clean));
    assert_true(slices_extend(p, 0, 8, &clean));
    assert_int_equal(space.chunks[index].bucket[0], CHUNK_SLICES - 16);
    lock_acquire(&arena_lock);
    chunk_restore_locked(index, 0xff00u, false);
    lock_release(&arena_lock);
    assert_true(slices_extend(p, 8, 8, &clean));
    assert_int_equal(clean, 0); /* not purged after all */
    slices_free(p, 16, 16);
    assert_int_equal(arena_counters.free_dirty_slices, CHUNK_SLICES);
}

static void
test_clean_memory_that_was_taken_is_made_up_for(void **state)
{
    const size_t chunks = 16; /* 32 MiB of free memory with pages */
    char *p = filled_chunks(chunks);
    size_t dirty;
    size_t spare;

    (void)state;
    slices_free(p, chunks * CHUNK_SLICES, chunks * CHUNK_SLICES);
    assert_int_equal(arena_excess(), 0); /* it was all in use once */
    arena_counters.filled_highest = arena_counters.used_slices;
    dirty = arena_counters.free_dirty_slices;
    unit_faults_begin("purge", EAGAIN, 1, UINT32_MAX);
    for (int i = 0; i < 5; i++) {
        require_eq(arena_purge_free(SIZE_MAX, unit_now_tick()), 0);
    }
    unit_faults_end();
    arena_make_up_for(1000); /* refused time and again: not tried on slow paths */
    assert_int_equal(arena_counters.free_dirty_slices, dirty);
    assert_int_equal(arena_purge_free(1, unit_now_tick()), CHUNK_BYTES); /* it works again */
    dirty = arena_counters.free_dirty_slices;
    spare = max_zu(arena_counters.used_slices / 8, ((size_t)4 << 20) >> SLICE_SHIFT);
    assert_int_equal(arena_excess(), dirty - spare);
    arena_make_up_for(0);
    assert_int_equal(arena_counters.free_dirty_slices, dirty);
    arena_make_up_for(CHUNK_SLICES + 1);
    assert_int_equal(arena_counters.free_dirty_slices, dirty - 2 * CHUNK_SLICES); /* whole chunks */
    arena_make_up_for(SIZE_MAX >> SLICE_SHIFT); /* but some is left alone */
    assert_in_range(arena_counters.free_dirty_slices, spare - CHUNK_SLICES, spare);
    dirty = arena_counters.free_dirty_slices;
    arena_make_up_for(1000);
    assert_int_equal(arena_counters.free_dirty_slices, dirty);
}

struct churn {
    uint32_t stop;
    uint32_t failures;
};

/* Allocates, fills, checks and frees while others purge. */
static void *
churn_main(void *arg)
{
    struct churn *churn = arg;
    struct unit_random r = {(uint64_t)os_tid()};

    while (atomic_load_relaxed(&churn->stop) == 0) {
        size_t count = 1 + unit_below(&r, 8);
        struct slices s = slices_alloc(count, SLICE_BYTES, SLICES_SPARSE);
        unsigned char mark = (unsigned char)(1 + unit_below(&r, 255));

        if (s.start == NULL || (s.clean == s.count && !unit_is_filled(s.start, 0, OS_PAGE))) {
            atomic_add_relaxed(&churn->failures, 1);
            break;
        }
        memset(s.start, mark, OS_PAGE);
        memset(s.start + (count << SLICE_SHIFT) - OS_PAGE, mark, OS_PAGE);
        sched_yield();
        if (!unit_is_filled(s.start, mark, OS_PAGE) ||
            !unit_is_filled(s.start + (count << SLICE_SHIFT) - OS_PAGE, mark, OS_PAGE)) {
            atomic_add_relaxed(&churn->failures, 1);
        }
        slices_free(s.start, count, count);
    }
    return NULL;
}

static void
test_purging_while_others_allocate_loses_nothing(void **state)
{
    struct churn churn = {0, 0};
    size_t used = arena_counters.used_slices;
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn_main, &churn), 0);
    }
    for (int i = 0; i < 400; i++) {
        (void)arena_purge_free(SIZE_MAX, unit_now_tick());
        sched_yield();
    }
    atomic_store_relaxed(&churn.stop, 1);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(churn.failures, 0);
    assert_in_range(arena_counters.used_slices, used, used + 16); /* threads' own memory */
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    assert_int_equal(arena_counters.free_dirty_slices, 0);
}

/* The flags of the mapping that holds p, as the kernel writes them: "rd wr ... hg" or "... nh". */
static bool
mapping_has(const char *p, const char *flag)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool here = false;
    bool has = false;
    unsigned long from;
    unsigned long to;
    char line[512];

    require(smaps != NULL);
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            here = from <= (uintptr_t)p && (uintptr_t)p < to;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            has = strstr(line, flag) != NULL;
        }
    }
    fclose(smaps);
    return has;
}

/* Dense memory is of huge pages from now on, until huge_pages_end; false: there are none here. */
static bool
huge_pages_begin(void)
{
    if (!os_has(OS_FEATURE_THP)) {
        print_message("no transparent huge pages here\n");
        return false;
    }
    arena_init(0, true);
    return true;
}

static int
huge_pages_end(void **state)
{
    (void)state;
    arena_init(0, false);
    return 0;
}

/* The last of so many slices is in a chunk that is one huge page. What earlier tests left is taken
 * first, and kept. */
static char *
take_into_a_huge_page(size_t count, size_t *chunk)
{
    struct slices s;

    do {
        s = slices_alloc(count, CHUNK_BYTES, SLICES_DENSE);
        require(s.start != NULL);
        *chunk = chunk_of_address(s.start + ((count - 1) << SLICE_SHIFT));
    } while (space.chunks[*chunk].kind != CHUNK_HUGE_PAGES);
    return s.start;
}

/* What is written of it brings all of it. */
static void
test_a_huge_page_goes_with_what_was_never_used_of_it(void **state)
{
    size_t chunk;
    char *p;

    (void)state;
    if (!huge_pages_begin()) {
        return;
    }
    p = take_into_a_huge_page(CHUNK_SLICES + 1, &chunk);
    p[CHUNK_BYTES] = 1;
    slices_free(p, CHUNK_SLICES + 1, CHUNK_SLICES + 1);
    if (os_resident_range(chunk_address(chunk), CHUNK_BYTES) < CHUNK_BYTES) {
        print_message("no huge page was to be had\n");
        return;
    }
    assert_int_equal(space.chunks[chunk].dirty & space.chunks[chunk].free, 1);
    /* One refusal loses nothing; and what goes is told, for those who want a part of it only. */
    unit_faults_begin("purge", EINVAL, 1, 1);
    (void)arena_purge_free(SLICE_BYTES, unit_now_tick());
    unit_faults_end();
    assert_int_equal(os_resident_range(chunk_address(chunk), CHUNK_BYTES), CHUNK_BYTES);
    assert_true(arena_purge_free(SLICE_BYTES, unit_now_tick()) >= CHUNK_BYTES);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    assert_int_equal(os_resident_range(chunk_address(chunk), CHUNK_BYTES), 0);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
}

/* Slices that are in use when it is split, and that nobody writes to. */
static void
test_slices_in_use_at_a_split_go_when_they_are_free(void **state)
{
    size_t chunk;
    char *p;

    (void)state;
    if (!huge_pages_begin()) {
        return;
    }
    p = take_into_a_huge_page(CHUNK_SLICES, &chunk);
    p[0] = 1;
    assert_int_equal(os_purge(p, OS_PAGE), 0);
    arena_count_hole_purge(p, OS_PAGE);
    slices_free(p, CHUNK_SLICES, 1); /* as of a span that was used in its first slice */
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    assert_int_equal(os_resident_range(chunk_address(chunk), CHUNK_BYTES), 0);
    assert_int_equal(space.chunks[chunk].kind, CHUNK_HUGE_PAGES);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
}

/* A hole in a span splits it: the free slices beside the span hold pages as well. */
static void
test_free_slices_beside_a_hole_in_a_huge_page_count_as_used_ones(void **state)
{
    size_t chunk;
    char *p;

    (void)state;
    if (!huge_pages_begin()) {
        return;
    }
    p = take_into_a_huge_page(CHUNK_SLICES + 1, &chunk);
    p[CHUNK_BYTES] = 1;
    assert_int_equal(os_purge(p + CHUNK_BYTES + OS_PAGE, OS_PAGE), 0);
    arena_count_hole_purge(p + CHUNK_BYTES + OS_PAGE, OS_PAGE);
    assert_int_equal(space.chunks[chunk].kind, CHUNK_SMALL_PAGES);
    assert_int_equal(arena_counters.free_dirty_slices, CHUNK_SLICES - 1);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), CHUNK_BYTES - SLICE_BYTES);
    assert_true(os_resident_range(chunk_address(chunk), CHUNK_BYTES) < SLICE_BYTES);
    slices_free(p, CHUNK_SLICES + 1, CHUNK_SLICES + 1);
}

/* khugepaged would fill what was given back with zeros again. */
static void
test_a_huge_page_that_was_split_stays_so_until_all_of_it_goes(void **state)
{
    size_t chunk;
    char *p;

    (void)state;
    if (!huge_pages_begin()) {
        return;
    }
    p = take_into_a_huge_page(CHUNK_SLICES, &chunk);
    memset(p, 1, CHUNK_BYTES);
    slices_free(p, 8, 8);
    assert_int_equal(arena_purge_free(SIZE_MAX, unit_now_tick()), 8 * SLICE_BYTES);
    assert_int_equal(space.chunks[chunk].kind, CHUNK_SMALL_PAGES);
    assert_true(mapping_has(p, " nh"));
    assert_true(unit_is_filled(p + 8 * SLICE_BYTES, 1, CHUNK_BYTES - 8 * SLICE_BYTES));
    slices_free(p + 8 * SLICE_BYTES, CHUNK_SLICES - 8, CHUNK_SLICES - 8);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    assert_int_equal(space.chunks[chunk].kind, CHUNK_HUGE_PAGES);
    assert_true(mapping_has(p, " hg"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_free_pages_are_gone_and_read_as_zero, begin),
        cmocka_unit_test_setup(test_used_slices_are_left_alone, begin),
        cmocka_unit_test_setup(test_clean_slices_cost_no_call, begin),
        cmocka_unit_test_setup(test_the_quota_is_kept_to_a_chunk, begin),
        cmocka_unit_test_setup(test_chunks_freed_into_since_the_tick_are_spared, begin),
        cmocka_unit_test_setup(test_ticks_may_wrap, begin),
        cmocka_unit_test_setup(test_a_refused_purge_keeps_the_slices_in_use_and_dirty, begin),
        cmocka_unit_test_setup(test_what_is_refused_stays_dirty_and_the_rest_goes, begin),
        cmocka_unit_test_setup(test_of_many_runs_only_the_locked_ones_stay, begin),
        cmocka_unit_test_setup(test_a_sandbox_that_forbids_it_is_asked_once, begin),
        cmocka_unit_test_setup(test_withdrawn_slices_are_not_handed_out, begin),
        cmocka_unit_test_setup_teardown(test_a_huge_page_goes_with_what_was_never_used_of_it, begin,
                                        huge_pages_end),
        cmocka_unit_test_setup_teardown(test_slices_in_use_at_a_split_go_when_they_are_free, begin,
                                        huge_pages_end),
        cmocka_unit_test_setup_teardown(
            test_free_slices_beside_a_hole_in_a_huge_page_count_as_used_ones, begin,
            huge_pages_end),
        cmocka_unit_test_setup_teardown(
            test_a_huge_page_that_was_split_stays_so_until_all_of_it_goes, begin, huge_pages_end),
        cmocka_unit_test_setup(test_clean_memory_that_was_taken_is_made_up_for, begin),
        cmocka_unit_test_setup(test_purging_while_others_allocate_loses_nothing, begin),
    };

    return cmocka_run_group_tests_name("arena/purge", tests, unit_setup, NULL);
}
