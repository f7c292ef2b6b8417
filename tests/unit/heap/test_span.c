/* SPDX-License-Identifier: MIT */
/* heap/span: made empty, linked a page at a time, released with as much as was touched. */
#include "spans.h"

#define BLOCKS_MAX 16384u

static struct held held[BLOCKS_MAX];

/* To the arena: no heap keeps it. */
static void
release(span_t *span)
{
    span_release(NULL, span);
}

static void
test_a_new_span_is_empty_and_known(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = fresh_class(size);
        const struct size_class *sc = &size_classes[c];
        span_t *span;
        char *start;

        want_whole_span(c);
        span = span_new_small(heap_self(), c);
        require(span != NULL);
        require_eq(span->kind, SPAN_SMALL);
        require_eq(span->size_class, c);
        require_eq(span->block_size, sc->size);
        require_eq(span->capacity, sc->capacity);
        require_eq(span->slice_count, sc->slices);
        require_eq(span_linked(span), 0);
        require_eq(span->bitmap_count, 0);
        require(span->bitmap == NULL);
        require(is_list_end(span->own));
        require_eq(span->remote, 0);
        require_eq(span->flags, 0);
        require_eq((uintptr_t)span->start % SLICE_BYTES, 0);
        require(space_span_of(span->start) == span);
        require(space_span_of(span->start + ((size_t)sc->slices << SLICE_SHIFT) - 1) == span);
        /* none was handed out */
        require(!slice_has_block_at(space_slice_at(span->start), span->start));
        start = span->start;
        release(span);
        require(space_span_of(start) == &span_gone);
    }
}

/* And no longer than the class's, nor wasting much but for the first. */
static void
test_the_first_spans_of_a_class_are_short(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        const struct size_class *sc = &size_classes[c];
        span_t *spans[HEAP_SPANS_MOST + 2];
        size_t bytes = 0;

        (void)fresh_class(sc->size);
        require_eq(heap_self()->classes[c].spans, 0);
        for (size_t i = 0; i < TIDE_ARRAY_LEN(spans); i++) {
            span_t *span = spans[i] = span_new_small(heap_self(), c);

            require(span != NULL);
            bytes = (size_t)span->slice_count * SLICE_BYTES;
            require_ge(span->slice_count, i == 0 ? 1 : min_zu(i + 1, sc->slices));
            require_le(span->slice_count, i == 0 ? 1 : sc->slices);
            require_eq(span->capacity, bytes / sc->size);
            require_ge(span->capacity, 1);
            require(i == 0 || span->slice_count == sc->slices || bytes % sc->size <= bytes / 8);
            require(space_span_of(span->start + bytes - 1) == span);
            require(space_span_of(span->start + bytes) != span);
        }
        require_eq(bytes, (size_t)sc->slices * SLICE_BYTES);
        for (size_t i = 0; i < TIDE_ARRAY_LEN(spans); i++) {
            span_release(heap_self(), spans[i]);
        }
        require_eq(heap_self()->classes[c].spans, 0); /* and the next one is again */
    }
}

static void
test_blocks_are_linked_a_page_at_a_time(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = fresh_class(size);
        span_t *span = span_new_small(heap_self(), c);
        block_t *list = list_end();
        uint32_t linked = 0;
        uint32_t got;

        while ((got = span_extend(span, &list)) > 0) {
            char *expected = span->start + (size_t)linked * span->block_size;

            require_le((size_t)got * span->block_size, max_zu(OS_PAGE, span->block_size));
            for (uint32_t i = 0; i < got; i++) { /* in address order */
                require((char *)list == expected);
                require(block_is_linked(list));
                list = list->next;
                expected += span->block_size;
            }
            require(is_list_end(list));
            linked += got;
            require_eq(span_linked(span), linked);
            if (span->zero) { /* no page but those of the blocks' first bytes */
                require_le(span_resident(span),
                           align_up((size_t)linked * span->block_size, OS_PAGE));
            }
        }
        require_eq(linked, span->capacity);
        release(span);
    }
}

static void
test_a_first_block_touches_one_page(void **state)
{
    (void)state;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = fresh_class(size);
        void *p = tide_malloc(size_classes[c].size);

        require(space_span_of(p)->zero);
        require_eq(span_resident(space_span_of(p)), OS_PAGE);
        tide_free(p);
    }
}

static void
test_release_reports_what_was_touched(void **state)
{
    unsigned c = fresh_class(1024);
    block_t *list = list_end();
    size_t dirty;
    span_t *span;

    (void)state;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    dirty = arena_counters.free_dirty_slices;
    span = span_new_small(heap_self(), c);
    assert_true(span->zero);
    release(span);
    assert_int_equal(arena_counters.free_dirty_slices, dirty); /* nothing */
    span = span_new_small(heap_self(), c);
    assert_true(span->zero);
    assert_true(span_extend(span, &list) > 0);
    release(span);
    assert_int_equal(arena_counters.free_dirty_slices, dirty + 1); /* its first slice */
    span = span_new_small(heap_self(), c);
    while (span_extend(span, &list) > 0) {
        list = list_end();
    }
    release(span);
    assert_int_equal(arena_counters.free_dirty_slices, dirty + size_classes[c].slices);
}

static void
test_bitmaps_are_zero_apart_and_reused(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 2) {
        unsigned c = size_class_of(size);
        size_t bytes = (size_classes[c].capacity + 63) / 64 * 8;
        span_t a = {.capacity = size_classes[c].capacity};
        span_t b = {.capacity = size_classes[c].capacity};
        uint64_t *first;

        a.bitmap = first = span_bitmap_alloc(&a);
        b.bitmap = span_bitmap_alloc(&b);
        require(a.bitmap != NULL && b.bitmap != NULL);
        require(unit_is_filled(a.bitmap, 0, bytes));
        memset(a.bitmap, 0xff, bytes);
        require(unit_is_filled(b.bitmap, 0, bytes)); /* long enough for a bit per block */
        memset(b.bitmap, 0xff, bytes);
        a.bitmap_count = 1;
        span_bitmap_free(&a);
        require(a.bitmap == NULL);
        require_eq(a.bitmap_count, 0);
        span_bitmap_free(&a); /* none: nothing */
        a.bitmap = span_bitmap_alloc(&a);
        require(a.bitmap == first);
        require(unit_is_filled(a.bitmap, 0, bytes));
        require(unit_is_filled(b.bitmap, 0xff, bytes));
        span_bitmap_free(&a);
        span_bitmap_free(&b);
    }
}

static void
test_blocks_in_the_bitmap_come_back_a_page_at_a_time(void **state)
{
    unsigned c = fresh_class(256);
    span_t *span = make_span(c, held, size_classes[c].capacity / 2);
    uint32_t live = size_classes[c].capacity / 2;
    uint32_t left = span->capacity - live;
    block_t *list = list_end();
    uint32_t got;

    (void)state;
    (void)span_cool(span, &live);
    assert_int_equal(live, span->capacity / 2);
    assert_int_equal(span->bitmap_count, left);
    while ((got = span_extend(span, &list)) > 0) {
        uintptr_t page = (uintptr_t)list & ~(OS_PAGE - 1);

        left -= got;
        require_eq(span->bitmap_count, left);
        for (const block_t *b = list; !is_list_end(b); b = b->next, got--) {
            require(block_is_linked(b));
            require_eq((uintptr_t)b & ~(OS_PAGE - 1), page);
        }
        require_eq(got, 0);
    }
    assert_int_equal(left, 0);
    assert_null(span->bitmap); /* given back when empty */
    for (uint32_t i = 0; i < live; i++) {
        require(held_is_whole(&held[i]));
        held[i].p = NULL;
    }
    release(span);
}

/* Empty spans of one slice wait in the heap for whatever class comes next. */
static void
test_a_heap_keeps_some_empty_spans(void **state)
{
    enum { N = HEAP_SPARE_SPANS + 4 };
    unsigned c = fresh_class(64);
    unsigned other = size_class_of(1024);
    span_t *spans[N];
    size_t used = arena_counters.used_slices;
    block_t *list = list_end();
    char *start;

    (void)state;
    assert_int_equal(size_classes[c].slices, 1);
    assert_int_equal(size_classes[other].slices, 1);
    assert_int_equal(heap_self()->spare.count, 0);
    for (size_t i = 0; i < N; i++) {
        spans[i] = span_new_small(heap_self(), c);
        (void)span_extend(spans[i], &list);
        list = list_end();
    }
    require_le(N, heap_self()->spare.peak);
    heap_self()->spare.peak = 0; /* as if it had used few for long */
    for (size_t i = 0; i < N; i++) {
        start = spans[i]->start;
        span_release(heap_self(), spans[i]);
        require(is_gone(start));
        require_eq(heap_self()->spare.count, min_zu(i + 1, HEAP_SPARE_SPANS));
    }
    assert_int_equal(arena_counters.used_slices, used + HEAP_SPARE_SPANS);
    spans[0] = span_new_small(heap_self(), other);
    assert_int_equal(heap_self()->spare.count, HEAP_SPARE_SPANS - 1);
    assert_int_equal(arena_counters.used_slices, used + HEAP_SPARE_SPANS);
    assert_int_equal(spans[0]->block_size, size_classes[other].size);
    assert_int_equal(spans[0]->capacity, size_classes[other].capacity);
    assert_int_equal(span_linked(spans[0]), 0);
    assert_false(spans[0]->zero); /* somebody wrote there */
    assert_int_equal(spans[0]->kind, SPAN_SMALL);
    assert_ptr_equal(space_span_of(spans[0]->start), spans[0]);
    assert_true(span_extend(spans[0], &list) > 0);
    span_release(NULL, spans[0]);
    span_let_go_spare(heap_self(), SPARE_NEEDED);
    spans[0] = span_new_small(heap_self(), other);
    span_release(heap_self(), spans[0]);
    span_let_go_spare(heap_self(), SPARE_NEEDED);
    assert_int_equal(heap_self()->spare.count, 1); /* the one that was needed meanwhile */
    span_let_go_spare(heap_self(), 0);
    assert_int_equal(heap_self()->spare.count, 0);
    assert_int_equal(arena_counters.used_slices, used);
}

enum { TURN_SPANS = 200 };

/* Uses so many spans and lets go of them all; they are the heap's spare ones then. */
static void
take_a_turn(void *size)
{
    enum { MOST = TURN_SPANS * 2048 };
    static void *blocks[MOST];
    const struct size_class *sc = &size_classes[size_class_of(*(const size_t *)size)];
    size_t count = min_zu((size_t)TURN_SPANS * sc->capacity / sc->slices, MOST);

    for (size_t i = 0; i < count; i++) {
        blocks[i] = tide_malloc(*(const size_t *)size);
        require(blocks[i] != NULL);
    }
    for (size_t i = 0; i < count; i++) {
        tide_free(blocks[i]);
    }
}

/* What one heap keeps to spare is another's before memory that has no pages yet. */
static void
test_threads_by_turns_use_the_same_memory(void **state)
{
    enum { THREADS = 4 };
    static const size_t sizes[] = {256, 256, 3000}; /* the last in spans of several slices */
    struct unit_actor actors[THREADS];
    uint64_t clean;

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        require_eq(unit_actor_start(&actors[i]), 0);
    }
    for (size_t round = 0; round < TIDE_ARRAY_LEN(sizes); round++) {
        size_t size = sizes[round];

        unit_actor_do(&actors[0], take_a_turn, &size);
        clean = arena_counters.clean_taken;
        for (size_t i = 1; i < THREADS; i++) {
            unit_actor_do(&actors[i], take_a_turn, &size);
        }
        /* But for some spans that each keeps for itself. */
        require_le(arena_counters.clean_taken - clean,
                   (THREADS - 1) * (TURN_SPANS / 4 + HEAP_SPARE_SPANS));
    }
    for (size_t i = 0; i < THREADS; i++) {
        unit_actor_end(&actors[i]);
    }
}

static void
test_no_memory_leaves_nothing_behind(void **state)
{
    unsigned c = fresh_class(2048);
    size_t used = arena_counters.used_slices;
    uint64_t made = heap_self()->counters.spans_new;
    struct slices filler[256];
    size_t n = 0;
    span_t *span;

    (void)state;
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    while (n < TIDE_ARRAY_LEN(filler)) { /* until no more slices are to be had */
        filler[n] = slices_alloc(1, SLICE_BYTES, SLICES_SPARSE);
        if (filler[n].start == NULL) {
            break;
        }
        n++;
    }
    if (n == TIDE_ARRAY_LEN(filler)) {
        for (struct slices more;
             (more = slices_alloc(CHUNK_SLICES / 2, SLICE_BYTES, SLICES_SPARSE)).start != NULL;) {
            used += CHUNK_SLICES / 2;
        }
    }
    used += n;
    while (slices_alloc(1, SLICE_BYTES, SLICES_SPARSE).start != NULL) {
        used++;
    }
    for (int i = 0; i < 10; i++) {
        span = span_new_small(heap_self(), c);
        require(span == NULL);
    }
    unit_faults_end();
    assert_int_equal(arena_counters.used_slices, used);
    assert_int_equal(heap_self()->counters.spans_new, made);
    span = span_new_small(heap_self(), c);
    assert_non_null(span);
    release(span);
    while (n > 0) {
        slices_free(filler[--n].start, 1, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_span_is_empty_and_known),
        cmocka_unit_test(test_the_first_spans_of_a_class_are_short),
        cmocka_unit_test(test_blocks_are_linked_a_page_at_a_time),
        cmocka_unit_test(test_a_first_block_touches_one_page),
        cmocka_unit_test(test_release_reports_what_was_touched),
        cmocka_unit_test(test_bitmaps_are_zero_apart_and_reused),
        cmocka_unit_test(test_blocks_in_the_bitmap_come_back_a_page_at_a_time),
        cmocka_unit_test(test_a_heap_keeps_some_empty_spans),
        cmocka_unit_test(test_threads_by_turns_use_the_same_memory),
        cmocka_unit_test(test_no_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests_name("heap/span", tests, unit_setup, NULL);
}
