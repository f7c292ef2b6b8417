/* SPDX-License-Identifier: MIT */
/*
 * keeper/promise: guaranteed memory is there at once, serves any size, and survives trim and idle
 * time until the guarantee ends; a guarantee that cannot be kept changes nothing; expectations.
 */
#include "../unit.h"

#include "keeper/keeper.h"
#include "keeper/promise.h"
#include "tidemalloc.h"

#define MIB ((size_t)1 << 20)
#define SECOND ((uint64_t)1000000000)

static size_t
resident(void)
{
    return os_resident_range(chunk_address(0), space.frontier << CHUNK_SHIFT);
}

static int
begin(void **state)
{
    (void)state;
    (void)keeper_trim();
    return promise_guaranteed_bytes() == 0 ? 0 : -1;
}

static void
guarantee_and_trim(void *arg)
{
    void *blocks[100];

    (void)arg;
    require_eq(tide_guarantee(96 * MIB), 0);
    require_eq(promise_guaranteed_bytes(), 96 * MIB);
    require(resident() >= 96 * MIB);
    (void)keeper_trim();
    require(resident() >= 96 * MIB);

    /* It serves blocks of any size; what they use counts. */
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = tide_malloc(300000);
        require(blocks[i] != NULL);
        memset(blocks[i], 1, 300000);
    }
    (void)keeper_trim();
    require(resident() >= 96 * MIB);
    require(resident() < 96 * MIB + 4 * MIB);
    for (size_t i = 0; i < 100; i++) {
        tide_free(blocks[i]);
    }
    (void)keeper_trim();
    require(resident() >= 96 * MIB);

    require_eq(tide_guarantee(16 * MIB), 0); /* less is a guarantee as well */
    (void)keeper_trim();
    require(resident() >= 16 * MIB);
    require(resident() < 20 * MIB);
    require_eq(tide_guarantee(0), 0);
    (void)keeper_trim();
    require(resident() < 4 * MIB);
}

static void
test_guaranteed_memory_is_there_until_the_guarantee_ends(void **state)
{
    (void)state;
    unit_child(guarantee_and_trim, NULL);
}

/* Allocating threads run them, there being no keeper, and free memory is old soon. */
static void
have_quick_passes(void)
{
    keeper_config.interval_ms = 5;
    keeper_config.window_ms = 20;
    keeper_config.threshold_bytes = MIB;
}

static void
be_idle(void *arg)
{
    void *p;

    (void)arg;
    have_quick_passes();
    require_eq(tide_guarantee(48 * MIB), 0);
    p = tide_malloc(200 * MIB);
    require(p != NULL);
    memset(p, 1, 200 * MIB);
    tide_free(p);
    for (unsigned i = 0; i < 1000 && resident() > 60 * MIB; i++) {
        usleep(10000);
        heap_poke_keeper();
    }
    require(resident() >= 48 * MIB);
    require(resident() <= 60 * MIB);
}

static void
test_idle_time_takes_none_of_it(void **state)
{
    (void)state;
    unit_child(be_idle, NULL);
}

/* What nobody writes to takes the place of nothing. */
static void
use_without_writing(void *arg)
{
    void *p;

    (void)arg;
    have_quick_passes();
    require_eq(tide_guarantee(64 * MIB), 0);
    p = tide_malloc(200 * MIB);
    require(p != NULL);
    for (unsigned i = 0; i < 50; i++) {
        usleep(10000);
        heap_poke_keeper();
    }
    require(resident() >= 64 * MIB);
    tide_free(p);
    (void)keeper_trim();
    require(resident() >= 64 * MIB);
    require_eq(tide_guarantee(0), 0);
    p = tide_malloc(200 * MIB);
    tide_free(p); /* free, and as good as used */
    require_eq(tide_guarantee(64 * MIB), 0);
    require(resident() >= 64 * MIB);
}

static void
test_memory_that_is_not_written_to_is_none(void **state)
{
    (void)state;
    unit_child(use_without_writing, NULL);
}

static void
use_huge_pages(void *arg)
{
    static char *blocks[84 * MIB / TIDE_SMALL_MAX];

    (void)arg;
    arena_init(0, true);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(blocks); i++) {
        blocks[i] = tide_malloc(TIDE_SMALL_MAX);
        require(blocks[i] != NULL);
        if (i % 32 == 0) { /* of each huge page little is used */
            blocks[i][0] = 1;
        }
    }
    require_eq(tide_guarantee(70 * MIB), 0);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(blocks); i++) {
        tide_free(blocks[i]);
    }
    (void)keeper_trim();
    require(resident() >= 70 * MIB);
    require(resident() < 76 * MIB);
}

static void
test_huge_pages_are_no_exception(void **state)
{
    (void)state;
    unit_child(use_huge_pages, NULL);
}

static void
have_no_memory(void *arg)
{
    (void)arg;
    require_eq(tide_guarantee(8 * MIB), 0);
    errno = 5;
    unit_faults_begin("populate", ENOMEM, 3, UINT32_MAX);
    require_eq(tide_guarantee(64 * MIB), ENOMEM);
    unit_faults_end();
    require_eq(errno, 5);
    require_eq(promise_guaranteed_bytes(), 8 * MIB);
    (void)keeper_trim();
    require(resident() >= 8 * MIB);
    require(resident() < 12 * MIB);
    require_eq(tide_guarantee((size_t)1 << 60), ENOMEM); /* more than there are addresses */
    require_eq(promise_guaranteed_bytes(), 8 * MIB);
}

static void
test_what_cannot_be_guaranteed_changes_nothing(void **state)
{
    (void)state;
    unit_child(have_no_memory, NULL);
}

static void
expect(void *arg)
{
    uint64_t level = (uint64_t)arena_counters.used_slices << SLICE_SHIFT;

    (void)arg;
    require_eq(promise_expected(1, level), 0);
    promise_expect(1 * SECOND, 100 * MIB, 2 * SECOND);
    require_eq(promise_expected(1 * SECOND, level), 100 * MIB);
    require_eq(promise_expected(2 * SECOND, level + 70 * MIB), 30 * MIB);
    require_eq(promise_expected(2 * SECOND, level + 170 * MIB), 0);
    promise_expect(2 * SECOND, 50 * MIB, 9 * SECOND); /* less: the other one holds */
    require_eq(promise_expected(2 * SECOND, level), 100 * MIB);
    require_eq(promise_expected(3 * SECOND, level), 0); /* its time is over */
    promise_expect(3 * SECOND, 50 * MIB, 9 * SECOND);
    require_eq(promise_expected(3 * SECOND, level), 50 * MIB);
    promise_expect(3 * SECOND, 60 * MIB, UINT64_MAX); /* for ever */
    require_eq(promise_expected(1000 * SECOND, level), 60 * MIB);
    promise_expect(3 * SECOND, SIZE_MAX, SECOND);
    require(promise_expected(3 * SECOND, level) > (uint64_t)1 << 60);
}

static void
test_expectations(void **state)
{
    (void)state;
    unit_child(expect, NULL);
}

static void
test_nobody_expects_without_forecasts(void **state)
{
    (void)state;
    errno = 6;
    assert_int_equal(tide_expect(MIB, SECOND), ENOTSUP);
    assert_int_equal(errno, 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_guaranteed_memory_is_there_until_the_guarantee_ends, begin),
        cmocka_unit_test_setup(test_idle_time_takes_none_of_it, begin),
        cmocka_unit_test_setup(test_memory_that_is_not_written_to_is_none, begin),
        cmocka_unit_test_setup(test_huge_pages_are_no_exception, begin),
        cmocka_unit_test_setup(test_what_cannot_be_guaranteed_changes_nothing, begin),
        cmocka_unit_test_setup(test_expectations, begin),
        cmocka_unit_test_setup(test_nobody_expects_without_forecasts, begin),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
