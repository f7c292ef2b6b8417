/* SPDX-License-Identifier: MIT */
/*
 * heap/cold: os pages between live blocks go back, and not one live byte with them; frees into a
 * cold span touch nothing; blocks come back a page at a time.
 */
#include "spans.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heap/report.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];
static struct held more[BLOCKS_MAX];

static size_t
span_bytes(const span_t *span)
{
    return (size_t)span->slice_count << SLICE_SHIFT;
}

/* Does the page hold a byte of a live block? */
static bool
page_is_live(const span_t *span, size_t page, const struct held *blocks, size_t n)
{
    const char *from = span->start + page * OS_PAGE;

    for (size_t i = 0; i < n; i++) {
        const char *p = (const char *)blocks[i].p;

        if (p != NULL && p < from + OS_PAGE && p + span->block_size > from) {
            return true;
        }
    }
    return false;
}

/* Exactly the pages of live blocks are in RAM. */
static void
require_resident_exactly(const span_t *span, const struct held *blocks, size_t n)
{
    for (size_t page = 0; page < span_bytes(span) / OS_PAGE; page++) {
        bool there = os_resident_range(span->start + page * OS_PAGE, OS_PAGE) != 0;

        if (there != page_is_live(span, page, blocks, n)) {
            require_eq(page, there);
        }
    }
}

/* Only every nth block (or a random choice of them) stays, each filled to its last byte. */
static span_t *
make_survivors(unsigned c, struct unit_random *r, unsigned one_in)
{
    uint32_t n = size_classes[c].capacity;
    span_t *span = make_let_go(c, held, n);

    for (uint32_t i = 0; i < n; i++) {
        memset(held[i].p, held[i].mark, held[i].size);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (i != n / 2 && (r == NULL ? i % one_in != 0 : unit_below(r, one_in) != 0)) {
            held_free(&held[i]);
        }
    }
    heap_let_go_all(heap_self());
    require_eq(unit_state(span), SPAN_POOLED);
    return span;
}

static void
test_holes_go_and_every_live_byte_stays(void **state)
{
    static const unsigned densities[] = {2, 5, 20, 200, 100000};
    struct unit_random r = {31};

    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size = size * 3 / 2) {
        unsigned c = fresh_class(size);
        uint32_t n = size_classes[c].capacity;

        for (size_t d = 0; d < TIDE_ARRAY_LEN(densities); d++) {
            span_t *span = make_survivors(c, d % 2 == 0 ? &r : NULL, densities[d]);
            size_t before = span_resident(span);
            uint64_t counted = arena_counters.hole_purged_bytes;
            size_t purged = heap_purge_holes(unit_now_tick(), SIZE_MAX);

            require_eq(unit_state(span), SPAN_COLD);
            require_resident_exactly(span, held, n);
            require_ge(purged, before - span_resident(span));
            require_eq(arena_counters.hole_purged_bytes - counted, purged);
            for (uint32_t i = 0; i < n; i++) {
                require(held[i].p == NULL || unit_is_filled(held[i].p, held[i].mark, held[i].size));
            }
            audit(held, n);
            free_blocks(held, n);
            require(is_gone(span->start));
        }
    }
}

static void
test_a_partly_linked_span_is_cooled_to_its_end(void **state)
{
    unsigned c = fresh_class(768);
    size_t n = size_classes[c].capacity / 3;
    span_t *span;

    (void)state;
    take_blocks(held, n, c); /* the rest was never linked */
    span = unit_hide(space_span_of(held[0].p));
    assert_true(span_linked(span) < span->capacity);
    for (size_t i = 1; i < n; i++) {
        held_free(&held[i]);
    }
    heap_let_go_all(heap_self());
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_COLD);
    require_resident_exactly(span, held, n);
    audit(held, n);
    take_blocks(more, span->capacity - 1, c); /* held back ones and fresh ones */
    for (size_t i = 0; i < span->capacity - 1; i++) {
        require(space_span_of(more[i].p) == span);
    }
    free_blocks(more, span->capacity - 1);
    assert_true(held_is_whole(&held[0]));
    free_blocks(held, 1);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
free_one(void *arg)
{
    held_free(arg);
}

struct guarded {
    span_t *span;
    struct held *blocks;
    size_t n;
};

/* Nothing can be written while blocks of it are freed. */
static void
free_under_guard(void *arg)
{
    const struct guarded *g = arg;
    uint64_t reports = report_count();
    size_t bytes = span_bytes(g->span);

    require_eq(mprotect(g->span->start, bytes, PROT_READ), 0);
    for (size_t i = 0; i + 1 < g->n; i++) {
        if (g->blocks[i].p != NULL) {
            tide_free(g->blocks[i].p);
            g->blocks[i].p = NULL;
        }
    }
    require_eq(report_count(), reports);
    require_eq(mprotect(g->span->start, bytes, PROT_READ | PROT_WRITE), 0);
    audit(g->blocks, g->n);
}

static void
test_frees_into_a_cold_span_write_to_no_page(void **state)
{
    unsigned c = fresh_class(1024);
    uint32_t n = size_classes[c].capacity;
    span_t *span = make_survivors(c, NULL, 8);
    struct guarded g = {span, held, n};
    size_t resident;

    (void)state;
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_COLD);
    unit_child(free_under_guard, &g);
    resident = span_resident(span);
    held_free(&held[0]);
    unit_on_thread(free_one, &held[8]);
    assert_int_equal(span_resident(span), resident);
    audit(held, n);
    /* At the next purge their pages go as well. */
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_COLD);
    require_resident_exactly(span, held, n);
    free_blocks(held, n);
    assert_true(is_gone(span->start));
}

static void
test_a_claimed_span_comes_back_a_page_at_a_time(void **state)
{
    unsigned c = fresh_class(256);
    uint32_t n = size_classes[c].capacity;
    span_t *span = make_survivors(c, NULL, 32); /* two pages each */
    uint32_t survivors = 0;
    size_t resident;
    uint32_t taken = 0;

    (void)state;
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    for (uint32_t i = 0; i < n; i++) {
        survivors += held[i].p != NULL;
    }
    resident = span_resident(span);
    while (taken < n - survivors) {
        size_t now;

        take_blocks(&more[taken], 1, c);
        require(space_span_of(more[taken].p) == span);
        taken++;
        now = span_resident(span);
        require_le(now, resident + OS_PAGE);
        resident = now;
        if (taken == 1) { /* not all of it at once */
            require_le(resident, span_bytes(span) / 2 + 2 * OS_PAGE);
        }
    }
    assert_int_equal(audit_span_count(), 1);
    assert_int_equal(span_linked(span), span->capacity);
    for (uint32_t i = 0; i < n; i++) {
        require(held[i].p == NULL || unit_is_filled(held[i].p, held[i].mark, held[i].size));
    }
    for (uint32_t i = 0; i < taken; i++) {
        require(held_is_whole(&more[i]));
    }
    free_blocks(more, taken);
    audit(held, n);
    free_blocks(held, n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_the_quota_is_kept_to_a_span(void **state)
{
    unsigned c = fresh_class(2048);
    uint32_t n = size_classes[c].capacity;
    size_t purged;

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        (void)make_let_go(c, &held[i], 1);
    }
    for (size_t i = 0; i < 10; i++) { /* every page was used */
        span_t *span = space_span_of(held[i].p);

        require_ge(span_resident(span), (size_t)n * 2048 / 2);
    }
    assert_int_equal(heap_purge_holes(unit_now_tick(), 0), 0);
    purged = heap_purge_holes(unit_now_tick(), 1);
    assert_true(purged > 0);
    assert_true(purged <= (size_t)size_classes[c].slices << SLICE_SHIFT);
    audit(held, 10);
    assert_true(heap_purge_holes(unit_now_tick(), SIZE_MAX) >= 8 * purged);
    audit(held, 10);
    assert_int_equal(heap_purge_holes(unit_now_tick(), SIZE_MAX), 0);
    free_blocks(held, 10);
    assert_int_equal(audit_span_count(), 0);
}

static void
test_spans_changed_since_the_tick_are_spared(void **state)
{
    unsigned c = fresh_class(1280);
    uint32_t tick = atomic_load_relaxed(&arena_tick);
    span_t *span = make_let_go(c, held, 2);

    (void)state;
    (void)heap_purge_holes(tick, SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_POOLED);
    (void)heap_purge_holes(tick + 1, SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_COLD);
    free_blocks(held, 2);
}

static void
test_a_refused_purge_loses_nothing(void **state)
{
    unsigned c = fresh_class(512);
    uint32_t n = size_classes[c].capacity;
    span_t *span = make_survivors(c, NULL, 16);
    size_t resident = span_resident(span);

    (void)state;
    unit_faults_begin("purge", EAGAIN, 1, UINT32_MAX);
    assert_int_equal(heap_purge_holes(unit_now_tick(), SIZE_MAX), 0);
    assert_true(unit_faults_end() > 0);
    assert_int_equal(span_resident(span), resident);
    audit(held, n);
    take_blocks(more, 50, c);
    for (uint32_t i = 0; i < n; i++) {
        require(held[i].p == NULL || unit_is_filled(held[i].p, held[i].mark, held[i].size));
    }
    free_blocks(more, 50);
    audit(held, n);
    free_blocks(held, n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
purge_where_it_is_forbidden(void *arg)
{
    unsigned c = fresh_class(512);

    (void)arg;
    (void)make_survivors(c, NULL, 16);
    unit_faults_begin("purge", EPERM, 1, UINT32_MAX);
    require_eq(heap_purge_holes(unit_now_tick(), SIZE_MAX), 0);
    require_eq(heap_purge_holes(unit_now_tick(), SIZE_MAX), 0);
    require_eq(keeper_trim(), 0);
    require_eq(unit_faults_end(), 1);
    audit(held, size_classes[c].capacity);
    free_blocks(held, size_classes[c].capacity);
}

static void
test_a_sandbox_that_forbids_it_is_asked_once(void **state)
{
    (void)state;
    unit_child(purge_where_it_is_forbidden, NULL);
}

/* A bitmap needs metadata. Without any the span stays as it is, and the purge comes to an end. */
static void
purge_without_metadata(void *arg)
{
    unsigned c = fresh_class(512);
    uint32_t n = size_classes[c].capacity;
    span_t dummy = {.capacity = size_classes[c].capacity};

    (void)arg;
    (void)make_survivors(c, NULL, 16);
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    while (meta_alloc(64) != NULL) {
    }
    while (span_bitmap_alloc(&dummy) != NULL) {
    }
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    audit(held, n);
    (void)keeper_trim();
    audit(held, n);
    unit_faults_end();
    (void)keeper_trim();
    require_eq(unit_state(space_span_of(held[0].p)), SPAN_COLD);
    audit(held, n);
    free_blocks(held, n);
}

static void
test_purging_without_metadata_ends(void **state)
{
    (void)state;
    require_eq(unit_child_status(purge_without_metadata, NULL, 10), 0);
}

/* More spans than one call is for, and a page among their holes that cannot go. */
static void
test_of_many_spans_only_a_locked_page_stays(void **state)
{
    unsigned c = fresh_class(2048);
    size_t n = BLOCKS_MAX / 4;
    uint64_t counted = arena_counters.hole_purged_bytes;
    size_t purged;
    char *locked;

    (void)state;
    take_blocks(held, n, c);
    locked = (char *)(((uintptr_t)held[n / 2 + 1].p + OS_PAGE - 1) & ~(uintptr_t)(OS_PAGE - 1));
    for (size_t i = 0; i < n; i++) {
        memset(held[i].p, held[i].mark, held[i].size);
    }
    if (syscall(SYS_mlock, locked, OS_PAGE) != 0) {
        skip(); /* RLIMIT_MEMLOCK */
    }
    for (size_t i = 0; i < n; i++) {
        if (i % 8 != 0) {
            held_free(&held[i]);
        }
    }
    heap_let_go_all(heap_self());
    purged = heap_purge_holes(unit_now_tick(), SIZE_MAX);
    require_ge(purged, n * 2048 / 2);
    require_eq(arena_counters.hole_purged_bytes - counted, purged);
    for (size_t i = 0; i < n; i += 8) {
        const span_t *span = unit_hide(space_span_of(held[i].p));
        size_t live = 0;

        require_eq(unit_state(span), SPAN_COLD);
        for (size_t page = 0; page < span_bytes(span) / OS_PAGE; page++) {
            const char *at = span->start + page * OS_PAGE;

            live += os_resident_range((void *)(uintptr_t)at, OS_PAGE) != 0 && at != locked;
        }
        require(live <= span->capacity / 4); /* of one block in eight, each on two pages at most */
        require(unit_is_filled(held[i].p, held[i].mark, held[i].size));
    }
    require_eq(os_resident_range(locked, OS_PAGE), OS_PAGE);
    require_eq(syscall(SYS_munlock, locked, OS_PAGE), 0);
    audit(held, n);
    free_blocks(held, n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holes_go_and_every_live_byte_stays),
        cmocka_unit_test(test_a_partly_linked_span_is_cooled_to_its_end),
        cmocka_unit_test(test_frees_into_a_cold_span_write_to_no_page),
        cmocka_unit_test(test_a_claimed_span_comes_back_a_page_at_a_time),
        cmocka_unit_test(test_the_quota_is_kept_to_a_span),
        cmocka_unit_test(test_spans_changed_since_the_tick_are_spared),
        cmocka_unit_test(test_a_refused_purge_loses_nothing),
        cmocka_unit_test(test_a_sandbox_that_forbids_it_is_asked_once),
        cmocka_unit_test(test_purging_without_metadata_ends),
        cmocka_unit_test(test_of_many_spans_only_a_locked_page_stays),
    };

    return cmocka_run_group_tests_name("heap/cold", tests, unit_setup, NULL);
}
