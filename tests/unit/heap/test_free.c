/* SPDX-License-Identifier: MIT */
/* heap/free: short bins, lent spans, empty spans that go, and what is said of wrong pointers. */
#include "spans.h"

#include "heap/report.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];

/* The heap keeps what its bin may hold, the current span and an empty one; the rest goes. */
static void
test_empty_spans_go_back_without_being_asked(void **state)
{
    unsigned c = fresh_class(2048);
    uint32_t n = size_classes[c].capacity;
    enum { SPANS = 12 };
    size_t used = arena_counters.used_slices;

    (void)state;
    take_blocks(held, SPANS * n, c);
    assert_int_equal(audit_span_count(), SPANS);
    for (size_t s = 0; s < SPANS; s++) {
        free_blocks(&held[s * n], n);
        audit(held, SPANS * n);
    }
    require_le(audit_span_count(), 3);
    require_le(heap_self()->spare.count, HEAP_SPARE_SPANS + heap_self()->spare.peak);
    require_le(arena_counters.used_slices,
               used + 3 * size_classes[c].slices + heap_self()->spare.count);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
    assert_int_equal(arena_counters.used_slices, used);
}

/* A bin that is full takes no more. */
static void
test_bins_stay_short(void **state)
{
    (void)state;
    for (unsigned size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = fresh_class(size);
        size_t n = min_zu((size_t)size_classes[c].capacity * 5, BLOCKS_MAX);

        take_blocks(held, n, c);
        for (size_t i = 0; i < n; i++) {
            held_free(&held[i]);
            /* What a refill brought, and what was freed since: as many blocks again where
             * allocations and frees seemed to balance. */
            require_le(list_length(heap_self()->bins[c].head),
                       OS_PAGE / size + 2 + 3 * size_classes[c].bin_limit);
        }
        audit(held, n);
        heap_empty_bin(heap_self(), c);
        require(is_list_end(heap_self()->bins[c].head));
        require(heap_self()->classes[c].current == NULL);
        audit(held, n);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

/* A bin that is full and then empty, by turns, grows to bin_most; one that is only emptied, or only
 * filled once, stays as it was. */
static void
test_bins_grow_with_use_only(void **state)
{
    enum { N = 200, TURNS = 12 };

    (void)state;
    for (size_t size = 256; size <= 8192; size *= 2) {
        unsigned c = fresh_class(size);
        const struct size_class *sc = &size_classes[c];
        const heap_class_t *hc = &heap_self()->classes[c];

        take_blocks(held, N, c); /* many refills */
        require_eq(hc->bin_more, 0);
        free_blocks(held, N);
        take_blocks(held, N, c);
        require_le(hc->bin_more, (sc->bin_most - sc->bin_limit) / 2);
        for (int turn = 0; turn < TURNS; turn++) {
            free_blocks(held, N);
            take_blocks(held, N, c);
        }
        require_eq(hc->bin_more, sc->bin_most - sc->bin_limit);
        audit(held, N);
        free_blocks(held, N);
        require_ge(list_length(heap_self()->bins[c].head), sc->bin_most);
        require_le(list_length(heap_self()->bins[c].head), sc->bin_most + sc->capacity);
        heap_empty_bin(heap_self(), c);
        require_eq(hc->bin_more, 0);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

static void
test_nearly_empty_spans_are_for_everybody(void **state)
{
    unsigned c = fresh_class(512);
    uint32_t n = size_classes[c].capacity;
    enum { SPANS = 20 };
    uint64_t pooled;

    (void)state;
    take_blocks(held, SPANS * n + 1, c);
    for (size_t i = 0; i < SPANS * n; i++) {
        if (i % n != 0) { /* one in each span stays */
            held_free(&held[i]);
        }
    }
    audit(held, SPANS * n + 1);
    pooled = pooled_spans(c);
    require_ge(pooled, SPANS / 2);
    require_le(heap_self()->classes[c].with_room_count, SPANS / 4);
    for (size_t i = 0; i < SPANS * n; i += n) {
        require(held_is_whole(&held[i]));
    }
    free_blocks(held, SPANS * n + 1);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

/* Frees go through the spans in order, half of each; other heaps look for spans now and then. None
 * is passed over for good: the last frees find it. */
static void
test_a_span_that_was_passed_over_is_seen_again(void **state)
{
    unsigned c = fresh_class(128);
    uint32_t n = size_classes[c].capacity;
    enum { SPANS = 40 };
    span_t *taken[SPANS];
    struct unit_actor actor;
    heap_t *theirs = NULL;
    size_t takes = 0;

    (void)state;
    take_blocks(held, SPANS * n, c);
    assert_int_equal(unit_actor_start(&actor), 0); /* two heaps: half free is mostly free */
    unit_actor_do(&actor, note_heap, &theirs);
    for (size_t s = 0; s < SPANS; s++) {
        free_blocks(&held[s * n], n * 55 / 100);
        taken[takes] = pool_take(c);
        takes += taken[takes] != NULL;
    }
    for (size_t s = 0; s < SPANS; s++) {
        free_blocks(&held[s * n + 1 + n * 55 / 100], n - 1 - n * 55 / 100);
    }
    while (takes-- > 0) {
        span_let_go(NULL, taken[takes], atomic_load_relaxed(&taken[takes]->pool_live));
    }
    audit(held, SPANS * n);
    require_le(heap_self()->classes[c].with_room_count, 4);
    unit_actor_end(&actor);
    free_blocks(held, SPANS * n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
free_one(void *arg)
{
    held_free(arg);
}

/* The span that is allocated from takes its blocks itself from when the bin is full. */
static void
test_the_current_span_is_direct_while_the_bin_is_full(void **state)
{
    unsigned c = fresh_class(128);
    uint32_t in_bin;
    span_t *span;

    (void)state;
    take_blocks(held, 100, c);
    span = unit_hide(space_span_of(held[0].p));
    assert_ptr_equal(heap_self()->classes[c].current, span);
    assert_int_equal(span_owner(span), span_owner_word(heap_self(), c, 0));
    free_blocks(held, 100);
    assert_int_equal(span_owner(span), span_owner_word(heap_self(), c, OWNER_DIRECT));
    assert_int_equal(heap_self()->bins[c].left, 0);
    assert_false(is_list_end(span->own));
    in_bin = list_length(heap_self()->bins[c].head);
    take_blocks(held, in_bin, c);
    assert_int_equal(span_owner(span), span_owner_word(heap_self(), c, OWNER_DIRECT));
    take_blocks(held + in_bin, 1, c);
    assert_int_equal(span_owner(span), span_owner_word(heap_self(), c, 0));
    audit(held, in_bin + 1);
    free_blocks(held, in_bin + 1);
    heap_let_go_all(heap_self());
    assert_int_equal(audit_span_count(), 0);
}

/* A span that is used up is lent: our frees there go to the bin; another thread's take it over. */
static void
test_a_full_span_is_lent(void **state)
{
    unsigned c = fresh_class(384);
    uint32_t n = size_classes[c].capacity;
    struct unit_actor actor;
    span_t *span;

    (void)state;
    take_blocks(held, n + 1, c);
    span = unit_hide(space_span_of(held[0].p));
    assert_int_equal(unit_state(span), SPAN_FULL);
    assert_ptr_equal(unit_owner(span), heap_self());
    held_free(&held[0]);
    held_free(&held[1]);
    assert_int_equal(unit_state(span), SPAN_FULL); /* nothing of it changed */
    assert_ptr_equal(heap_self()->bins[c].head->next, span->start);
    audit(held, n + 1);
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, free_one, &held[2]);
    require_eq(unit_state(span), SPAN_OWNED);
    require(unit_owner(span) != heap_self());
    audit(held, n + 1);
    held_free(&held[3]); /* a foreign span now */
    audit(held, n + 1);
    heap_empty_bin(heap_self(), c); /* what we had of it goes home */
    remote_flush(heap_self());
    require_eq(remote_count(span->remote), 3);
    audit(held, n + 1);
    unit_actor_end(&actor);
    free_blocks(held, n + 1);
    (void)keeper_trim();
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

/* Nobody else came: cutting the bin makes the lent span ours again. */
static void
test_a_lent_span_is_taken_back(void **state)
{
    unsigned c = fresh_class(448);
    uint32_t n = size_classes[c].capacity;
    span_t *span;

    (void)state;
    take_blocks(held, n + 1, c);
    span = space_span_of(held[0].p);
    for (size_t i = 0; i < 5; i++) {
        held_free(&held[i]);
    }
    assert_int_equal(unit_state(span), SPAN_FULL);
    heap_empty_bin(heap_self(), c);
    assert_int_equal(unit_state(span), SPAN_OWNED);
    assert_ptr_equal(unit_owner(span), heap_self());
    assert_int_equal(span->remote, 0);
    audit(held, n + 1);
    free_blocks(held, n + 1);
    audit(held, n + 1);
}

static void
test_random_frees_within_one_heap(void **state)
{
    struct unit_random r = {21};

    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 8) {
        unsigned c = fresh_class(size);
        size_t n = min_zu((size_t)size_classes[c].capacity * 4, 3000);

        for (int round = 0; round < 3; round++) {
            take_blocks(held, n, c);
            for (size_t left = n; left > 0;) {
                struct held *h = &held[unit_below(&r, n)];

                if (h->p != NULL) {
                    held_free(h);
                    left--;
                    if (left % 256 == 0) {
                        audit(held, n);
                    }
                }
            }
        }
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

static void
test_letting_go_of_everything_leaves_only_live_blocks(void **state)
{
    unsigned c = fresh_class(160);
    uint32_t n = size_classes[c].capacity;
    struct unit_random r = {8};

    (void)state;
    take_blocks(held, 4 * n, c);
    for (size_t i = 0; i < 4 * n; i++) {
        if (unit_below(&r, 3) != 0) {
            held_free(&held[i]);
        }
    }
    heap_let_go_all(heap_self());
    for (unsigned k = 0; k < TIDE_CLASS_COUNT; k++) {
        require(heap_self()->classes[k].current == NULL);
        require(heap_self()->classes[k].with_room == NULL);
        require_eq(heap_self()->classes[k].with_room_count, 0);
        require(is_list_end(heap_self()->bins[k].head));
    }
    assert_int_equal(heap_self()->ring_used, 0);
    audit(held, 4 * n);
    free_blocks(held, 4 * n);
    remote_flush(heap_self());
    assert_int_equal(audit_span_count(), 0);
}

/* What waits in the ring may meet a span that was lent meanwhile and make it ours: that goes as
 * well. */
static void
test_letting_go_leaves_nothing_that_came_on_the_way(void **state)
{
    unsigned c = fresh_class(208);
    uint32_t n = size_classes[c].capacity;
    struct some some = {held, 5, c};
    struct unit_actor actor;
    span_t *span;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, take_some, &some);
    span = space_span_of(held[0].p);
    held_free(&held[0]); /* waits in our ring */
    some = (struct some){&held[5], n - 4, c};
    unit_actor_do(&actor, take_some, &some);
    assert_int_equal(unit_state(span), SPAN_FULL);
    heap_let_go_all(heap_self());
    require(unit_owner(span) != heap_self());
    require(heap_self()->classes[c].with_room == NULL);
    require_eq(heap_self()->ring_used, 0);
    audit(held, n + 1);
    unit_actor_end(&actor);
    free_blocks(held, n + 1);
}

static void
test_errno_is_preserved(void **state)
{
    unsigned c = fresh_class(4096);
    void *large = tide_malloc((size_t)1 << 20);

    (void)state;
    take_blocks(held, 100, c);
    errno = 4711;
    tide_free(NULL);
    tide_free(large);
    for (size_t i = 0; i < 100; i++) {
        tide_free(held[i].p);
        require_eq(errno, 4711);
    }
}

/* --- wrong pointers --------------------------------------------------------------------------- */

static const char *
error_of(const void *p)
{
    return heap_pointer_error(p, space_span_of(p));
}

static void
require_errors_around(unsigned char *p, size_t size)
{
    require(error_of(p) == NULL);
    require(error_of(p + 1) == REPORT_INTERIOR);
    require(error_of(p + 8) == REPORT_INTERIOR);
    require(error_of(p + size - 1) == REPORT_INTERIOR);
    require(size == 16 || error_of(p + 16) == REPORT_INTERIOR);
}

static void
test_wrong_pointers_into_spans_of_every_state(void **state)
{
    unsigned c = fresh_class(1024);
    uint32_t n = size_classes[c].capacity;
    span_t *span;

    (void)state;
    take_blocks(held, 3, c); /* current */
    span = space_span_of(held[0].p);
    require_errors_around(held[1].p, span->block_size);
    assert_ptr_equal(error_of(span->start + (size_t)(n - 1) * span->block_size),
                     REPORT_NOT_ALLOCATED); /* never handed out */
    free_blocks(held, 3);
    assert_ptr_equal(error_of(span->start), REPORT_DOUBLE_FREE);
    (void)keeper_trim();
    assert_ptr_equal(error_of(span->start), REPORT_DOUBLE_FREE); /* its span is gone */

    span = make_let_go(c, held, n);
    require_errors_around(held[0].p, span->block_size);
    assert_ptr_equal(error_of(span->start + (size_t)n * span->block_size - 1), REPORT_INTERIOR);
    free_blocks(held, n);

    span = make_let_go(c, held, 2);
    require_errors_around(held[1].p, span->block_size);
    assert_ptr_equal(error_of(span->start + (size_t)3 * span->block_size), REPORT_DOUBLE_FREE);
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    assert_int_equal(unit_state(span), SPAN_COLD);
    require_errors_around(held[1].p, span->block_size);
    free_blocks(held, 2);
}

static void
test_wrong_pointers_elsewhere(void **state)
{
    unsigned char *large = tide_malloc(300000);
    int on_stack;

    (void)state;
    assert_ptr_equal(error_of(&on_stack), REPORT_FOREIGN);
    assert_ptr_equal(error_of(NULL), REPORT_FOREIGN);
    require_errors_around(large, 300000);
    assert_ptr_equal(error_of(large + SLICE_BYTES), REPORT_INTERIOR);
    tide_free(unit_hide(large));
    assert_ptr_equal(error_of(large), REPORT_DOUBLE_FREE);
    assert_ptr_equal(error_of((char *)space.base + (space.slice_limit << SLICE_SHIFT) - 16),
                     REPORT_NOT_ALLOCATED);
}

static void
free_wrongly(void *arg)
{
    unsigned c = fresh_class(512);
    uint32_t n = size_classes[c].capacity;
    uint64_t reports = report_count();
    unsigned char *freed;
    unsigned char *large = tide_malloc((size_t)1 << 20);

    (void)arg;
    close(STDERR_FILENO);
    report_aborts = false;
    take_blocks(held, 2 * n, c);
    freed = held[2 * n - 1].p;
    held_free(&held[2 * n - 1]);
    tide_free(unit_hide(freed)); /* into the current span */
    require_eq(report_count(), reports + 1);
    freed = held[0].p;
    held_free(&held[0]);
    tide_free(unit_hide(freed)); /* into one of its others */
    require_eq(report_count(), reports + 2);
    tide_free(unit_hide(held[1].p + 16));
    tide_free(unit_hide(held[1].p + 1));
    require_eq(report_count(), reports + 4);
    tide_free(unit_hide(&c));
    tide_free(unit_hide(large + 4096));
    tide_free(unit_hide(large));
    tide_free(unit_hide(large));
    require_eq(report_count(), reports + 7);
    audit(held, 2 * n); /* nothing came of any of it */
    heap_let_go_all(heap_self());
    freed = held[2].p;
    held_free(&held[2]);
    remote_flush(heap_self());
    tide_free(unit_hide(freed)); /* into a pooled one */
    require_eq(report_count(), reports + 8);
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    tide_free(unit_hide(freed)); /* into a cold one */
    require_eq(report_count(), reports + 9);
    audit(held, 2 * n);
    free_blocks(held, 2 * n);
    (void)keeper_trim();
    require_eq(audit_span_count(), 0);
    require_eq(report_count(), reports + 9);
}

static void
test_wrong_frees_change_nothing_when_they_do_not_abort(void **state)
{
    (void)state;
    unit_child(free_wrongly, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_spans_go_back_without_being_asked),
        cmocka_unit_test(test_bins_stay_short),
        cmocka_unit_test(test_bins_grow_with_use_only),
        cmocka_unit_test(test_nearly_empty_spans_are_for_everybody),
        cmocka_unit_test(test_a_span_that_was_passed_over_is_seen_again),
        cmocka_unit_test(test_the_current_span_is_direct_while_the_bin_is_full),
        cmocka_unit_test(test_a_full_span_is_lent),
        cmocka_unit_test(test_a_lent_span_is_taken_back),
        cmocka_unit_test(test_random_frees_within_one_heap),
        cmocka_unit_test(test_letting_go_of_everything_leaves_only_live_blocks),
        cmocka_unit_test(test_letting_go_leaves_nothing_that_came_on_the_way),
        cmocka_unit_test(test_errno_is_preserved),
        cmocka_unit_test(test_wrong_pointers_into_spans_of_every_state),
        cmocka_unit_test(test_wrong_pointers_elsewhere),
        cmocka_unit_test(test_wrong_frees_change_nothing_when_they_do_not_abort),
    };

    return cmocka_run_group_tests_name("heap/free", tests, unit_setup, NULL);
}
