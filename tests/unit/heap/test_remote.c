/* SPDX-License-Identifier: MIT */
/* heap/remote: frees of other threads' blocks wait, travel in chains, and make owners. */
#include "spans.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];

static void
flush(void *arg)
{
    (void)arg;
    remote_flush(heap_self());
}

static uint32_t
waiting_in_ring(const heap_t *heap, const span_t *span)
{
    for (unsigned i = 0; i < HEAP_RING_LEN; i++) {
        if (heap->ring[i].span == span) {
            return heap->ring[i].count;
        }
    }
    return 0;
}

static void
test_frees_wait_until_they_are_sent(void **state)
{
    unsigned c = fresh_class_at_home(64);
    struct unit_actor actor;
    struct some some = {held, 5, 0};
    heap_t *theirs = NULL;
    span_t *span;

    (void)state;
    take_blocks(held, 100, c);
    span = space_span_of(held[0].p);
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(span->remote, 0); /* nothing was sent */
    assert_int_equal(waiting_in_ring(theirs, span), 5);
    assert_int_equal(theirs->ring_used, 1);
    audit(held, 100);
    unit_actor_do(&actor, flush, NULL);
    assert_int_equal(remote_count(span->remote), 5);
    assert_int_equal(unit_state(span), SPAN_OWNED);
    assert_int_equal(theirs->ring_used, 0);
    assert_int_equal(theirs->counters.remote_batches, 1);
    assert_int_equal(theirs->counters.remote_blocks, 5);
    audit(held, 100);
    unit_actor_do(&actor, flush, NULL); /* nothing to send */
    assert_int_equal(theirs->counters.remote_batches, 1);
    unit_actor_end(&actor);
    free_blocks(held, 100);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_what_waits_is_bounded_in_blocks_and_bytes(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = fresh_class_at_home(size);
        size_t n = min_zu(size_classes[c].capacity, 400);
        struct unit_actor actor;
        struct some some = {held, 1, 0};
        heap_t *theirs = NULL;
        span_t *span;

        take_blocks(held, n, c);
        span = space_span_of(held[0].p);
        require_eq(unit_actor_start(&actor), 0);
        unit_actor_do(&actor, note_heap, &theirs);
        for (size_t i = 0; i < n; i++) {
            uint32_t waiting;

            some.held = &held[i];
            unit_actor_do(&actor, free_some, &some);
            waiting = waiting_in_ring(theirs, span);
            require(waiting < 64);
            require((size_t)waiting * size_classes[c].size < (size_t)16 << 10 || waiting <= 1);
            require_eq(waiting + remote_count(span->remote), i + 1);
        }
        audit(held, n);
        unit_actor_end(&actor);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

/* More spans than the ring has places: each free that meets another span's batch sends that one. */
static void
test_many_spans_share_the_ring(void **state)
{
    unsigned c = fresh_class_at_home(1024);
    size_t per_span = size_classes[c].capacity;
    size_t spans = 2 * HEAP_RING_LEN + 3;
    size_t n = min_zu(spans * per_span, BLOCKS_MAX);
    struct unit_actor actor;
    heap_t *theirs = NULL;

    (void)state;
    assert_true(n > HEAP_RING_LEN * per_span);
    take_blocks(held, n, c);
    for (size_t i = 0; i < n; i += per_span) { /* ours again: in full spans nothing would wait */
        held_free(&held[i + per_span - 1 < n ? i + per_span - 1 : i]);
    }
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    for (size_t turn = 0; turn < 6; turn++) {
        for (size_t i = turn; i < n; i += per_span) { /* round and round all spans */
            struct some some = {&held[i], 1, 0};

            unit_actor_do(&actor, free_some, &some);
        }
        assert_true(theirs->ring_used > HEAP_RING_LEN / 4);
        audit(held, n);
    }
    assert_true(theirs->counters.remote_batches > spans);
    unit_actor_end(&actor);
    audit(held, n);
    free_blocks(held, n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_the_owner_reuses_what_others_freed(void **state)
{
    unsigned c = fresh_class_at_home(320);
    size_t n = size_classes[c].capacity;
    struct some some = {held, n / 2, 0};
    span_t *span;

    (void)state;
    take_blocks(held, n, c); /* all of a span, which is still the current one */
    span = space_span_of(held[0].p);
    unit_on_thread(free_some, &some);
    assert_int_equal(remote_count(span->remote), n / 2);
    take_blocks(held, n / 2, c);
    assert_int_equal(span->remote, 0);
    for (size_t i = 0; i < n; i++) {
        require(space_span_of(held[i].p) == span);
    }
    assert_int_equal(audit_span_count(), 1);
    audit(held, n);
    free_blocks(held, n);
}

static void
test_the_first_to_free_in_a_full_span_owns_it(void **state)
{
    unsigned c = fresh_class_at_home(448);
    size_t n = size_classes[c].capacity;
    struct some some = {held, 1, 0};
    struct unit_actor actor;
    heap_t *theirs = NULL;
    span_t *span = make_let_go(c, held, (uint32_t)n);
    uint64_t batches;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    batches = theirs->counters.remote_batches;
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(unit_state(span), SPAN_OWNED);
    assert_ptr_equal(unit_owner(span), theirs);
    assert_ptr_equal(theirs->classes[c].with_room, span);
    audit(held, n);
    some = (struct some){&held[1], 20, 0};
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(span->remote, 0); /* its own now: plain frees */
    assert_int_equal(theirs->counters.remote_batches, batches);
    audit(held, n);
    held_free(&held[30]); /* and ours is the remote one */
    remote_flush(heap_self());
    assert_int_equal(remote_count(span->remote), 1);
    audit(held, n);
    some = (struct some){held, n, 0};
    unit_actor_do(&actor, free_some, &some);
    unit_actor_end(&actor);
    audit(held, n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_frees_without_a_heap(void **state)
{
    unsigned c = fresh_class_at_home(576);
    uint32_t n = size_classes[c].capacity;
    span_t *span = make_let_go(c, held, n);

    (void)state;
    remote_free(NULL, span, (block_t *)(void *)held[0].p); /* full: passes it on to the pool */
    held[0].p = NULL;
    assert_int_equal(unit_state(span), SPAN_POOLED);
    assert_int_equal(span->pool_live, n - 1);
    audit(held, n);
    for (uint32_t i = 1; i < n; i++) {
        require(space_span_of(held[i].p) == span);
        remote_free(NULL, span, (block_t *)(void *)held[i].p); /* pooled: chained at once */
        held[i].p = NULL;
        audit(held, n);
    }
    assert_true(is_gone(span->start));
    assert_int_equal(audit_span_count(), 0);
}

static void
test_the_end_of_a_thread_sends_what_waits(void **state)
{
    unsigned c = fresh_class_at_home(704);
    struct some some = {held, 7, 0};
    span_t *span;

    (void)state;
    take_blocks(held, 20, c);
    span = space_span_of(held[0].p);
    unit_on_thread(free_some, &some);
    assert_int_equal(remote_count(span->remote), 7);
    audit(held, 20);
    free_blocks(held, 20);
}

static void
test_a_chain_keeps_every_block_in_any_state_it_meets(void **state)
{
    unsigned c = fresh_class_at_home(208);
    struct some some = {held, 8, 0};
    struct unit_actor actor;
    span_t *span;
    size_t n = size_classes[c].capacity;

    (void)state;
    /* Sent while the span is owned, full, pooled and cold in turn. */
    for (int state_wanted = SPAN_OWNED; state_wanted <= SPAN_COLD; state_wanted++) {
        uint32_t live =
            (uint32_t)(state_wanted == SPAN_POOLED || state_wanted == SPAN_COLD ? n / 2 : n);
        span = make_span(c, held, live);
        span_set_owner(span, heap_new(NULL)->key);
        require_eq(unit_actor_start(&actor), 0);
        unit_actor_do(&actor, free_some, &some); /* they wait: somebody owns it */
        span_let_go(heap_self(), span, live);
        require_eq(unit_state(span), live == n ? SPAN_FULL : SPAN_POOLED);
        if (state_wanted == SPAN_COLD) {
            (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
            require_eq(unit_state(span), SPAN_COLD);
        }
        audit(held, live);
        unit_actor_do(&actor, flush, NULL);
        audit(held, live);
        unit_actor_end(&actor);
        free_blocks(held, live);
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frees_wait_until_they_are_sent),
        cmocka_unit_test(test_what_waits_is_bounded_in_blocks_and_bytes),
        cmocka_unit_test(test_many_spans_share_the_ring),
        cmocka_unit_test(test_the_owner_reuses_what_others_freed),
        cmocka_unit_test(test_the_first_to_free_in_a_full_span_owns_it),
        cmocka_unit_test(test_frees_without_a_heap),
        cmocka_unit_test(test_the_end_of_a_thread_sends_what_waits),
        cmocka_unit_test(test_a_chain_keeps_every_block_in_any_state_it_meets),
    };

    return cmocka_run_group_tests_name("heap/remote", tests, unit_setup, NULL);
}
