/* SPDX-License-Identifier: MIT */
/* heap/pool: what becomes of a span that is let go, who gets it next, and cold ones. */
#include "spans.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];
static struct held more[BLOCKS_MAX];

static void
test_what_becomes_of_a_span_that_is_let_go(void **state)
{
    (void)state;
    for (size_t size = 32; size <= TIDE_SMALL_MAX; size *= 4) {
        unsigned c = fresh_class(size);
        uint32_t capacity = size_classes[c].capacity;
        span_t *span = make_let_go(c, held, 0);

        require(is_gone(span->start)); /* all free: released */
        require_eq(pooled_spans(c), 0);

        span = make_let_go(c, held, capacity);
        require_eq(unit_state(span), SPAN_FULL); /* nothing to give: on no list */
        require(unit_owner(span) == NULL);
        require_eq(pooled_spans(c), 0);
        require(pool_take(c) == NULL);
        audit(held, capacity);

        (void)make_let_go(c, more, 1);
        require_eq(unit_state(space_span_of(more[0].p)), SPAN_POOLED);
        require_eq(pooled_spans(c), 1);
        require_eq(audit_span_count(), 2);
        free_blocks(more, 1);
        free_blocks(held, capacity);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

/* Who has a span to spare is in no want of another's. */
static void
test_a_class_is_wanted_by_who_takes_new_memory(void **state)
{
    unsigned c = fresh_class(512);
    span_t *a = make_let_go(c, &held[0], 1);
    span_t *made;

    (void)state;
    require(!pool_is_wanted(c));
    require(pool_take(c) == a);
    require(pool_take(c) == NULL);
    require(!pool_is_wanted(c)); /* to look is not enough */
    span_let_go_spare(heap_self(), 0);
    made = span_new_small(heap_self(), c);
    require(pool_is_wanted(c));
    span_release(heap_self(), made);
    span_let_go(heap_self(), a, 1);
    require(!pool_is_wanted(c)); /* there is one */
    require(span_new_small(heap_self(), c) == made);
    require(!pool_is_wanted(c));
    span_release(heap_self(), made);
    free_blocks(held, 1);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_the_span_changed_last_is_taken_first(void **state)
{
    unsigned c = fresh_class(512);
    span_t *a = make_let_go(c, &held[0], 1);
    span_t *b = make_let_go(c, &held[1], 2);
    span_t *d = make_let_go(c, &held[3], 3);

    (void)state;
    audit(held, 6);
    assert_int_equal(pooled_spans(c), 3);
    assert_ptr_equal(pool_take(c), d);
    assert_int_equal(unit_state(d), SPAN_OWNED);
    assert_int_equal(d->pool_live, 3);
    assert_ptr_equal(pool_take(c), b);
    assert_ptr_equal(pool_take(c), a);
    assert_null(pool_take(c));
    assert_int_equal(pooled_spans(c), 0);
    span_let_go(heap_self(), b, 2);
    span_let_go(heap_self(), a, 1);
    span_let_go(heap_self(), d, 3);
    assert_ptr_equal(pool_take(c), d);
    span_let_go(heap_self(), d, 3);
    audit(held, 6);
    free_blocks(held, 6);
    audit(held, 0);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_allocation_takes_pooled_spans_before_new_ones(void **state)
{
    unsigned c = fresh_class(640);
    span_t *span = make_let_go(c, held, 5);
    uint32_t room = span->capacity - 5;
    uint64_t made = heap_self()->counters.spans_new;

    (void)state;
    take_blocks(more, room, c);
    for (uint32_t i = 0; i < room; i++) {
        require(space_span_of(more[i].p) == span);
    }
    assert_int_equal(heap_self()->counters.spans_new, made);
    free_blocks(more, room);
    free_blocks(held, 5);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
free_one(void *arg)
{
    held_free(arg);
}

static void
free_and_flush(void *arg)
{
    held_free(arg);
    remote_flush(heap_self());
}

static void
test_remote_frees_release_a_pooled_span_when_the_last_comes(void **state)
{
    unsigned c = fresh_class(768);
    span_t *span = make_let_go(c, held, 3);
    char *start = span->start;

    (void)state;
    unit_on_thread(free_and_flush, &held[1]);
    assert_int_equal(unit_state(span), SPAN_POOLED);
    assert_int_equal(remote_count(span->remote), 1);
    assert_int_equal(span->pool_live, 3); /* until it is collected */
    audit(held, 3);
    unit_on_thread(free_one, &held[0]); /* sent when the thread ends */
    audit(held, 3);
    assert_int_equal(remote_count(span->remote), 2);
    held_free(&held[2]);
    remote_flush(heap_self());
    assert_true(is_gone(start));
    assert_int_equal(pooled_spans(c), 0);
}

static void
test_let_go_releases_when_all_was_freed_meanwhile(void **state)
{
    unsigned c = fresh_class(896);
    uint32_t capacity = size_classes[c].capacity;
    span_t *span = make_span(c, held, capacity);

    (void)state;
    for (uint32_t i = 0; i < capacity; i++) {
        block_t *block = (block_t *)(void *)held[i].p;

        remote_free(NULL, span, block); /* by somebody without a heap */
        require_eq(remote_count(span->remote), i + 1);
    }
    span_let_go(heap_self(), span, capacity);
    assert_true(is_gone(span->start));
}

static void
test_a_full_span_with_remote_frees_is_pooled(void **state)
{
    unsigned c = fresh_class(1024);
    uint32_t capacity = size_classes[c].capacity;
    span_t *span = make_span(c, held, capacity);

    (void)state;
    remote_free(NULL, span, (block_t *)(void *)held[4].p);
    held[4].p = NULL;
    span_let_go(heap_self(), span, capacity);
    assert_int_equal(unit_state(span), SPAN_POOLED);
    audit(held, capacity);
    take_blocks(&held[4], 1, c); /* the very block */
    assert_ptr_equal(space_span_of(held[4].p), span);
    audit(held, capacity);
    free_blocks(held, capacity);
}

/* --- cold ------------------------------------------------------------------------------------- */

static span_t *
make_cold(unsigned c, struct held *blocks, uint32_t live)
{
    span_t *span = make_let_go(c, blocks, live);

    require(pool_take_oldest(c, (uint16_t)unit_now_tick()) == span);
    require_eq(unit_state(span), SPAN_OWNED);
    (void)span_cool(span, &live);
    pool_put_cold(span, live);
    require_eq(unit_state(span), SPAN_COLD);
    return span;
}

static void
test_oldest_are_taken_by_age_and_cold_ones_not_again(void **state)
{
    unsigned c = fresh_class(1280);
    uint16_t tick = (uint16_t)arena_tick;
    span_t *a = make_let_go(c, &held[0], 1);
    span_t *b;

    (void)state;
    assert_null(pool_take_oldest(c, tick)); /* changed at that tick */
    atomic_add_relaxed(&arena_tick, 1);
    b = make_let_go(c, &held[1], 2);
    assert_ptr_equal(pool_take_oldest(c, tick + 1), a); /* b is too young */
    span_let_go(heap_self(), a, 1);                     /* young again */
    assert_null(pool_take_oldest(c, tick + 1));
    assert_ptr_equal(pool_take_oldest(c, tick + 2), b);
    span_let_go(heap_self(), b, 2);
    audit(held, 3);
    (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
    assert_int_equal(unit_state(a), SPAN_COLD);
    assert_int_equal(unit_state(b), SPAN_COLD);
    assert_null(pool_take_oldest(c, (uint16_t)(unit_now_tick() + 5)));
    audit(held, 3);
    free_blocks(held, 3);
    assert_int_equal(audit_span_count(), 0);
}

static void
test_cold_spans_are_taken_last(void **state)
{
    unsigned c = fresh_class(1536);
    span_t *cold = make_cold(c, &held[0], 2);
    span_t *warm = make_let_go(c, &held[2], 2);

    (void)state;
    audit(held, 4);
    assert_int_equal(pooled_spans(c), 2);
    assert_ptr_equal(pool_take(c), warm);
    assert_ptr_equal(pool_take(c), cold);
    assert_int_equal(unit_state(cold), SPAN_OWNED);
    assert_int_equal(cold->bitmap_count, cold->capacity - 2);
    span_let_go(heap_self(), cold, 2);
    span_let_go(heap_self(), warm, 2);
    assert_int_equal(unit_state(cold), SPAN_POOLED); /* not cold any more */
    audit(held, 4);
    free_blocks(held, 4);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_frees_into_a_cold_span_set_bits(void **state)
{
    unsigned c = fresh_class(1792);
    span_t *span = make_cold(c, held, 6);
    uint32_t bits = span->bitmap_count;
    char *start = span->start;

    (void)state;
    assert_int_equal(bits, span->capacity - 6);
    held_free(&held[0]);
    assert_int_equal(span->bitmap_count, bits + 1);
    assert_int_equal(span->pool_live, 5);
    assert_int_equal(remote_count(span->remote), 0);
    assert_int_equal(unit_state(span), SPAN_COLD);
    unit_on_thread(free_one, &held[5]);
    assert_int_equal(span->bitmap_count, bits + 2);
    audit(held, 6);
    free_blocks(held, 5);
    assert_true(is_gone(start)); /* the last one freed */
}

static void
test_a_span_freed_into_since_is_cooled_again(void **state)
{
    unsigned c = fresh_class(2048);
    span_t *span = make_cold(c, held, 4);

    (void)state;
    assert_null(pool_take_oldest(c, (uint16_t)unit_now_tick()));
    held_free(&held[0]);
    assert_null(pool_take_oldest(c, (uint16_t)arena_tick)); /* too young */
    assert_ptr_equal(pool_take_oldest(c, (uint16_t)unit_now_tick()), span);
    pool_put_cold(span, 3);
    assert_null(pool_take_oldest(c, (uint16_t)unit_now_tick()));
    audit(held, 4);
    free_blocks(held, 4);
    assert_int_equal(audit_span_count(), 0);
}

/* Cold spans that nothing was freed in lie between them: nobody looks at those. */
static void
test_of_stale_spans_the_longest_untouched_is_first(void **state)
{
    unsigned c = fresh_class(2304);
    span_t *spans[5];
    uint16_t tick;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        spans[i] = make_cold(c, &held[3 * i], 3);
    }
    for (size_t i = 0; i < 3; i++) { /* 4, 2, 0 */
        held_free(&held[3 * (4 - 2 * i)]);
        atomic_add_relaxed(&arena_tick, 1);
    }
    held_free(&held[3 * 4 + 1]); /* and 4 once more */
    tick = (uint16_t)arena_tick;
    assert_ptr_equal(pool_take_oldest(c, tick), spans[2]);
    pool_put_cold(spans[2], 2);
    assert_int_equal(unit_state(spans[2]), SPAN_COLD);
    assert_ptr_equal(pool_take(c), spans[4]); /* the latest first */
    assert_ptr_equal(pool_take_oldest(c, tick), spans[0]);
    assert_null(pool_take_oldest(c, (uint16_t)unit_now_tick()));
    assert_int_equal(pooled_spans(c), 3);
    span_let_go(heap_self(), spans[4], 1);
    span_let_go(heap_self(), spans[0], 2);
    assert_ptr_equal(pool_take(c), spans[0]); /* not cold any more: before those that are */
    span_let_go(heap_self(), spans[0], 2);
    audit(held, 15);
    free_blocks(held, 15);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_cooling_that_frees_overtake_ends_pooled(void **state)
{
    unsigned c = fresh_class(2560);
    span_t *span = make_let_go(c, held, 4);
    uint32_t live = 4;

    (void)state;
    assert_ptr_equal(pool_take_oldest(c, (uint16_t)unit_now_tick()), span);
    (void)span_cool(span, &live);
    remote_free(NULL, span, (block_t *)(void *)held[0].p); /* before it is put back */
    held[0].p = NULL;
    pool_put_cold(span, live);
    assert_int_equal(unit_state(span), SPAN_POOLED);
    audit(held, 4);
    assert_ptr_equal(pool_take_oldest(c, (uint16_t)unit_now_tick()), span);
    (void)span_cool(span, &live);
    for (size_t i = 1; i < 4; i++) { /* now all of them */
        remote_free(NULL, span, (block_t *)(void *)held[i].p);
        held[i].p = NULL;
    }
    assert_int_equal(live, 3);
    pool_put_cold(span, live);
    assert_true(is_gone(span->start));
}

static void
test_only_cold_spans_take_bits(void **state)
{
    unsigned c = fresh_class(3072);
    span_t *span = make_let_go(c, held, 2);

    (void)state;
    assert_false(pool_free_cold(heap_self(), span, (block_t *)(void *)held[0].p, 1));
    audit(held, 2);
    free_blocks(held, 2);
    remote_flush(heap_self());
    assert_int_equal(audit_span_count(), 0);
}

static void
test_a_chain_is_freed_into_a_cold_span_whole(void **state)
{
    unsigned c = fresh_class(192);
    span_t *span = make_cold(c, held, 10);
    uint32_t bits = span->bitmap_count;
    block_t *head = list_end();

    (void)state;
    for (size_t i = 2; i < 7; i++) {
        block_link((block_t *)(void *)held[i].p, head);
        head = (block_t *)(void *)held[i].p;
        held[i].p = NULL;
    }
    assert_true(pool_free_cold(heap_self(), span, head, 5));
    assert_int_equal(span->bitmap_count, bits + 5);
    audit(held, 10);
    take_blocks(more, span->capacity - 5, c); /* warm again: each block once */
    free_blocks(more, span->capacity - 5);
    free_blocks(held, 10);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_ages_wrap_with_the_tick(void **state)
{
    unsigned c = fresh_class(5120);
    span_t *span;

    (void)state;
    atomic_store_relaxed(&arena_tick, 0x1ffff);
    span = make_let_go(c, held, 1);
    assert_int_equal(span->pool_epoch, 0xffff);
    assert_null(pool_take_oldest(c, 0xffff));
    assert_ptr_equal(pool_take_oldest(c, 0), span);
    span_let_go(heap_self(), span, 1);
    atomic_store_relaxed(&arena_tick, 0x20003);
    assert_ptr_equal(pool_take_oldest(c, 3), span);
    span_let_go(heap_self(), span, 1);
    free_blocks(held, 1);
    remote_flush(heap_self());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_becomes_of_a_span_that_is_let_go),
        cmocka_unit_test(test_a_class_is_wanted_by_who_takes_new_memory),
        cmocka_unit_test(test_the_span_changed_last_is_taken_first),
        cmocka_unit_test(test_allocation_takes_pooled_spans_before_new_ones),
        cmocka_unit_test(test_remote_frees_release_a_pooled_span_when_the_last_comes),
        cmocka_unit_test(test_let_go_releases_when_all_was_freed_meanwhile),
        cmocka_unit_test(test_a_full_span_with_remote_frees_is_pooled),
        cmocka_unit_test(test_oldest_are_taken_by_age_and_cold_ones_not_again),
        cmocka_unit_test(test_cold_spans_are_taken_last),
        cmocka_unit_test(test_frees_into_a_cold_span_set_bits),
        cmocka_unit_test(test_a_span_freed_into_since_is_cooled_again),
        cmocka_unit_test(test_of_stale_spans_the_longest_untouched_is_first),
        cmocka_unit_test(test_cooling_that_frees_overtake_ends_pooled),
        cmocka_unit_test(test_only_cold_spans_take_bits),
        cmocka_unit_test(test_a_chain_is_freed_into_a_cold_span_whole),
        cmocka_unit_test(test_ages_wrap_with_the_tick),
    };

    return cmocka_run_group_tests_name("heap/pool", tests, unit_setup, NULL);
}
