/* SPDX-License-Identifier: MIT */
/*
 * keeper/huge: huge pages that are dear are not asked for, and are again later; who takes the first
 * of a chunk of them is told so, and nobody else.
 */
#include "../unit.h"

#include <unistd.h>

#include "keeper/huge.h"
#include "predict/price.h"

#define DEAR_NS ((uint64_t)20000000) /* a chunk */
#define CHEAP_NS ((uint64_t)100000)

static enum chunk_kind
kind_of(const char *start)
{
    return space.chunks[chunk_of_address(start)].kind;
}

/* Of a chunk that nobody used before. */
static struct slices
take_fresh(enum slices_want want)
{
    struct slices s = slices_alloc(1, SLICE_BYTES, want);

    while (s.start != NULL && chunk_of_address(s.start) + 1 != space.frontier && !s.brings_all &&
           space_slice_of(s.start) % CHUNK_SLICES != 0) {
        s = slices_alloc(1, SLICE_BYTES, want);
    }
    require(s.start != NULL);
    return s;
}

static void
ask_while_dear(void *arg)
{
    uint64_t found = huge_found_dear;

    (void)arg;
    arena_init(0, true);
    require_eq(kind_of(take_fresh(SLICES_DENSE).start), CHUNK_HUGE_PAGES);
    require(!huge_is_dear());
    heap_note_huge_touch(DEAR_NS);
    require(!huge_is_dear()); /* once may be chance */
    heap_note_huge_touch(CHEAP_NS);
    heap_note_huge_touch(DEAR_NS);
    require(!huge_is_dear());
    heap_note_huge_touch(DEAR_NS);
    require(huge_is_dear());
    require_eq(huge_found_dear, found + 1);
    require_eq(kind_of(slices_alloc(CHUNK_SLICES, CHUNK_BYTES, SLICES_DENSE).start),
               CHUNK_SMALL_PAGES);
    heap_note_huge_touch(DEAR_NS); /* begun before */
    require_eq(huge_found_dear, found + 1);
    arena_spare_huge(false); /* as if another thread forked that had not come to it yet */
    huge_fork_child();
    require(huge_is_dear()); /* the machine is the same */
    require_eq(kind_of(slices_alloc(CHUNK_SLICES, CHUNK_BYTES, SLICES_DENSE).start),
               CHUNK_SMALL_PAGES);
    for (int i = 0; i < 100 && huge_is_dear(); i++) { /* five seconds are enough */
        usleep(100000);
        heap_ask_for_huge(); /* as who allocates does: here is no keeper */
    }
    require(!huge_is_dear());
    require_eq(kind_of(slices_alloc(CHUNK_SLICES, CHUNK_BYTES, SLICES_DENSE).start),
               CHUNK_HUGE_PAGES);
}

static void
test_huge_pages_that_are_dear_are_spared(void **state)
{
    (void)state;
    unit_child(ask_while_dear, NULL);
}

static void
compare_kinds(void *arg)
{
    (void)arg;
    arena_init(0, true);
    huge_note(CHUNK_SMALL_PAGES, CHUNK_BYTES, DEAR_NS);
    huge_note(CHUNK_SMALL_PAGES, CHUNK_BYTES, DEAR_NS);
    for (unsigned i = 0; i < 10; i++) {
        heap_note_huge_touch(DEAR_NS);
    }
    require(!huge_is_dear()); /* all memory is */
}

static void
test_memory_that_is_slow_either_way_is_no_reason(void **state)
{
    (void)state;
    unit_child(compare_kinds, NULL);
}

static void
take_slices(void *arg)
{
    struct slices first, second, whole;

    (void)arg;
    arena_init(0, true);
    require(!take_fresh(SLICES_SPARSE).brings_all);
    first = take_fresh(SLICES_DENSE);
    require(first.brings_all);
    second = slices_alloc(1, SLICE_BYTES, SLICES_DENSE);
    require_eq(chunk_of_address(second.start), chunk_of_address(first.start));
    require(!second.brings_all);
    slices_free(second.start, 1, 0);
    slices_free(first.start, 1, 0); /* not written to */
    whole = slices_alloc(CHUNK_SLICES, SLICE_BYTES, SLICES_DENSE);
    require_eq(whole.start, first.start);
    require(whole.brings_all);
    slices_free(whole.start, CHUNK_SLICES, 1);
    require(!slices_alloc(1, SLICE_BYTES, SLICES_DENSE).brings_all); /* it is there */
}

static void
test_who_takes_the_first_of_a_huge_page_is_told(void **state)
{
    (void)state;
    unit_child(take_slices, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_huge_pages_that_are_dear_are_spared),
        cmocka_unit_test(test_memory_that_is_slow_either_way_is_no_reason),
        cmocka_unit_test(test_who_takes_the_first_of_a_huge_page_is_told),
    };

    return cmocka_run_group_tests_name("keeper/huge", tests, unit_setup, NULL);
}
