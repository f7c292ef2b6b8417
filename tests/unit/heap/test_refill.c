/* SPDX-License-Identifier: MIT */
/* heap/refill: where the next block comes from, in which order, and what happens without any. */
#include "spans.h"

#include "heap/report.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];

static void
test_the_block_freed_last_comes_first(void **state)
{
    unsigned c = fresh_class(96);
    unsigned char *p[10];

    (void)state;
    take_blocks(held, 10, c);
    for (size_t i = 0; i < 10; i++) {
        p[i] = held[i].p;
        held_free(&held[i]);
    }
    for (size_t i = 10; i-- > 0;) {
        held_alloc(&held[i], size_classes[c].size, 1);
        require(held[i].p == p[i]);
    }
    audit(held, 10);
    free_blocks(held, 10);
}

static void
test_a_span_is_used_up_before_the_next_is_made(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 4) {
        unsigned c = fresh_class(size);
        uint32_t n = size_classes[c].capacity;
        span_t *first;

        take_blocks(held, n, c);
        first = space_span_of(held[0].p);
        for (uint32_t i = 0; i < n; i++) {
            require(space_span_of(held[i].p) == first);
        }
        require_eq(audit_span_count(), 1);
        require(unit_owner(first) == heap_self());
        take_blocks(&held[n], 1, c);
        require(space_span_of(held[n].p) != first);
        require_eq(unit_state(first), SPAN_FULL); /* used up: lent */
        audit(held, n + 1);
        free_blocks(held, n + 1);
        audit(held, n + 1);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

static void
test_own_spans_with_room_go_before_pool_and_new_ones(void **state)
{
    unsigned c = fresh_class(1024);
    uint32_t n = size_classes[c].capacity;
    uint64_t takes;
    span_t *first;

    (void)state;
    take_blocks(held, 2 * n, c);
    first = space_span_of(held[0].p);
    held_free(&held[3]);
    held_free(&held[5]);
    heap_empty_bin(heap_self(), c); /* now the spans have room, not the bin */
    assert_int_equal(unit_state(first), SPAN_OWNED);
    (void)make_let_go(c, &held[2 * n], 1); /* a pooled one as well */
    takes = heap_self()->counters.pool_takes;
    audit(held, 2 * n + 1);
    take_blocks(&held[3], 1, c);
    take_blocks(&held[5], 1, c);
    assert_ptr_equal(space_span_of(held[3].p), first);
    assert_ptr_equal(space_span_of(held[5].p), first);
    assert_int_equal(heap_self()->counters.pool_takes, takes);
    take_blocks(&held[2 * n + 1], 1, c);
    assert_ptr_equal(space_span_of(held[2 * n + 1].p), space_span_of(held[2 * n].p));
    assert_int_equal(heap_self()->counters.pool_takes, takes + 1);
    audit(held, 2 * n + 2);
    free_blocks(held, 2 * n + 2);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_every_block_is_apart_from_every_other(void **state)
{
    static uint8_t seen[8 << 10];

    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size = size * 3 / 2) {
        unsigned c = fresh_class(size);
        uint32_t n = size_classes[c].capacity;
        span_t *span;

        take_blocks(held, n, c);
        span = space_span_of(held[0].p);
        memset(seen, 0, n);
        for (uint32_t i = 0; i < n; i++) {
            size_t offset = (size_t)((char *)held[i].p - span->start);

            require_eq(offset % span->block_size, 0);
            require_eq(seen[offset / span->block_size]++, 0);
            memset(held[i].p, held[i].mark, span->block_size); /* all of each */
        }
        for (uint32_t i = 0; i < n; i++) {
            require(unit_is_filled(held[i].p, held[i].mark, span->block_size));
        }
        free_blocks(held, n);
    }
}

static void
test_size_zero_gives_blocks_of_their_own(void **state)
{
    void *a = tide_malloc(0);
    void *b = tide_malloc(0);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    tide_free(a);
    tide_free(b);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void
overwrite_links(void *arg)
{
    unsigned c = fresh_class(240);
    uint64_t reports = report_count();
    uintptr_t *freed;

    (void)arg;
    close(STDERR_FILENO);
    report_aborts = false;
    take_blocks(held, 60, c);
    freed = (uintptr_t *)(void *)held[3].p;
    held_free(&held[3]);
    freed[0] ^= 0x10; /* written to after free */
    take_blocks(&held[60], 200, c);
    require_eq(report_count(), reports + 1);
    for (size_t i = 0; i < 260; i++) { /* the others are whole and apart */
        require(held[i].p == NULL || held_is_whole(&held[i]));
        for (size_t k = 0; k < i; k++) {
            require(held[i].p == NULL || held[i].p != held[k].p);
        }
    }
    free_blocks(held, 260);
    take_blocks(held, 300, c);
    free_blocks(held, 300);
    require_eq(report_count(), reports + 1);
}

static void
test_a_damaged_link_is_reported_and_nothing_is_handed_out_twice(void **state)
{
    (void)state;
    unit_child(overwrite_links, NULL);
}

/* --- exhaustion ------------------------------------------------------------------------------- */

static void
test_no_memory_is_told_and_goes_away(void **state)
{
    unsigned c = fresh_class(TIDE_SMALL_MAX);
    size_t n = 0;

    (void)state;
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    for (; n < BLOCKS_MAX; n++) {
        errno = 0;
        held[n].p = tide_malloc(size_classes[c].size);
        if (held[n].p == NULL) {
            break;
        }
        held[n].size = size_classes[c].size;
        held[n].mark = (unsigned char)(n | 1);
        held_fill(&held[n]);
    }
    assert_true(n < BLOCKS_MAX);
    assert_int_equal(errno, ENOMEM);
    for (int i = 0; i < 100; i++) {
        errno = 0;
        require(tide_malloc(size_classes[c].size) == NULL);
        require_eq(errno, ENOMEM);
    }
    audit(held, n);
    if (n > 0) { /* what is freed can be had again */
        held_free(&held[0]);
        held_alloc(&held[0], size_classes[c].size, 3);
    }
    unit_faults_end();
    take_blocks(&held[n], 20, c);
    audit(held, n + 20);
    free_blocks(held, n + 20);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_block_freed_last_comes_first),
        cmocka_unit_test(test_a_span_is_used_up_before_the_next_is_made),
        cmocka_unit_test(test_own_spans_with_room_go_before_pool_and_new_ones),
        cmocka_unit_test(test_every_block_is_apart_from_every_other),
        cmocka_unit_test(test_size_zero_gives_blocks_of_their_own),
        cmocka_unit_test(test_a_damaged_link_is_reported_and_nothing_is_handed_out_twice),
        cmocka_unit_test(test_no_memory_is_told_and_goes_away),
    };

    return cmocka_run_group_tests_name("heap/refill", tests, unit_setup, NULL);
}
