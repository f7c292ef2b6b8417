/* SPDX-License-Identifier: MIT */
/* heap/transfer: blocks that one thread frees and another allocates circulate, and come home. */
#include "spans.h"

#include "base/random.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];

static void
let_go(void *arg)
{
    (void)arg;
    heap_let_go_all(heap_self());
}

/* The blocks are not held by the test any more. */
static block_t *
chain_of(struct held *blocks, size_t n)
{
    block_t *list = list_end();

    for (size_t i = 0; i < n; i++) {
        block_t *block = (block_t *)(void *)blocks[i].p;

        block_link(block, list);
        list = block;
        blocks[i].p = NULL;
    }
    return list;
}

static void
test_chains_are_taken_last_in_first_out(void **state)
{
    unsigned c = fresh_class(256);
    block_t *a;
    block_t *b;

    (void)state;
    take_blocks(held, 10, c);
    a = chain_of(held, 4);
    b = chain_of(held + 4, 6);
    assert_true(transfer_is_empty(c));
    assert_null(transfer_take(c));
    assert_true(transfer_put(c, a));
    assert_true(transfer_put(c, b));
    assert_false(transfer_is_empty(c));
    assert_ptr_equal(transfer_take(c), b);
    assert_ptr_equal(transfer_take(c), a);
    assert_int_equal(list_length(a), 4);
    assert_int_equal(list_length(b), 6);
    assert_null(transfer_take(c));
    remote_free_chain(a);
    remote_free_chain(b);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static size_t
fill_list(unsigned c)
{
    size_t n = 0;

    while (transfer_has_room(c)) {
        block_t *chain = chain_of(&held[n], 1);

        if (transfer_put(c, chain)) {
            n++;
        } else {
            remote_free_chain(chain);
        }
    }
    return n;
}

static void
test_a_full_list_refuses_until_something_is_taken(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 8) {
        unsigned c = fresh_class(size);
        size_t n;

        take_blocks(held, TRANSFER_CHAINS + 1, c);
        n = fill_list(c);
        free_blocks(&held[n + 1], TRANSFER_CHAINS - n);
        require_ge(n, 2);
        require_le(n, TRANSFER_CHAINS);
        require_eq(transfers[c].count, n);
        remote_free_chain(transfer_take(c));
        require(transfer_has_room(c));
        (void)keeper_trim();
        require(transfer_is_empty(c));
        require_eq(audit_span_count(), 0);
    }
}

/* A list holds more for many threads than for few, and what it has too many of when they are gone
 * can be taken, but not added to. */
static void
test_lists_are_longer_for_more_threads(void **state)
{
    unsigned c = fresh_class(4096);
    uint32_t threads = heap_live_count;
    block_t *refused;
    size_t few;
    size_t many;

    (void)state;
    take_blocks(held, TRANSFER_CHAINS + 1, c);
    few = fill_list(c);
    while (!transfer_is_empty(c)) {
        remote_free_chain(transfer_take(c));
    }
    free_blocks(held + few + 1, TRANSFER_CHAINS - few);
    take_blocks(held, TRANSFER_CHAINS + 1, c);
    heap_live_count = 8;
    many = fill_list(c);
    require_ge(many, few * 4);
    heap_live_count = threads;
    remote_free_chain(transfer_take(c));
    require(transfer_has_room(c));
    refused = chain_of(&held[many + 1], 1);
    require(!transfer_put(c, refused));
    remote_free_chain(refused);
    require(!transfer_has_room(c));
    for (size_t n = many - 1; n > 0; n--) {
        remote_free_chain(transfer_take(c));
    }
    require(transfer_is_empty(c));
    require(transfer_has_room(c));
    free_blocks(held + many + 2, TRANSFER_CHAINS - many - 1);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_a_span_that_changed_hands_opens_no_bin(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        require_ge(transfer_keep_after(c), size_classes[c].capacity);
        require_ge(transfer_keep_after(c), FOREIGN_KEEP);
        /* What heap_class.foreign counts to. */
        require_le(FOREIGN_WEIGHT * transfer_keep_after(c), UINT16_MAX);
    }
}

/* So many more blocks of others, and the heap keeps them. */
static void
nearly_keeps(heap_t *heap, unsigned c, uint32_t more)
{
    heap->classes[c].foreign = (uint16_t)(FOREIGN_WEIGHT * (transfer_keep_after(c) - more));
}

static void
test_a_few_blocks_go_home_and_many_are_kept(void **state)
{
    enum { FEW = FOREIGN_KEEP - 1 };
    unsigned c = fresh_class(64);
    struct unit_actor actor;
    struct some some = {held, FEW, c};
    heap_t *theirs = NULL;
    uint64_t spans;

    (void)state;
    take_blocks(held, 200, c);
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    spans = theirs->counters.spans_new;
    nearly_keeps(theirs, c, FEW + 1);
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(theirs->bins[c].open, 0);
    assert_true(is_list_end(theirs->bins[c].head));
    some = (struct some){held + FEW, 11, c};
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(theirs->bins[c].open, 1);
    assert_int_equal(list_length(theirs->bins[c].head), 10); /* from the next one on */
    audit(held, 200);
    some = (struct some){held + BLOCKS_MAX - 10, 10, c};
    unit_actor_do(&actor, take_some, &some); /* and what it kept it can have */
    assert_true(is_list_end(theirs->bins[c].head));
    assert_int_equal(theirs->counters.spans_new, spans);
    unit_actor_do(&actor, free_some, &some);
    unit_actor_do(&actor, let_go, NULL);
    assert_int_equal(theirs->bins[c].open, 0);
    unit_actor_end(&actor);
    free_blocks(held, 200);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

/* What the branch of free for heaps with an open bin has to tell apart. */
static void
free_all_kinds(void *arg)
{
    static struct held own[300];
    unsigned c = *(const unsigned *)arg;
    void *large = tide_malloc(100000);

    tide_free(NULL);
    tide_free(large);
    take_blocks(own, 300, c);
    free_blocks(own, 300);
    require_eq(heap_self()->open_bins, 1);
    require_eq(front_self()->reach, FRONT_OPEN);
}

enum { CLASSES = 8, LIVE = 600 };

struct life {
    unsigned first_class;
    uint64_t random;
    void *blocks[LIVE];
};

/* Some blocks give way to others of any class. */
static void
live_on(void *arg)
{
    struct life *life = arg;

    for (int i = 0; i < 2000; i++) {
        uint64_t r = random_next(&life->random);
        void **block = &life->blocks[r % LIVE];

        tide_free(*block);
        *block = tide_malloc(size_classes[life->first_class + (r >> 32) % CLASSES].size);
        require(*block != NULL);
    }
}

static void
live_no_more(void *arg)
{
    struct life *life = arg;

    for (size_t i = 0; i < LIVE; i++) {
        tide_free(life->blocks[i]);
    }
}

/* Spans change hands, with blocks of the heap before in them; the threads stay apart even so. */
static void
test_threads_that_share_nothing_keep_no_blocks_of_each_other(void **state)
{
    enum { THREADS = 3, TURNS = 2000 };
    static struct life lives[THREADS];
    struct unit_actor actors[THREADS];
    heap_t *heaps[THREADS];
    unsigned first = fresh_class(576);
    size_t open = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        lives[i] = (struct life){.first_class = first, .random = i};
        assert_int_equal(unit_actor_start(&actors[i]), 0);
        unit_actor_do(&actors[i], note_heap, &heaps[i]);
    }
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned i = 0; i < THREADS; i++) {
            unit_actor_do(&actors[i], live_on, &lives[i]);
            open += heaps[i]->open_bins;
        }
    }
    require_le(open, THREADS * TURNS * CLASSES / 10);
    for (unsigned i = 0; i < THREADS; i++) {
        unit_actor_do(&actors[i], live_no_more, &lives[i]);
        unit_actor_end(&actors[i]);
    }
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_one_open_bin_leaves_the_others_strict(void **state)
{
    enum { FEW = FOREIGN_KEEP - 1 };
    unsigned c = fresh_class(64);
    unsigned other = c + 1;
    struct unit_actor actor;
    struct some some = {held, 200, c};
    heap_t *theirs = NULL;

    (void)state;
    take_blocks(held, 200, c);
    take_blocks(held + 200, 100, other);
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    theirs->trim_epoch = heap_trim_epoch; /* it may be an older test's heap, and behind */
    nearly_keeps(theirs, c, FEW + 1);
    nearly_keeps(theirs, other, FEW + 1);
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(theirs->open_bins, 1);
    some = (struct some){held + 200, FEW, other};
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(theirs->open_bins, 1);
    assert_true(is_list_end(theirs->bins[other].head)); /* they go home */
    unit_actor_do(&actor, free_all_kinds, &other);
    require_le(list_length(theirs->bins[other].head),
               size_classes[other].bin_limit + OS_PAGE / size_classes[other].size);
    free_blocks(held + 200 + FEW, 100 - FEW);
    unit_actor_do(&actor, let_go, NULL);
    assert_int_equal(theirs->open_bins, 0);
    unit_actor_end(&actor);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_blocks_circulate_without_their_spans(void **state)
{
    enum { ROUND = 300, ROUNDS = 200 };
    unsigned c = fresh_class(128);
    struct unit_actor actor;
    struct some some = {held, ROUND, c};
    heap_t *theirs = NULL;
    uint64_t batches;
    uint64_t spans;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    for (int i = 0; i < 20; i++) {
        take_blocks(held, ROUND, c);
        unit_actor_do(&actor, free_some, &some);
    }
    batches = theirs->counters.remote_batches + theirs->counters.claimed;
    spans = heap_self()->counters.spans_new;
    for (int i = 0; i < ROUNDS; i++) {
        take_blocks(held, ROUND, c);
        unit_actor_do(&actor, free_some, &some);
    }
    audit(held, ROUND);
    require_le(theirs->counters.remote_batches + theirs->counters.claimed, batches + ROUNDS / 10);
    require_le(heap_self()->counters.spans_new, spans + 4);
    require(theirs->classes[c].aside != NULL); /* chains do not grow on their way */
    require_le(list_length(theirs->classes[c].aside), transfer_chain_blocks(c));
    require_le(list_length(theirs->bins[c].head), transfer_chain_blocks(c));
    for (uint32_t i = 0; i < transfers[c].count; i++) {
        require_le(list_length(transfers[c].chains[i]), transfer_chain_blocks(c));
    }
    unit_actor_end(&actor);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_a_heap_that_uses_its_own_spans_is_strict_again(void **state)
{
    unsigned c = fresh_class(256);
    struct unit_actor actor;
    struct some some = {held, 200, c};
    heap_t *theirs = NULL;

    (void)state;
    take_blocks(held, 200, c);
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, note_heap, &theirs);
    nearly_keeps(theirs, c, FOREIGN_KEEP);
    unit_actor_do(&actor, free_some, &some);
    assert_int_equal(theirs->bins[c].open, 1);
    some.n = 10000;
    unit_actor_do(&actor, take_some, &some);
    assert_int_equal(theirs->bins[c].open, 0);
    unit_actor_do(&actor, free_some, &some);
    audit(held, 200);
    unit_actor_end(&actor);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_what_nobody_takes_is_sent_home_when_it_is_old(void **state)
{
    unsigned c = fresh_class(64);
    uint32_t tick;

    (void)state;
    take_blocks(held, 50, c);
    heap_let_go_all(heap_self()); /* its span is pooled: the other blocks are free */
    assert_int_equal(audit_span_count(), 1);
    assert_true(transfer_put(c, chain_of(held, 50)));
    tick = transfers[c].tick;
    transfer_send_home(tick);
    assert_false(transfer_is_empty(c));
    transfer_send_home(tick + 1);
    assert_true(transfer_is_empty(c));
    assert_int_equal(audit_span_count(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_are_taken_last_in_first_out),
        cmocka_unit_test(test_a_full_list_refuses_until_something_is_taken),
        cmocka_unit_test(test_lists_are_longer_for_more_threads),
        cmocka_unit_test(test_a_span_that_changed_hands_opens_no_bin),
        cmocka_unit_test(test_a_few_blocks_go_home_and_many_are_kept),
        cmocka_unit_test(test_threads_that_share_nothing_keep_no_blocks_of_each_other),
        cmocka_unit_test(test_one_open_bin_leaves_the_others_strict),
        cmocka_unit_test(test_blocks_circulate_without_their_spans),
        cmocka_unit_test(test_a_heap_that_uses_its_own_spans_is_strict_again),
        cmocka_unit_test(test_what_nobody_takes_is_sent_home_when_it_is_old),
    };

    return cmocka_run_group_tests_name("heap/transfer", tests, unit_setup, NULL);
}
