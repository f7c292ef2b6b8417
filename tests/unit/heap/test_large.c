/* SPDX-License-Identifier: MIT */
/* heap/large: spans of one block: sizes, growth in place and by moving pages, shrinking, zeros. */
#include "spans.h"

#include "heap/report.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static void
fill_words(void *p, size_t size, uint64_t seed)
{
    uint64_t *words = p;

    for (size_t i = 0; i < size / 8; i += 64) { /* one a 512 bytes */
        words[i] = seed ^ i;
    }
}

static bool
has_words(const void *p, size_t size, uint64_t seed)
{
    const uint64_t *words = p;

    for (size_t i = 0; i < size / 8; i += 64) {
        if (words[i] != (seed ^ i)) {
            return false;
        }
    }
    return true;
}

static void *
alloc(size_t size)
{
    void *p = tide_malloc(size);

    require(p != NULL);
    return p;
}

/* A block whose growth in place is impossible: the next slice is taken. */
static char *
alloc_enclosed(size_t size, void **neighbour)
{
    size_t count = (size + SLICE_BYTES - 1) >> SLICE_SHIFT;
    size_t clean;
    char *p = alloc(size);

    *neighbour = p + (count << SLICE_SHIFT);
    if (!slices_extend(p, count, 1, &clean)) {
        *neighbour = NULL; /* somebody has it already */
    }
    return p;
}

static void
free_neighbour(void *neighbour)
{
    if (neighbour != NULL) {
        slices_free(neighbour, 1, 1);
    }
}

static void
test_sizes_are_of_os_pages(void **state)
{
    static const size_t sizes[] = {
        TIDE_SMALL_MAX + 1, 40000,          64 * KIB, 64 * KIB + 1,   100000,
        256 * KIB,          MIB - 1,        MIB,      MIB + 1,        2 * MIB,
        2 * MIB + 1,        7 * MIB + 4095, 64 * MIB, (size_t)1 << 32};

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(sizes); i++) {
        size_t used = arena_counters.used_slices;
        char *p = alloc(sizes[i]);
        span_t *span = space_span_of(p);

        require_eq((uintptr_t)p % SLICE_BYTES, 0);
        require_eq(span->kind, SPAN_LARGE);
        require(span->start == p);
        require(unit_owner(span) == NULL);
        require_eq(tide_malloc_usable_size(p), align_up(sizes[i], OS_PAGE));
        require_eq(arena_counters.used_slices - used, (sizes[i] + SLICE_BYTES - 1) >> SLICE_SHIFT);
        p[0] = p[tide_malloc_usable_size(p) - 1] = 1; /* all of it may be used */
        require(space_span_of(p + sizes[i] - 1) == span);
        tide_free(unit_hide(p));
        large_let_go_cache(heap_self());
        require(is_gone(p));
        require_eq(arena_counters.used_slices, used);
    }
}

/* Some of each small number of slices stay with the heap. */
static void
test_freed_blocks_are_kept_for_the_next_of_their_size(void **state)
{
    (void)state;
    large_let_go_cache(heap_self());
    for (size_t count = 2; count <= HEAP_LARGE_CACHE + 1; count++) {
        size_t used = arena_counters.used_slices;
        size_t size = count * SLICE_BYTES;
        size_t kept = count <= HEAP_LARGE_CACHE ? HEAP_LARGE_KEPT_SLICES / count : 0;
        bool zero = false;
        char *p[HEAP_LARGE_KEPT_SLICES + 1];

        for (size_t i = 0; i <= kept; i++) {
            p[i] = alloc(size);
            memset(p[i], 0xff, size);
        }
        for (size_t i = 0; i <= kept; i++) {
            tide_free(unit_hide(p[i]));
            require_eq(is_gone(p[i]), i == kept); /* so many are enough */
            require(heap_pointer_error(p[i], space_span_of(p[i])) == REPORT_DOUBLE_FREE);
            require(heap_pointer_error(p[i] + 16, space_span_of(p[i] + 16)) != NULL);
        }
        for (size_t i = kept; i-- > 0;) { /* the last one first */
            require(alloc(size - OS_PAGE + 1) == p[i]);
            require_eq(tide_malloc_usable_size(p[i]), size);
        }
        for (size_t i = 0; i < kept; i++) {
            tide_free(unit_hide(p[i]));
        }
        if (kept > 0) {
            char *last = p[kept - 1];

            require(large_alloc(size, SLICE_BYTES, &zero) == last);
            require(!zero); /* its pages were used */
            tide_free(unit_hide(last));
            last = tide_calloc(1, size);
            require(unit_is_filled(last, 0, size));
            tide_free(unit_hide(last));
        }
        large_let_go_cache(heap_self());
        require(is_gone(p[0]));
        require_eq(arena_counters.used_slices, used);
    }
}

static unsigned
kept_of(size_t count)
{
    unsigned n = 0;

    for (const span_t *s = heap_self()->large_cache[count]; s != NULL; s = s->next) {
        n++;
    }
    return n;
}

static void
keep_some(size_t size, size_t count)
{
    char *p[HEAP_LARGE_KEPT_SLICES];

    for (size_t i = 0; i < count; i++) {
        p[i] = alloc(size);
    }
    for (size_t i = 0; i < count; i++) {
        tide_free(unit_hide(p[i]));
    }
}

/* And no longer: the first of another has room made for it, by each that is in the way. */
static void
test_one_size_does_not_keep_out_the_others(void **state)
{
    size_t used = arena_counters.used_slices;
    char *p;

    (void)state;
    large_let_go_cache(heap_self());
    keep_some(2 * SLICE_BYTES, 5);
    require_eq(kept_of(2), 5);
    p = alloc(4 * SLICE_BYTES);
    tide_free(unit_hide(p));
    require_eq(kept_of(4), 1);
    require_eq(kept_of(2), 3);
    require(alloc(4 * SLICE_BYTES) == p);
    tide_free(unit_hide(p));
    keep_some(3 * SLICE_BYTES, 2); /* the second has no room */
    require_eq(kept_of(2), 1);
    require_eq(kept_of(3), 1);
    require_eq(kept_of(4), 1);
    large_let_go_cache(heap_self());
    keep_some(4 * SLICE_BYTES, 2);
    keep_some(2 * SLICE_BYTES, 2); /* the first alone fits */
    keep_some(3 * SLICE_BYTES, 1);
    require_eq(kept_of(2), 0);
    require_eq(kept_of(3), 1);
    require_eq(kept_of(4), 1);
    require_eq(heap_self()->large_kept, 7);
    large_let_go_cache(heap_self());
    require_eq(heap_self()->large_kept, 0);
    require_eq(arena_counters.used_slices, used);
}

static void
test_impossible_sizes_are_refused(void **state)
{
    static const size_t sizes[] = {PTRDIFF_MAX,     (size_t)PTRDIFF_MAX + 1, SIZE_MAX,
                                   SIZE_MAX - 4095, (size_t)1 << 60,         (size_t)1 << 47};
    size_t used = arena_counters.used_slices;

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(sizes); i++) {
        bool zero = false;

        errno = 0;
        require(large_alloc(sizes[i], SLICE_BYTES, &zero) == NULL);
        require_eq(errno, ENOMEM);
        require(tide_malloc(unit_hide((void *)sizes[i]) == NULL ? 0 : sizes[i]) == NULL);
    }
    require(large_alloc(1, (size_t)1 << 63, NULL) == NULL);
    assert_int_equal(arena_counters.used_slices, used);
}

static void
test_alignments(void **state)
{
    (void)state;
    for (size_t align = SLICE_BYTES; align <= 256 * MIB; align *= 2) {
        char *p = large_alloc(100000, align, NULL);
        char *q = large_alloc(5 * MIB, align, NULL);

        require(p != NULL && q != NULL);
        require_eq((uintptr_t)p % align, 0);
        require_eq((uintptr_t)q % align, 0);
        memset(p, 1, 100000);
        tide_free(p);
        tide_free(q);
    }
}

static void
test_zero_means_zero(void **state)
{
    bool zero = true;
    char *p;

    (void)state;
    p = large_alloc(300 * KIB, SLICE_BYTES, &zero);
    memset(p, 0xff, 300 * KIB);
    tide_free(p);
    p = large_alloc(300 * KIB, SLICE_BYTES, &zero); /* with its pages */
    assert_false(zero);
    tide_free(p);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    p = large_alloc(300 * KIB, SLICE_BYTES, &zero);
    assert_true(zero);
    assert_true(unit_is_filled(p, 0, 300 * KIB));
    tide_free(p);
    for (size_t size = 33 * KIB; size < 8 * MIB; size = size * 3 / 2) {
        p = tide_calloc(1, size);
        require(p != NULL && unit_is_filled(p, 0, size));
        memset(p, 0xff, tide_malloc_usable_size(p));
        tide_free(p);
    }
}

static void
test_growth_in_place_keeps_the_address(void **state)
{
    uint64_t in_place = heap_self()->counters.realloc_in_place;
    char *p;
    char *room;
    size_t size = 40 * KIB;

    (void)state;
    room = alloc(3 * MIB);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    p = tide_realloc(room, size); /* leaves free room behind it: no other place has pages */
    assert_ptr_equal(p, room);
    in_place++;
    fill_words(p, size, 1);
    while (size < 500 * KIB) {
        char *q = tide_realloc(p, size + 20 * KIB);

        if (q != p) { /* the room ended here */
            p = q;
            break;
        }
        require(has_words(q, size, 1));
        size += 20 * KIB;
        require_eq(tide_malloc_usable_size(q), align_up(size, OS_PAGE));
        require(space_span_of(q + size - 1) == space_span_of(q));
        fill_words(q, size, 1);
        in_place++;
    }
    assert_true(has_words(p, size, 1));
    assert_true(size > 100 * KIB);
    assert_int_equal(heap_self()->counters.realloc_in_place, in_place);
    tide_free(p);
}

static void
test_growth_by_moving_pages_copies_nothing(void **state)
{
    void *neighbour;
    char *p = alloc_enclosed(512 * KIB, &neighbour);
    uint64_t moved = arena_counters.moved_bytes;
    uint64_t copied = heap_self()->counters.realloc_copied;
    char *q;

    (void)state;
    fill_words(p, 512 * KIB, 2);
    q = tide_realloc(p, 600 * KIB);
    assert_ptr_not_equal(p, q);
    assert_true(has_words(q, 512 * KIB, 2));
    assert_int_equal(tide_malloc_usable_size(q), 600 * KIB);
    assert_true(is_gone(p));
    if (os_has(OS_FEATURE_MREMAP_DONTUNMAP)) { /* else it was copied, as a test below wants it */
        assert_true(arena_counters.moved_bytes >= moved + 512 * KIB);
        assert_int_equal(heap_self()->counters.realloc_copied, copied);
        assert_int_equal(os_resident_range(p, 512 * KIB), 0); /* not resident twice */
    }
    memset(q, 1, 600 * KIB);
    tide_free(unit_hide(q));
    assert_true(is_gone(q));
    free_neighbour(neighbour);
}

static void
test_a_moved_block_shrinks_and_grows_again(void **state)
{
    void *neighbour;
    char *p = alloc_enclosed(512 * KIB, &neighbour);
    size_t used;
    char *q;

    (void)state;
    fill_words(p, 512 * KIB, 7);
    p = tide_realloc(p, 600 * KIB);
    memset(p + 512 * KIB, 0xff, 88 * KIB);
    used = arena_counters.used_slices;
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    q = tide_realloc(p, 200 * KIB); /* no other place has pages */
    assert_ptr_equal(q, p);
    assert_true(has_words(q, 200 * KIB, 7));
    assert_true(used - arena_counters.used_slices >= 400 * KIB >> SLICE_SHIFT); /* and the room */
    for (int i = 0; i < 20; i++) { /* what it gave back reads as zero if it is said to */
        char *probe = tide_calloc(1, 300 * KIB);

        require(probe != NULL && unit_is_filled(probe, 0, 300 * KIB));
        if (i % 2 == 0) {
            tide_free(probe);
        }
    }
    for (size_t size = 300 * KIB; size < 20 * MIB; size = size * 5 / 4) {
        q = tide_realloc(q, size);
        require(q != NULL && has_words(q, 200 * KIB, 7));
        memset(q + 200 * KIB, 0xee, size - 200 * KIB);
    }
    tide_free(q);
    free_neighbour(neighbour);
}

static void
test_a_block_that_keeps_growing_seldom_moves(void **state)
{
    size_t size = 300 * KIB;
    char *p = alloc(size);
    unsigned moves = 0;

    (void)state;
    fill_words(p, size, 3);
    while (size < 48 * MIB) {
        char *q = tide_realloc(p, size + 100 * KIB);

        require(q != NULL);
        moves += q != p;
        p = q;
        size += 100 * KIB;
        if (size % (4 * MIB) < 100 * KIB) {
            require(has_words(p, 300 * KIB, 3));
        }
        p[size - 1] = 1;
    }
    require_le(moves, 12);
    require(has_words(p, 300 * KIB, 3));
    tide_free(p);
}

static size_t
mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from;
    char line[512];
    size_t n = 0;

    require(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-", &from) == 1 && from >= space.base &&
            from < space.base + (space.frontier << CHUNK_SHIFT)) {
            n++;
        }
    }
    fclose(maps);
    return n;
}

/* Many moved blocks leave no mapping behind when they are freed. */
static void
test_moved_blocks_are_renewed(void **state)
{
    enum { N = 20 };
    char *blocks[N];
    void *neighbours[N];
    size_t before;

    (void)state;
    before = mappings();
    for (size_t i = 0; i < N; i++) {
        blocks[i] = alloc_enclosed(300 * KIB, &neighbours[i]);
        memset(blocks[i], 1, 300 * KIB);
        blocks[i] = tide_realloc(blocks[i], 700 * KIB);
        require(blocks[i] != NULL);
        memset(blocks[i], 2, 700 * KIB);
    }
    for (size_t i = 0; i < N; i++) {
        tide_free(blocks[i]);
        free_neighbour(neighbours[i]);
    }
    require_le(mappings(), before + 2); /* the frontier may have moved */
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
}

static void
test_shrinking_gives_the_end_back(void **state)
{
    char *p = alloc(8 * MIB);
    size_t used = arena_counters.used_slices;
    char *q;

    (void)state;
    fill_words(p, 8 * MIB, 4);
    q = tide_realloc(p, 3 * MIB + 1);
    assert_ptr_equal(q, p);
    assert_int_equal(tide_malloc_usable_size(q), 3 * MIB + OS_PAGE);
    assert_int_equal(used - arena_counters.used_slices,
                     (8 * MIB >> SLICE_SHIFT) - ((3 * MIB + SLICE_BYTES) >> SLICE_SHIFT));
    assert_true(has_words(q, 3 * MIB, 4));
    assert_true(is_gone(p + 4 * MIB));
    q = tide_realloc(q, 6 * MIB); /* and can be had again */
    assert_ptr_equal(q, p);
    assert_true(has_words(q, 3 * MIB, 4));
    q = tide_realloc(q, 1000); /* small now: another place */
    assert_ptr_not_equal(q, p);
    assert_true(has_words(q, 1000, 4));
    assert_true(is_gone(p));
    tide_free(q);
}

/* Where there is memory with pages for it; so what is left behind is as long as before. */
static void
test_a_block_that_shrinks_to_half_lets_go_of_all(void **state)
{
    enum { LONG = 32, SHORT = 8 };
    void *neighbour;
    char *hole = alloc_enclosed(SHORT * SLICE_BYTES, &neighbour);
    char *p = alloc(LONG * SLICE_BYTES);
    size_t used = arena_counters.used_slices;
    char *q;

    (void)state;
    fill_words(p, LONG * SLICE_BYTES, 5);
    (void)arena_purge_free(SIZE_MAX, unit_now_tick());
    q = tide_realloc(p, LONG * SLICE_BYTES / 2); /* no free memory has pages */
    assert_ptr_equal(q, p);
    tide_free(q);
    p = alloc(LONG * SLICE_BYTES);
    fill_words(p, LONG * SLICE_BYTES, 6);
    tide_free(hole);
    q = tide_realloc(p, (SHORT + 10) * SLICE_BYTES); /* more than half */
    assert_ptr_equal(q, p);
    q = tide_realloc(p, SHORT * SLICE_BYTES);
    assert_ptr_not_equal(q, p);
    assert_true(has_words(q, SHORT * SLICE_BYTES, 6));
    assert_int_equal(tide_malloc_usable_size(q), SHORT * SLICE_BYTES);
    assert_true(is_gone(p));
    assert_int_equal(arena_counters.used_slices, used - LONG);
    p = alloc(LONG * SLICE_BYTES);
    assert_int_equal(arena_counters.used_slices, used);
    tide_free(p);
    tide_free(q);
    free_neighbour(neighbour);
}

/* A buffer that is cut and grows again by turns is copied once each way, and then neither. The
 * first time it leaves: most are cut once, to what came. */
static void
test_a_block_that_grew_shrinks_where_it_is(void **state)
{
    char *hole = alloc(20 * SLICE_BYTES);
    char *p = alloc(10 * SLICE_BYTES);
    uint64_t copied;
    char *q;

    (void)state;
    memset(hole, 1, 20 * SLICE_BYTES);
    fill_words(p, 10 * SLICE_BYTES, 8);
    p = tide_realloc(p, 18 * SLICE_BYTES); /* wherever to */
    q = tide_realloc(p, 24 * SLICE_BYTES);
    fill_words(q, 24 * SLICE_BYTES, 8);
    tide_free(hole); /* pages for what it shrinks to */
    p = tide_realloc(q, 8 * SLICE_BYTES);
    require(p != q && has_words(p, 8 * SLICE_BYTES, 8));
    q = tide_realloc(p, 24 * SLICE_BYTES);
    require(has_words(q, 8 * SLICE_BYTES, 8));
    fill_words(q, 24 * SLICE_BYTES, 8);
    copied = heap_self()->counters.realloc_copied;
    for (int i = 0; i < 5; i++) {
        p = tide_realloc(q, 8 * SLICE_BYTES);
        require(p == q);
        q = tide_realloc(p, 24 * SLICE_BYTES);
        require(q == p && has_words(q, 8 * SLICE_BYTES, 8));
    }
    require_eq(heap_self()->counters.realloc_copied, copied);
    large_let_go_cache(heap_self());
    q = tide_realloc(p, 3 * SLICE_BYTES);
    require((space_span_of(q)->flags & SPAN_FLAG_GREW) != 0);
    tide_free(unit_hide(q));
    require(alloc(3 * SLICE_BYTES) == p); /* another block, kept from the same span */
    require((space_span_of(p)->flags & SPAN_FLAG_GREW) == 0);
    tide_free(p);
}

static void
test_shrinking_within_a_slice_leaves_no_dirt(void **state)
{
    void *neighbour;
    size_t big = 20 * SLICE_BYTES;
    char *p = alloc_enclosed(big, &neighbour);
    size_t small = big - SLICE_BYTES + OS_PAGE; /* the last slice but for its first page */
    char *q;

    (void)state;
    memset(p, 0xff, big);
    p = tide_realloc(p, small);
    q = tide_realloc(p, big + 4 * SLICE_BYTES); /* moves the pages */
    assert_ptr_not_equal(p, q);
    for (int i = 0; i < 40; i++) { /* whatever is said to be zero is */
        bool zero = false;
        char *probe = large_alloc(big, SLICE_BYTES, &zero);

        require(probe != NULL);
        require(!zero || unit_is_filled(probe, 0, big));
        p = tide_calloc(1, SLICE_BYTES + 1);
        require(unit_is_filled(p, 0, SLICE_BYTES + 1));
        /* kept, so that the next ones lie elsewhere */
    }
    tide_free(q);
    free_neighbour(neighbour);
}

static void
test_a_refused_move_is_a_copy(void **state)
{
    void *neighbour;
    char *p = alloc_enclosed(512 * KIB, &neighbour);
    uint64_t copied = heap_self()->counters.realloc_copied;
    char *q;

    (void)state;
    fill_words(p, 512 * KIB, 5);
    unit_faults_begin("move", ENOMEM, 1, UINT32_MAX);
    q = tide_realloc(p, 2 * MIB);
    assert_true(unit_faults_end() > 0);
    assert_non_null(q);
    assert_true(has_words(q, 512 * KIB, 5));
    assert_int_equal(heap_self()->counters.realloc_copied, copied + 1);
    assert_true(is_gone(p));
    tide_free(q);
    free_neighbour(neighbour);
}

static void
test_a_refused_growth_leaves_the_block(void **state)
{
    void *neighbour;
    char *p = alloc_enclosed(512 * KIB, &neighbour);
    size_t used = arena_counters.used_slices;

    (void)state;
    fill_words(p, 512 * KIB, 6);
    errno = 0;
    assert_null(tide_realloc(p, (size_t)1 << 46));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(tide_realloc(p, unit_hide(p) == NULL ? 0 : SIZE_MAX - 5));
    assert_int_equal(errno, ENOMEM);
    unit_faults_begin("commit", ENOMEM, 1, UINT32_MAX);
    errno = 0;
    assert_null(tide_realloc(p, (space.frontier + 1) << CHUNK_SHIFT));
    assert_int_equal(errno, ENOMEM);
    unit_faults_end();
    assert_true(has_words(p, 512 * KIB, 6));
    assert_int_equal(tide_malloc_usable_size(p), 512 * KIB);
    assert_int_equal(arena_counters.used_slices, used);
    tide_free(p);
    free_neighbour(neighbour);
}

static void
test_a_refused_renewal_is_only_less_tidy(void **state)
{
    void *neighbour;
    char *p = alloc_enclosed(512 * KIB, &neighbour);
    size_t used = arena_counters.used_slices;
    char *q;

    (void)state;
    memset(p, 0xff, 512 * KIB);
    p = tide_realloc(p, 600 * KIB);
    memset(p, 0xff, 600 * KIB);
    unit_faults_begin("renew", ENOMEM, 1, UINT32_MAX);
    tide_free(p);
    unit_faults_end();
    require_le(arena_counters.used_slices, used);
    q = tide_calloc(1, 600 * KIB);
    assert_true(unit_is_filled(q, 0, 600 * KIB));
    tide_free(q);
    free_neighbour(neighbour);
}

static void
test_random_realloc_keeps_contents(void **state)
{
    enum { N = 12 };
    struct unit_random r = {17};
    char *blocks[N] = {NULL};
    size_t sizes[N] = {0};

    (void)state;
    for (int step = 0; step < 1200; step++) {
        size_t i = unit_below(&r, N);
        size_t size = 8 + ((size_t)1 << (6 + unit_below(&r, 16))) + unit_below(&r, 60000);
        char *p;

        if (blocks[i] != NULL) {
            require(has_words(blocks[i], sizes[i], i));
        }
        if (unit_below(&r, 5) == 0) {
            tide_free(blocks[i]);
            blocks[i] = NULL;
            sizes[i] = 0;
            continue;
        }
        p = tide_realloc(blocks[i], size);
        require(p != NULL);
        require(has_words(p, min_zu(size, sizes[i]), i));
        fill_words(p, size, i);
        blocks[i] = p;
        sizes[i] = size;
    }
    for (size_t i = 0; i < N; i++) {
        tide_free(blocks[i]);
    }
}

static void *
take_a_huge_block(void *arg)
{
    void *p;

    require(heap_self() == &heap_empty);
    p = alloc(64 * MIB);
    *(bool *)arg = heap_self() != &heap_empty;
    tide_free(p);
    return NULL;
}

/* Or the keeper would take the process for one whose last thread has ended. */
static void
test_who_takes_huge_blocks_only_has_a_heap(void **state)
{
    bool has_heap = false;
    pthread_t thread;

    (void)state;
    require_eq(pthread_create(&thread, NULL, take_a_huge_block, &has_heap), 0);
    require_eq(pthread_join(thread, NULL), 0);
    require(has_heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_of_os_pages),
        cmocka_unit_test(test_freed_blocks_are_kept_for_the_next_of_their_size),
        cmocka_unit_test(test_one_size_does_not_keep_out_the_others),
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_alignments),
        cmocka_unit_test(test_zero_means_zero),
        cmocka_unit_test(test_growth_in_place_keeps_the_address),
        cmocka_unit_test(test_growth_by_moving_pages_copies_nothing),
        cmocka_unit_test(test_a_moved_block_shrinks_and_grows_again),
        cmocka_unit_test(test_a_block_that_keeps_growing_seldom_moves),
        cmocka_unit_test(test_moved_blocks_are_renewed),
        cmocka_unit_test(test_shrinking_gives_the_end_back),
        cmocka_unit_test(test_a_block_that_shrinks_to_half_lets_go_of_all),
        cmocka_unit_test(test_a_block_that_grew_shrinks_where_it_is),
        cmocka_unit_test(test_shrinking_within_a_slice_leaves_no_dirt),
        cmocka_unit_test(test_a_refused_move_is_a_copy),
        cmocka_unit_test(test_a_refused_growth_leaves_the_block),
        cmocka_unit_test(test_a_refused_renewal_is_only_less_tidy),
        cmocka_unit_test(test_random_realloc_keeps_contents),
        cmocka_unit_test(test_who_takes_huge_blocks_only_has_a_heap),
    };

    return cmocka_run_group_tests_name("heap/large", tests, unit_setup, NULL);
}
