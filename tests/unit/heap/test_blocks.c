/* SPDX-License-Identifier: MIT */
/* heap/blocks: aligned, zeroed, resized and measured blocks, small and large alike. */
#include "spans.h"

#include "heap/report.h"

static const size_t edges[] = {
    0,     1,     15,    16,    17,    24,     100,    255,     256,     257,     1000,   1023,
    1024,  1025,  4095,  4096,  4097,  8191,   8192,   16384,   20000,   30719,   30721,  32767,
    32768, 32769, 40000, 65536, 65537, 100000, 262144, 1000000, 2097152, 2097153, 5000000};

static void
test_every_alignment_of_every_size(void **state)
{
    void *blocks[TIDE_ARRAY_LEN(edges)];

    (void)state;
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        for (size_t i = 0; i < TIDE_ARRAY_LEN(edges); i++) {
            unsigned char *p = heap_alloc_aligned(edges[i], align);

            require(p != NULL);
            require_eq((uintptr_t)p % align, 0);
            require_eq((uintptr_t)p % 16, 0);
            require_ge(heap_usable_size(p, "test"), edges[i]);
            memset(p, (int)i, min_zu(edges[i], 100000));
            blocks[i] = p;
        }
        for (size_t i = 0; i < TIDE_ARRAY_LEN(edges); i++) {
            require(unit_is_filled(blocks[i], (unsigned char)i, min_zu(edges[i], 100000)));
            tide_free(blocks[i]);
        }
    }
}

static void
test_small_alignments_waste_little(void **state)
{
    (void)state;
    for (size_t align = 32; align <= 4096; align *= 2) {
        for (size_t size = align; size + align <= TIDE_SMALL_MAX; size += align) {
            void *p = heap_alloc_aligned(size, align);
            size_t usable = heap_usable_size(p, "test");

            require_eq((uintptr_t)p % align, 0);
            require_le(usable, size + size / 8 + align + align / 2 + size / 3);
            tide_free(p);
        }
    }
}

static void
test_impossible_alignments_and_sizes(void **state)
{
    (void)state;
    errno = 0;
    assert_null(heap_alloc_aligned((size_t)PTRDIFF_MAX + 1, 64));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(heap_alloc_aligned(16, (size_t)1 << 63));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(heap_alloc_aligned(PTRDIFF_MAX, 4096));
    assert_int_equal(errno, ENOMEM);
}

static void
test_usable_size_is_what_may_be_used(void **state)
{
    (void)state;
    for (size_t size = 0; size <= TIDE_SMALL_MAX + 5; size += size < 600 ? 1 : 97) {
        unsigned char *p = unit_hide(tide_malloc(size));
        size_t usable = heap_usable_size(p, "test");

        if (size <= TIDE_SMALL_MAX) {
            require_eq(usable, size_classes[size_class_of(size)].size);
        } else {
            require_eq(usable, align_up(size, OS_PAGE));
        }
        memset(p, 0xee, usable);
        tide_free(p);
    }
}

static void
test_zeroed_blocks_are_zero_whatever_was_there(void **state)
{
    void *dirty[200];

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(edges); i++) {
        for (size_t k = 0; k < 20; k++) {
            dirty[k] = tide_malloc(edges[i]);
            memset(dirty[k], 0xff, edges[i]);
        }
        for (size_t k = 0; k < 20; k++) {
            tide_free(dirty[k]);
        }
        for (size_t k = 0; k < 20; k++) {
            dirty[k] = heap_alloc_zeroed(edges[i]);
            require(dirty[k] != NULL);
            require(unit_is_filled(dirty[k], 0, edges[i]));
        }
        for (size_t k = 0; k < 20; k++) {
            tide_free(dirty[k]);
        }
    }
}

static void
test_fresh_zero_pages_are_not_touched(void **state)
{
    const size_t size = (size_t)4 << 20;
    uint64_t avoided = heap_self()->counters.zeroing_avoided_bytes;
    char *p;

    (void)state;
    (void)keeper_trim();
    p = heap_alloc_zeroed(size);
    assert_int_equal(heap_self()->counters.zeroing_avoided_bytes - avoided, size);
    assert_int_equal(os_resident_range(p, size), 0);
    assert_true(unit_is_filled(p, 0, size));
    tide_free(p);
}

static void
test_realloc_within_the_block_stays(void **state)
{
    (void)state;
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        size_t size = size_classes[c].size;
        unsigned char *p = tide_malloc(size);

        memset(p, 0x77, size);
        for (size_t s = size / 2 + 1; s <= size; s += 1 + size / 7) {
            require(heap_realloc(p, s, "realloc") == p);
        }
        require(unit_is_filled(p, 0x77, size));
        tide_free(p);
    }
}

static void
test_realloc_keeps_the_smaller_of_both_sizes(void **state)
{
    (void)state;
    for (size_t i = 1; i < TIDE_ARRAY_LEN(edges); i++) {
        for (size_t k = 1; k < TIDE_ARRAY_LEN(edges); k++) {
            unsigned char *p = tide_malloc(edges[i]);

            memset(p, (int)(i * 7 + k), edges[i]);
            p = heap_realloc(p, edges[k], "realloc");
            require(p != NULL);
            require_ge(heap_usable_size(p, "test"), edges[k]);
            require(unit_is_filled(p, (unsigned char)(i * 7 + k), min_zu(edges[i], edges[k])));
            tide_free(p);
        }
    }
}

static void
test_a_failed_realloc_leaves_the_block(void **state)
{
    static const size_t sizes[] = {16, 5000, 32768, 50000, 3000000};

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(sizes); i++) {
        unsigned char *p = tide_malloc(sizes[i]);

        memset(p, 0x55, sizes[i]);
        errno = 0;
        require(heap_realloc(p, (size_t)PTRDIFF_MAX + 1, "realloc") == NULL);
        require_eq(errno, ENOMEM);
        errno = 0;
        require(heap_realloc(p, (size_t)1 << 46, "realloc") == NULL);
        require_eq(errno, ENOMEM);
        require(unit_is_filled(p, 0x55, sizes[i]));
        tide_free(p);
    }
}

/* Every os call and every new span is refused. */
static void
shrink_without_memory(void *arg)
{
    static const size_t sizes[] = {100, 3000, 32768, 33000, 100000, 3000000};
    void *fill;

    (void)arg;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(sizes); i++) {
        unsigned char *p = tide_malloc(sizes[i]);

        memset(p, 0x33, sizes[i]);
        unit_faults_begin(NULL, ENOMEM, 1, UINT32_MAX);
        for (size_t size = (size_t)64 << 20; size >= 16; size /= 2) {
            while ((fill = tide_malloc(size)) != NULL) { /* never freed */
            }
        }
        for (size_t s = sizes[i]; s > 0; s /= 2) {
            p = tide_realloc(p, s);
            require(p != NULL); /* shrinking never fails */
            require(unit_is_filled(p, 0x33, s));
        }
        tide_free(p);
        unit_faults_end();
    }
}

static void
test_shrinking_never_fails(void **state)
{
    (void)state;
    unit_child(shrink_without_memory, NULL);
}

static void
measure_wrong_pointers(void *arg)
{
    unsigned char *p = tide_malloc(100);
    unsigned char *q = tide_malloc(100);
    uint64_t reports = report_count();

    (void)arg;
    close(STDERR_FILENO);
    report_aborts = false;
    require_eq(heap_usable_size(p + 16, "malloc_usable_size"), 0);
    require_eq(heap_usable_size(&q, "malloc_usable_size"), 0);
    tide_free(unit_hide(q));
    require_eq(heap_usable_size(q, "malloc_usable_size"), 0);
    errno = 0;
    require(heap_realloc(q, 200, "realloc") == NULL);
    require_eq(errno, ENOMEM);
    require(heap_realloc(p + 16, 200, "realloc") == NULL);
    require_eq(report_count(), reports + 5);
    require_eq(heap_usable_size(p, "malloc_usable_size"), 112);
    tide_free(p);
}

static void
test_wrong_pointers_have_no_size(void **state)
{
    (void)state;
    unit_child(measure_wrong_pointers, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alignment_of_every_size),
        cmocka_unit_test(test_small_alignments_waste_little),
        cmocka_unit_test(test_impossible_alignments_and_sizes),
        cmocka_unit_test(test_usable_size_is_what_may_be_used),
        cmocka_unit_test(test_zeroed_blocks_are_zero_whatever_was_there),
        cmocka_unit_test(test_fresh_zero_pages_are_not_touched),
        cmocka_unit_test(test_realloc_within_the_block_stays),
        cmocka_unit_test(test_realloc_keeps_the_smaller_of_both_sizes),
        cmocka_unit_test(test_a_failed_realloc_leaves_the_block),
        cmocka_unit_test(test_shrinking_never_fails),
        cmocka_unit_test(test_wrong_pointers_have_no_size),
    };

    return cmocka_run_group_tests_name("heap/blocks", tests, unit_setup, NULL);
}
