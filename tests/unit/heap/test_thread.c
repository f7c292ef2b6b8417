/* SPDX-License-Identifier: MIT */
/* heap/thread: heaps are handed over whole, dissolved when nobody wants them, lost in a fork. */
#include "spans.h"

#define BLOCKS_MAX 4096u

static struct held held[BLOCKS_MAX];

struct work {
    heap_t *heap;
    struct held *held;
    size_t n;
    unsigned c;
};

static void
take(void *arg)
{
    struct work *work = arg;

    take_blocks(work->held, work->n, work->c);
    work->heap = heap_self();
}

static void
give(void *arg)
{
    struct work *work = arg;

    tide_free(tide_malloc(0)); /* it has a heap before the first free */
    free_blocks(work->held, work->n);
    work->heap = heap_self();
}

static size_t
heaps(enum heap_state state)
{
    size_t n = 0;

    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        n += h->state == (uint32_t)state;
    }
    return n;
}

static void
see_heap(void *arg)
{
    *(heap_t **)arg = heap_self();
}

static void
test_a_thread_has_no_heap_until_it_needs_one(void **state)
{
    struct work work = {.held = held, .n = 1, .c = fresh_class(64)};
    struct unit_actor actor;
    heap_t *heap = NULL;
    uint32_t before = heap_live_count;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, see_heap, &heap);
    assert_ptr_equal(heap, &heap_empty);
    assert_int_equal(heap_live_count, before);
    unit_actor_do(&actor, take, &work);
    assert_ptr_not_equal(work.heap, &heap_empty);
    assert_ptr_not_equal(work.heap, heap_self());
    assert_int_equal(work.heap->state, HEAP_LIVE);
    assert_int_equal(heap_live_count, before + 1);
    unit_actor_do(&actor, give, &work);
    unit_actor_end(&actor);
    assert_int_equal(heap_live_count, before);
    assert_int_equal(heap_empty.state, 0);
}

static void
test_a_heap_is_handed_over_whole(void **state)
{
    struct work first = {.held = held, .n = 10, .c = fresh_class(128)};
    struct work second = {.held = &held[10], .n = 10, .c = first.c};
    span_t *span;

    (void)state;
    unit_on_thread(take, &first);
    span = space_span_of(held[0].p);
    assert_int_equal(first.heap->state, HEAP_ORPHAN);
    assert_ptr_equal(unit_owner(span), first.heap); /* it still owns its spans */
    audit(held, 10);
    unit_on_thread(take, &second);
    assert_ptr_equal(second.heap, first.heap);
    for (size_t i = 0; i < 20; i++) {
        require(space_span_of(held[i].p) == span);
    }
    audit(held, 20);
    first.n = 20;
    unit_on_thread(give, &first); /* plain frees: it is their heap now */
    assert_int_equal(span->remote, 0);
    audit(held, 20);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_an_orphan_is_dissolved_after_a_while(void **state)
{
    struct work work = {.held = held, .n = 30, .c = fresh_class(288)};
    uint32_t tick;

    (void)state;
    (void)heap_dissolve_orphans(unit_now_tick());
    tick = atomic_add_relaxed(&arena_tick, 1);
    unit_on_thread(take, &work);
    assert_int_equal(heaps(HEAP_ORPHAN), 1);
    assert_int_equal(heap_dissolve_orphans(tick), 0); /* too young */
    assert_int_equal(work.heap->state, HEAP_ORPHAN);
    assert_int_equal(heap_dissolve_orphans(tick + 1), 1);
    assert_int_equal(work.heap->state, HEAP_EMPTY);
    assert_int_equal(heap_dissolve_orphans(unit_now_tick()), 0);
    assert_int_equal(unit_state(space_span_of(held[0].p)), SPAN_POOLED);
    audit(held, 30);
    take_blocks(&held[30], 10, work.c); /* now anybody's */
    assert_ptr_equal(space_span_of(held[30].p), space_span_of(held[0].p));
    audit(held, 40);
    free_blocks(held, 40);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_what_threads_that_end_together_held_is_shared(void **state)
{
    enum { N = 4 };
    struct unit_actor actors[N];
    struct work work[N];
    unsigned c = fresh_class(352);
    size_t shared = 0;

    (void)state;
    (void)heap_dissolve_orphans(unit_now_tick());
    for (size_t i = 0; i < N; i++) {
        work[i] = (struct work){.held = &held[i * 10], .n = 10, .c = c};
        require_eq(unit_actor_start(&actors[i]), 0);
        unit_actor_do(&actors[i], take, &work[i]);
    }
    audit(held, N * 10);
    for (size_t i = 0; i < N; i++) {
        unit_actor_end(&actors[i]);
    }
    audit(held, N * 10);
    assert_true(heaps(HEAP_ORPHAN) >= 1);
    assert_int_equal(heaps(HEAP_LIVE), 1);
    for (size_t i = 0; i < N; i++) {
        shared += unit_state(space_span_of(held[i * 10].p)) == SPAN_POOLED;
    }
    assert_int_equal(shared + heaps(HEAP_ORPHAN), N);
    free_blocks(held, N * 10);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_heaps_are_as_many_as_threads_at_a_time(void **state)
{
    struct work work = {.held = held, .n = 3, .c = fresh_class(416)};
    size_t before = 0;
    size_t after = 0;
    size_t meta;

    (void)state;
    unit_on_thread(take, &work);
    unit_on_thread(give, &work);
    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        before++;
    }
    meta = meta_bytes();
    for (int i = 0; i < 300; i++) {
        unit_on_thread(take, &work);
        if (i % 7 == 0) {
            (void)heap_dissolve_orphans(unit_now_tick());
        }
        unit_on_thread(give, &work);
    }
    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        after++;
    }
    assert_int_equal(after, before);
    assert_int_equal(meta_bytes(), meta);
    audit(held, 3);
}

/* --- the last moments of a thread ------------------------------------------------------------- */

static pthread_key_t late_key;
static struct held late[8];
static uint32_t late_rounds;
static uint32_t late_without_heap;

/* Allocates and frees in every round of destructors there is. */
static void
late_destructor(void *arg)
{
    (void)arg;
    if (late[late_rounds].p == NULL) {
        held_alloc(&late[late_rounds], 100 + late_rounds, 7);
    }
    if (late_rounds > 0) {
        held_free(&late[late_rounds - 1]);
    }
    late_without_heap += heap_self() == &heap_empty;
    late_rounds++;
    pthread_setspecific(late_key, &late_rounds);
}

static void
prepare_to_end(void *arg)
{
    held_alloc(arg, 100, 1);
    pthread_setspecific(late_key, &late_rounds);
}

static void
test_destructors_may_allocate_to_the_last(void **state)
{
    (void)state;
    if (UNIT_TSAN) {
        print_message("not with the thread sanitizer\n");
        return;
    }
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    unit_on_thread(prepare_to_end, &held[0]);
    assert_true(late_rounds >= 4);
    /* The first ones found the thread's heap still there, the last ones were served without. */
    assert_in_range(late_without_heap, 1, late_rounds - 2);
    held_free(&held[0]);
    held_free(&late[late_rounds - 1]);
    pthread_key_delete(late_key);
    assert_true(heaps(HEAP_LIVE) <= 2); /* ours, and the one for those without */
}

/* --- what a heap costs ------------------------------------------------------------------------ */

static void
make_heap(void *arg)
{
    static bin_t bins[TIDE_CLASS_COUNT];
    heap_t *heap = heap_new(bins);
    char *start = (char *)heap;

    (void)arg;
    require(heap != NULL);
    require(heap->bins == bins);
    for (size_t i = 0; i < HEAP_RECORDS; i++) { /* the next spans' records are in it */
        span_t *span = span_record_alloc();

        require((char *)span > start && (char *)span < start + HEAP_ALIGN);
    }
    require_eq(os_resident_range(start, HEAP_ALIGN), OS_PAGE);
    require_eq(os_resident_range(start + HEAP_ALIGN, sizeof *heap - HEAP_ALIGN), 0);
}

static void
test_a_new_heap_and_its_first_records_are_one_os_page(void **state)
{
    (void)state;
    unit_child(make_heap, NULL);
}

/* --- no number for a heap --------------------------------------------------------------------- */

static void
use_without_heap(void *arg)
{
    struct held some[40];

    held_alloc(&some[0], 100000, 3);
    for (unsigned i = 1; i < TIDE_ARRAY_LEN(some); i++) {
        held_alloc(&some[i], 48, i);
    }
    require(heap_self() == &heap_empty);
    held_free(arg); /* another thread's */
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(some); i++) {
        held_free(&some[i]);
    }
}

static void
take_and_leave(void *arg)
{
    struct held block;

    (void)arg;
    held_alloc(&block, 48, 2);
    held_free(&block);
}

static void
use_up_numbers(void *arg)
{
    static struct unit_actor actors[64];
    uint32_t before = heap_numbers;
    unsigned n = 0;
    heap_t *heap;

    (void)arg;
    held_alloc(&held[0], 48, 1);
    while (heap_numbers == before) { /* heaps that ended threads left are taken */
        require_le(n + 1, TIDE_ARRAY_LEN(actors));
        require_eq(unit_actor_start(&actors[n]), 0);
        unit_actor_do(&actors[n++], take_and_leave, NULL);
    }
    heap_numbers = HEAP_NUMBER_MAX - 1;
    heap = heap_new(NULL);
    require(heap != NULL);
    require_eq(heap->key, HEAP_KEY(HEAP_NUMBER_MAX));
    require(heap_new(NULL) == NULL);
    heap_numbers = HEAP_NUMBER_MAX - 1;
    unit_on_thread(use_without_heap, &held[0]);
    require_le(heap_numbers, HEAP_NUMBER_MAX);
}

static void
test_threads_beyond_the_last_number_share_a_heap(void **state)
{
    (void)state;
    unit_child(use_up_numbers, NULL);
}

/* --- no memory for a heap --------------------------------------------------------------------- */

struct starving {
    bool got;
    int error;
};

static void
allocate_starving(void *arg)
{
    struct starving *s = arg;
    void *p;

    errno = 0;
    p = tide_malloc(48);
    s->got = p != NULL;
    s->error = errno;
    tide_free(p);
}

static void
starve(void *arg)
{
    struct unit_actor actors[64];
    struct starving s = {false, 0};
    size_t n = 0;
    size_t refused = 0;

    (void)arg;
    while (n < TIDE_ARRAY_LEN(actors) && unit_actor_start(&actors[n]) == 0) {
        n++;
    }
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    while (meta_alloc(64) != NULL || span_record_alloc() != NULL) {
    }
    for (size_t i = 0; i < n; i++) {
        unit_actor_do(&actors[i], allocate_starving, &s);
        if (!s.got) {
            require_eq(s.error, ENOMEM);
            refused++;
        }
    }
    require_gt(refused, 0);
    unit_faults_end();
    for (size_t i = 0; i < n; i++) {
        unit_actor_do(&actors[i], allocate_starving, &s);
        require(s.got);
    }
    for (size_t i = 0; i < n; i++) {
        unit_actor_end(&actors[i]);
    }
}

static void
test_threads_that_get_no_heap_are_told(void **state)
{
    (void)state;
    unit_child(starve, NULL);
}

/* --- fork ------------------------------------------------------------------------------------- */

struct forked {
    heap_t *other; /* of a thread that the child does not have */
    unsigned c;
    size_t n;
};

static void
live_in_child(void *arg)
{
    const struct forked *f = arg;
    struct work work = {.held = &held[f->n], .n = 50, .c = f->c};

    require_eq(f->other->state, HEAP_LOST);
    require_eq(heap_self()->state, HEAP_LIVE);
    require_eq(heap_live_count, 1);
    require(!keeper_is_running());
    for (size_t i = 0; i < f->n; i++) {
        require(held_is_whole(&held[i]));
    }
    if (!UNIT_TSAN) {
        unit_on_thread(take, &work);
        require(work.heap != f->other);
    }
    free_blocks(held, f->n); /* the vanished thread's among them */
    if (!UNIT_TSAN) {
        unit_on_thread(give, &work);
    }
    (void)keeper_trim();
    require_eq(f->other->state, HEAP_LOST);
    take_blocks(held, f->n, f->c);
    free_blocks(held, f->n);
}

static void
test_a_forked_child_leaves_other_heaps_alone(void **state)
{
    unsigned c = fresh_class(480);
    struct work work = {.held = held, .n = 2 * size_classes[c].capacity + 5, .c = c};
    struct forked f = {NULL, c, 0};
    struct unit_actor actor;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, take, &work);
    f.other = work.heap;
    take_blocks(&held[work.n], 20, c);
    f.n = work.n + 20;
    unit_child(live_in_child, &f);
    audit(held, f.n); /* nothing of it is felt here */
    assert_int_equal(f.other->state, HEAP_LIVE);
    unit_actor_do(&actor, give, &work);
    unit_actor_end(&actor);
    free_blocks(held, f.n);
    (void)keeper_trim();
    assert_int_equal(audit_span_count(), 0);
}

static void
test_other_heaps_answer_a_trim_at_their_next_look(void **state)
{
    unsigned c = fresh_class(1536);
    struct work work = {.held = held, .n = 3, .c = c};
    struct work more = {.held = &held[3], .n = 1, .c = fresh_class(1536)};
    struct unit_actor actor;

    (void)state;
    assert_int_equal(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, take, &work);
    assert_ptr_equal(unit_owner(space_span_of(held[0].p)), work.heap);
    (void)keeper_trim();
    assert_ptr_equal(unit_owner(space_span_of(held[0].p)), work.heap); /* only it may let go */
    assert_int_not_equal(work.heap->trim_epoch, heap_trim_epoch);
    for (size_t i = 0; i < 2000 && work.heap->trim_epoch != heap_trim_epoch; i++) {
        more.held = &held[3 + i];
        unit_actor_do(&actor, take, &more); /* until a slow path looks around */
        more.n = 1;
    }
    assert_int_equal(work.heap->trim_epoch, heap_trim_epoch);
    unit_actor_end(&actor);
    for (size_t i = 0; i < BLOCKS_MAX; i++) {
        if (held[i].p != NULL) {
            held_free(&held[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_has_no_heap_until_it_needs_one),
        cmocka_unit_test(test_a_heap_is_handed_over_whole),
        cmocka_unit_test(test_an_orphan_is_dissolved_after_a_while),
        cmocka_unit_test(test_what_threads_that_end_together_held_is_shared),
        cmocka_unit_test(test_heaps_are_as_many_as_threads_at_a_time),
        cmocka_unit_test(test_destructors_may_allocate_to_the_last),
        cmocka_unit_test(test_a_new_heap_and_its_first_records_are_one_os_page),
        cmocka_unit_test(test_threads_beyond_the_last_number_share_a_heap),
        cmocka_unit_test(test_threads_that_get_no_heap_are_told),
        cmocka_unit_test(test_a_forked_child_leaves_other_heaps_alone),
        cmocka_unit_test(test_other_heaps_answer_a_trim_at_their_next_look),
    };

    return cmocka_run_group_tests_name("heap/thread", tests, unit_setup, NULL);
}
