/* SPDX-License-Identifier: MIT */
/*
 * arena/slices: every slice has one owner at most, against a model with a byte per slice; what
 * is said to read as zero does; memory with pages is used first; the counters add up.
 */
#include "../unit.h"

#include "arena/arena.h"

typedef __typeof__(((chunk_t *)0)->free) slice_bits_t;

/* --- the model -------------------------------------------------------------------------------- */

#define MODEL_CHUNKS 8192u
#define MODEL_SLICES (MODEL_CHUNKS * CHUNK_SLICES)

/* Slices beyond model_end are free and clean. */
static bool model_used[MODEL_SLICES];
static bool model_dirty[MODEL_SLICES];

static size_t
slice_of(const char *start)
{
    return ((uintptr_t)start - space.base) >> SLICE_SHIFT;
}

/* What is there when a test begins is as the arena says. */
static void
model_begin(void)
{
    require_le(space.frontier, MODEL_CHUNKS / 2);
    memset(model_used, 0, sizeof model_used);
    memset(model_dirty, 0, sizeof model_dirty);
    for (size_t i = 0; i < space.frontier * CHUNK_SLICES; i++) {
        const chunk_t *chunk = &space.chunks[i / CHUNK_SLICES];
        slice_bits_t bit = (slice_bits_t)1 << i % CHUNK_SLICES;

        if (chunk->committed != 0) {
            model_used[i] = (chunk->free & bit) == 0;
            model_dirty[i] = (chunk->free & chunk->dirty & bit) != 0;
        }
    }
}

/* The arena's records say what the model says, the lists what the records say, and the counters
 * are the sums. */
static void
model_compare(void)
{
    size_t used = 0;
    size_t dirty = 0;
    size_t committed = 0;

    require_le(space.frontier, MODEL_CHUNKS);
    for (size_t c = 0; c < space.frontier; c++) {
        const chunk_t *chunk = &space.chunks[c];
        slice_bits_t free_bits = 0;
        slice_bits_t dirty_bits = 0;

        if (chunk->committed == 0) {
            continue;
        }
        for (unsigned i = 0; i < CHUNK_SLICES; i++) {
            size_t s = c * CHUNK_SLICES + i;

            free_bits |= (slice_bits_t)!model_used[s] << i;
            dirty_bits |= (slice_bits_t)(!model_used[s] && model_dirty[s]) << i;
        }
        require_eq(chunk->free, free_bits);
        require_eq(chunk->dirty & chunk->free, dirty_bits);
        require_eq(chunk->bucket[0], longest_run(free_bits));
        require_eq(chunk->bucket[1], longest_run(dirty_bits));
        used += CHUNK_SLICES - (size_t)__builtin_popcountll(free_bits);
        dirty += (size_t)__builtin_popcountll(dirty_bits);
        committed++;
    }
    require_eq(arena_counters.used_slices, used);
    require_eq(arena_counters.free_dirty_slices, dirty);
    require_eq(arena_counters.frontier_chunks, committed);
    require_eq(arena_counters.slices_allocated - arena_counters.slices_freed, used);
    require_ge(arena_counters.used_peak, used);
    require_ge(arena_counters.used_highest, arena_counters.used_peak);
}

/* Longest run of free (and dirty) slices that one chunk has. */
static unsigned
model_longest(bool dirty_only)
{
    unsigned longest = 0;

    for (size_t c = 0; c < space.frontier; c++) {
        unsigned run = 0;

        for (unsigned i = 0; i < CHUNK_SLICES && space.chunks[c].committed != 0; i++) {
            size_t s = c * CHUNK_SLICES + i;

            run = !model_used[s] && (!dirty_only || model_dirty[s]) ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
    }
    return longest;
}

/* Books a run that the arena gave; how many of its slices may hold pages. */
static size_t
model_take(const char *start, size_t count)
{
    size_t first = slice_of(start);
    size_t dirty = 0;

    require_eq((uintptr_t)start % SLICE_BYTES, 0);
    require_le(first + count, min_zu(space.frontier * CHUNK_SLICES, MODEL_SLICES));
    for (size_t s = first; s < first + count; s++) {
        require(!model_used[s]);
        require(space.chunks[s / CHUNK_SLICES].committed != 0);
        model_used[s] = true;
        dirty += model_dirty[s];
        model_dirty[s] = false;
    }
    return dirty;
}

static struct slices
take(size_t count, size_t align, enum slices_want want)
{
    struct slices s = slices_alloc(count, align, want);
    size_t dirty;

    require(s.start != NULL);
    require_eq(s.count, count);
    require_eq((uintptr_t)s.start % align, 0);
    dirty = model_take(s.start, count);
    require_eq(s.clean, count - dirty);
    require_eq(bits_count(s.dirty), count <= CHUNK_SLICES ? dirty : 0);
    return s;
}

static void
give(char *start, size_t count, size_t dirty)
{
    size_t first = slice_of(start);

    for (size_t i = 0; i < count; i++) {
        require(model_used[first + i]);
        model_used[first + i] = false;
        model_dirty[first + i] = i < dirty;
    }
    slices_free(start, count, dirty);
}

/* Nobody wrote to it since it was taken. */
static void
give_back(const struct slices *s)
{
    give(s->start, s->count, s->clean == s->count ? 0 : s->count);
}

/* One word per slice: enough to tell a page that should have been zero. */
static void
touch(const struct slices *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        memset(s->start + (i << SLICE_SHIFT) + (i * 5 % (SLICE_BYTES / OS_PAGE)) * OS_PAGE, 0x5a,
               16);
    }
}

static void
require_zero(const char *start, size_t count)
{
    for (size_t at = 0; at < count << SLICE_SHIFT; at += OS_PAGE) {
        require(unit_is_filled(start + at, 0, 64));
    }
}

/* --- tests ------------------------------------------------------------------------------------ */

static void
test_runs_of_every_length_and_alignment(void **state)
{
    (void)state;
    model_begin();
    for (size_t align = SLICE_BYTES; align <= CHUNK_BYTES; align *= 2) {
        for (size_t count = 1; count <= 3 * CHUNK_SLICES;
             count += count < CHUNK_SLICES + 2 ? 1 : 13) {
            struct slices a = take(count, align, SLICES_SPARSE);
            struct slices b = take(count, align, SLICES_DENSE);

            give(a.start, count, count);
            give_back(&b);
        }
        model_compare();
    }
}

static void
test_alignments_above_a_chunk(void **state)
{
    (void)state;
    model_begin();
    for (size_t align = 2 * CHUNK_BYTES; align <= (size_t)1 << 30; align *= 2) {
        struct slices a = take(1, align, SLICES_SPARSE);
        struct slices b = take(CHUNK_SLICES + 8, align, SLICES_SPARSE);
        struct slices c;

        model_compare();
        give_back(&a);
        give(b.start, b.count, CHUNK_SLICES / 2);
        c = take(CHUNK_SLICES - 8, align, SLICES_SPARSE); /* has pages in front, and not behind */
        give(c.start, c.count, c.count);
    }
    model_compare();
}

static void
test_impossible_wishes_are_refused(void **state)
{
    static const struct {
        size_t count;
        size_t align;
    } wishes[] = {
        {(size_t)1 << 31, SLICE_BYTES}, {(size_t)1 << 40, SLICE_BYTES},     {1, (size_t)1 << 60},
        {1, (size_t)1 << 63},           {(size_t)1 << 30, (size_t)1 << 45},
    };

    (void)state;
    model_begin();
    for (size_t i = 0; i < TIDE_ARRAY_LEN(wishes); i++) {
        struct slices s = slices_alloc(wishes[i].count, wishes[i].align, SLICES_SPARSE);

        require(s.start == NULL);
    }
    require(slices_alloc_clean((size_t)1 << 31, 0, SLICES_SPARSE).start == NULL);
    model_compare();
}

static void
test_memory_with_pages_goes_first(void **state)
{
    struct slices filler[200];
    struct slices s;
    uint64_t reused;
    size_t n = 0;

    (void)state;
    model_begin();
    while (model_longest(true) > 0) { /* whatever earlier tests left */
        filler[n] = take(model_longest(true), SLICE_BYTES, SLICES_SPARSE);
        require_le(++n, TIDE_ARRAY_LEN(filler));
    }
    s = take(12, SLICE_BYTES, SLICES_SPARSE);
    touch(&s, 0, 5);
    give(s.start, 12, 5); /* five with pages, seven without */
    reused = arena_counters.reused_dirty_slices;
    for (unsigned i = 0; i < 5; i++) {
        struct slices one = take(1, SLICE_BYTES, SLICES_SPARSE);

        require_eq(one.clean, 0);
        require(one.start >= s.start && one.start < s.start + 5 * SLICE_BYTES);
        require_eq(arena_counters.reused_dirty_slices, reused + i + 1);
    }
    filler[n] = take(1, SLICE_BYTES, SLICES_SPARSE);
    require_eq(filler[n].clean, 1); /* none left */
    n++;
    give(s.start, 5, 5);
    while (n > 0) {
        give_back(&filler[--n]);
    }
    model_compare();
}

static void
test_the_tightest_dirty_run_is_taken(void **state)
{
    struct slices all = take(4 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    static const unsigned lengths[3] = {9, 4, 6};
    struct slices filler[200];
    struct slices s;
    size_t n = 0;

    (void)state;
    model_begin();
    while (model_longest(true) > 3) {
        filler[n] = take(model_longest(true), SLICE_BYTES, SLICES_SPARSE);
        require_le(++n, TIDE_ARRAY_LEN(filler));
    }
    for (size_t i = 0; i < 3; i++) {
        give(all.start + i * CHUNK_BYTES + 3 * SLICE_BYTES, lengths[i], lengths[i]);
    }
    s = take(4, SLICE_BYTES, SLICES_SPARSE);
    assert_ptr_equal(s.start, all.start + 1 * CHUNK_BYTES + 3 * SLICE_BYTES);
    s = take(4, SLICE_BYTES, SLICES_SPARSE);
    assert_ptr_equal(s.start, all.start + 2 * CHUNK_BYTES + 3 * SLICE_BYTES);
    s = take(4, SLICE_BYTES, SLICES_SPARSE);
    assert_ptr_equal(s.start, all.start + 0 * CHUNK_BYTES + 3 * SLICE_BYTES);
    give(all.start, 3 + 4, 7); /* what is left of it */
    give(all.start + 12 * SLICE_BYTES, CHUNK_SLICES - 12, CHUNK_SLICES - 12);
    give(all.start + CHUNK_BYTES, CHUNK_SLICES, CHUNK_SLICES);
    give(all.start + 2 * CHUNK_BYTES, 3 + 4, 7);
    give(all.start + 2 * CHUNK_BYTES + 9 * SLICE_BYTES, 2 * CHUNK_SLICES - 9, 2 * CHUNK_SLICES - 9);
    while (n > 0) {
        give_back(&filler[--n]);
    }
    model_compare();
}

static void
test_clean_runs_have_no_pages(void **state)
{
    struct slices dirty;
    struct slices s;

    (void)state;
    model_begin();
    dirty = take(2 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    touch(&dirty, 0, dirty.count);
    give(dirty.start, dirty.count, dirty.count);
    for (size_t count = 1; count < 3 * CHUNK_SLICES; count += 31) {
        s = slices_alloc_clean(count, 0, SLICES_SPARSE);
        require(s.start != NULL);
        require_eq(s.clean, s.count);
        require_ge(s.count, count);
        require_eq(model_take(s.start, s.count), 0);
        require_zero(s.start, s.count);
        give_back(&s);
    }
    model_compare();
}

static void
test_extension_takes_what_is_free_and_no_more(void **state)
{
    struct slices s;
    size_t clean = 0;

    (void)state;
    model_begin();
    s = take(3 * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    touch(&s, 0, s.count);
    /* From 10 on: as many as a chunk has with pages, 20 without, the next one used. */
    give(s.start + 10 * SLICE_BYTES, CHUNK_SLICES + 20, CHUNK_SLICES);
    assert_false(slices_extend(s.start, 10, CHUNK_SLICES + 21, &clean));
    model_compare();
    assert_true(slices_extend(s.start, 10, CHUNK_SLICES, &clean)); /* over the border of a chunk */
    assert_int_equal(clean, 0);
    assert_int_equal(model_take(s.start + 10 * SLICE_BYTES, CHUNK_SLICES), CHUNK_SLICES);
    assert_true(slices_extend(s.start, CHUNK_SLICES + 10, 20, &clean));
    assert_int_equal(clean, 20);
    assert_int_equal(model_take(s.start + (CHUNK_SLICES + 10) * SLICE_BYTES, 20), 0);
    assert_false(slices_extend(s.start, CHUNK_SLICES + 30, 1, &clean));
    model_compare();
    give(s.start, s.count, s.count);
    model_compare();
}

static void
test_extension_stops_at_the_frontier(void **state)
{
    struct slices s;
    size_t clean = 0;

    (void)state;
    model_begin();
    s = take(CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    assert_false(slices_extend(s.start, CHUNK_SLICES, 1u << 20, &clean));
    give_back(&s);
    model_compare();
}

static void
test_growth_that_is_refused_leaves_the_arena_whole(void **state)
{
    struct slices s;
    size_t count;

    (void)state;
    model_begin();
    count = (space.frontier + 1) * CHUNK_SLICES; /* cannot be had without growth */
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    s = slices_alloc(count, SLICE_BYTES, SLICES_SPARSE);
    assert_null(s.start);
    s = slices_alloc_clean(count, 0, SLICES_SPARSE);
    assert_null(s.start);
    assert_true(unit_faults_end() > 0);
    model_compare();
    s = take(count, SLICE_BYTES, SLICES_SPARSE);
    give_back(&s);
    model_compare();
}

static void
test_a_large_step_that_is_refused_is_tried_small(void **state)
{
    struct slices s;
    size_t count;

    (void)state;
    model_begin();
    count = (space.frontier + 1) * CHUNK_SLICES;
    unit_faults_begin("commit", ENOMEM, 1, 1);
    s = slices_alloc(count, SLICE_BYTES, SLICES_SPARSE);
    unit_faults_end();
    if (s.start != NULL) {
        (void)model_take(s.start, count);
        give_back(&s);
    }
    model_compare();
}

#define HELD_MAX 300u

struct held {
    struct slices s;
    size_t touched;
};

static void
random_alloc(struct unit_random *r, struct held *h)
{
    static const unsigned most[4] = {3, 9, CHUNK_SLICES + 1, 3 * CHUNK_SLICES + 14};
    size_t count = 1 + unit_below(r, most[unit_below(r, 4)]);
    size_t align = SLICE_BYTES;
    unsigned dirty_run = model_longest(true);

    if (unit_below(r, 4) == 0) {
        align <<= unit_below(r, 7);
    }
    if (unit_below(r, 8) == 0) {
        h->s = slices_alloc_clean(count, 0, SLICES_SPARSE);
        require(h->s.start != NULL && h->s.clean == h->s.count);
        require_ge(h->s.count, count);
        require_eq(model_take(h->s.start, h->s.count), 0);
    } else {
        h->s = take(count, align, unit_below(r, 2) == 0 ? SLICES_SPARSE : SLICES_DENSE);
        if (align == SLICE_BYTES && count <= dirty_run) {
            require_eq(h->s.clean, 0); /* it needs no page fault */
        }
    }
    if (h->s.clean == h->s.count) {
        require_zero(h->s.start, h->s.count);
    }
    h->touched = unit_below(r, h->s.count + 1);
    touch(&h->s, 0, h->touched);
    if (h->s.clean != h->s.count) {
        h->touched = h->s.count; /* pages were there */
    }
}

static void
random_extend(struct unit_random *r, struct held *h)
{
    size_t more = 1 + unit_below(r, 20);
    size_t first = slice_of(h->s.start) + h->s.count;
    bool possible = true;
    size_t clean = 0;
    bool extended;

    for (size_t s = first; s < first + more; s++) {
        possible &= s / CHUNK_SLICES < space.frontier &&
                    space.chunks[s / CHUNK_SLICES].committed != 0 && !model_used[s];
    }
    extended = slices_extend(h->s.start, h->s.count, more, &clean);
    require_eq(extended, possible);
    if (extended) {
        char *start = h->s.start + (h->s.count << SLICE_SHIFT);

        require_eq(clean, more - model_take(start, more));
        if (clean == more) {
            require_zero(start, more);
        } else {
            h->touched = h->s.count + more;
        }
        h->s.count += (uint32_t)more;
    }
}

static void
random_free(struct unit_random *r, struct held *h)
{
    /* Large blocks also give back their ends alone. */
    if (h->s.count > 1 && unit_below(r, 3) == 0) {
        size_t keep = 1 + unit_below(r, h->s.count - 1);

        give(h->s.start + (keep << SLICE_SHIFT), h->s.count - keep,
             h->touched > keep ? h->touched - keep : 0);
        h->s.count = (uint32_t)keep;
        h->touched = min_zu(h->touched, keep);
        return;
    }
    give(h->s.start, h->s.count, h->touched);
    h->s.start = NULL;
}

static void
test_random_operations_match_the_model(void **state)
{
    static struct held held[HELD_MAX];

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct unit_random r = {seed};

        model_begin();
        for (unsigned step = 0; step < 1500; step++) {
            struct held *h = &held[unit_below(&r, seed % 2 == 0 ? HELD_MAX : 40)];

            if (h->s.start == NULL) {
                random_alloc(&r, h);
            } else if (unit_below(&r, 3) == 0) {
                random_extend(&r, h);
            } else {
                random_free(&r, h);
            }
            if (step % 50 == 0) {
                model_compare();
            }
            if (step % 500 == 250) {
                (void)arena_purge_free((size_t)8 << 20, unit_now_tick());
                model_begin(); /* purge has its own test */
                model_compare();
            }
        }
        for (size_t i = 0; i < HELD_MAX; i++) {
            if (held[i].s.start != NULL) {
                give(held[i].s.start, held[i].s.count, held[i].touched);
                held[i].s.start = NULL;
            }
        }
        model_compare();
    }
}

static void
test_huge_page_chunks_are_for_dense_requests_of_large_processes(void **state)
{
    struct slices s;
    size_t used;

    (void)state;
    model_begin();
    used = arena_counters.used_slices << SLICE_SHIFT;
    /* Large enough to need chunks of its own. */
    arena_init(used + 8 * CHUNK_BYTES, true);
    s = take((space.frontier + 1) * CHUNK_SLICES, CHUNK_BYTES, SLICES_SPARSE);
    assert_int_equal(space.chunks[chunk_of_address(s.start)].kind, CHUNK_SMALL_PAGES);
    give_back(&s);
    s = take((space.frontier + 1) * CHUNK_SLICES, CHUNK_BYTES, SLICES_DENSE);
    assert_int_equal(space.chunks[chunk_of_address(s.start)].kind, CHUNK_HUGE_PAGES);
    give_back(&s);
    arena_init(SIZE_MAX, false);
    s = take((space.frontier + 1) * CHUNK_SLICES, CHUNK_BYTES, SLICES_DENSE);
    assert_int_equal(space.chunks[chunk_of_address(s.start)].kind, CHUNK_SMALL_PAGES);
    give_back(&s);
    model_compare();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_of_every_length_and_alignment),
        cmocka_unit_test(test_impossible_wishes_are_refused),
        cmocka_unit_test(test_memory_with_pages_goes_first),
        cmocka_unit_test(test_the_tightest_dirty_run_is_taken),
        cmocka_unit_test(test_huge_page_chunks_are_for_dense_requests_of_large_processes),
        cmocka_unit_test(test_clean_runs_have_no_pages),
        cmocka_unit_test(test_extension_takes_what_is_free_and_no_more),
        cmocka_unit_test(test_extension_stops_at_the_frontier),
        cmocka_unit_test(test_growth_that_is_refused_leaves_the_arena_whole),
        cmocka_unit_test(test_a_large_step_that_is_refused_is_tried_small),
        cmocka_unit_test(test_random_operations_match_the_model),
        cmocka_unit_test(test_alignments_above_a_chunk),
    };

    return cmocka_run_group_tests_name("arena/slices", tests, unit_setup, NULL);
}
