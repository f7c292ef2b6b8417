/* SPDX-License-Identifier: MIT */
/*
 * realloc: contents kept while growing and shrinking through every size class and between kinds of
 * block, realloc(NULL, n), realloc(p, 0) frees and answers NULL, failure leaves the block alone.
 */
#include "check.h"
#include <malloc.h>

static void
null_is_malloc(void)
{
    unsigned char *p = hide(realloc(NULL, 100));
    CHECK(p != NULL);
    memset(p, 1, 100);
    free(p);
    p = hide(realloc(NULL, 0));
    CHECK(p != NULL);
    free(p);
}

static void
zero_frees(void)
{
    static const size_t sizes[] = {1, 100, 10000, 200000, 3 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t before = rss_kib();
        for (size_t total = 0; total < (size_t)128 << 20; total += sizes[i] + 64) {
            unsigned char *p = hide(malloc(sizes[i]));
            CHECK(p != NULL);
            p[0] = 1;
            p[sizes[i] - 1] = 1;
            errno = 77;
            CHECK(hide(realloc(p, hide_size(0))) == NULL, "size %zu", sizes[i]);
            CHECK(errno == 77, "errno changed to %d", errno);
        }
        CHECK(rss_kib() < before + (32 << 10), "%zu KiB before, %zu after", before, rss_kib());
    }
}

static void
contents_are_kept(void)
{
    uint64_t state = 7;
    for (int chain = 0; chain < 300; chain++) {
        size_t n = rnd_below(&state, 300);
        unsigned char *p = hide(malloc(n));
        CHECK(p != NULL);
        uint64_t tag = (uint64_t)chain;
        pattern_fill(p, n, tag);
        for (int step = 0; step < 40; step++) {
            size_t next = (size_t)1 << rnd_below(&state, chain % 10 == 0 ? 23 : 17);
            next += rnd_below(&state, next);
            p = hide(realloc(p, next));
            CHECK(p != NULL);
            CHECK_ALIGNED(p, 16);
            CHECK(malloc_usable_size(p) >= next);
            CHECK_PATTERN(p, n < next ? n : next, tag);
            tag += 1000;
            n = next;
            pattern_fill(p, n, tag);
        }
        free(p);
    }
}

static void
grows_step_by_step(size_t step, size_t limit, size_t multiplier_percent)
{
    unsigned char *p = NULL;
    size_t n = 0;
    while (n < limit) {
        size_t next = n * multiplier_percent / 100 + step;
        p = hide(realloc(p, next));
        CHECK(p != NULL);
        for (size_t i = n; i < next; i++) {
            p[i] = pattern_byte(i, 3);
        }
        n = next;
    }
    CHECK_PATTERN(p, n, 3);
    while (n > 100) {
        n = n * 2 / 3;
        p = hide(realloc(p, n));
        CHECK(p != NULL);
        CHECK_PATTERN(p, n, 3);
    }
    free(p);
}

static void
neighbours_survive_growth(void)
{
    unsigned char *left = hide(malloc(1 << 20)), *p = hide(malloc(1 << 20)),
                  *right = hide(malloc(1 << 20));
    CHECK(left != NULL && p != NULL && right != NULL);
    pattern_fill(left, 1 << 20, 1);
    pattern_fill(p, 1 << 20, 2);
    pattern_fill(right, 1 << 20, 3);
    for (size_t mib = 2; mib <= 64; mib *= 2) {
        p = hide(realloc(p, mib << 20));
        CHECK(p != NULL);
        CHECK_PATTERN(p, 1 << 20, 2);
        memset(p + (1 << 20), 0xee, (mib - 1) << 20);
    }
    CHECK_PATTERN(left, 1 << 20, 1);
    CHECK_PATTERN(right, 1 << 20, 3);
    free(left);
    free(p);
    free(right);
}

static void
failure_leaves_the_block(void)
{
    static const size_t sizes[] = {10, 5000, 100000, 5 << 20};
    static const size_t too_large[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 15,
                                       SIZE_MAX, (size_t)1 << 60};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = hide(malloc(sizes[i]));
        CHECK(p != NULL);
        pattern_fill(p, sizes[i], i);
        for (size_t k = 0; k < sizeof too_large / sizeof too_large[0]; k++) {
            errno = 0;
            CHECK(hide(realloc(p, hide_size(too_large[k]))) == NULL);
            CHECK(errno == ENOMEM);
            CHECK_PATTERN(p, sizes[i], i);
        }
        free(p);
    }
}

static void
aligned_blocks_can_be_resized(void)
{
    for (size_t alignment = 32; alignment <= 1 << 20; alignment *= 4) {
        void *p = NULL;
        CHECK(posix_memalign(&p, alignment, 3000) == 0);
        pattern_fill(p, 3000, alignment);
        p = hide(realloc(p, 90000));
        CHECK(p != NULL);
        CHECK_PATTERN(p, 3000, alignment);
        p = hide(realloc(p, 50));
        CHECK(p != NULL);
        CHECK_PATTERN(p, 50, alignment);
        free(p);
    }
}

int
main(void)
{
    null_is_malloc();
    zero_frees();
    contents_are_kept();
    grows_step_by_step(1, 20000, 100);
    grows_step_by_step(4000, 4 << 20, 100);
    grows_step_by_step(1, 64 << 20, 200);
    grows_step_by_step(100, 32 << 20, 110);
    neighbours_survive_growth();
    failure_leaves_the_block();
    aligned_blocks_can_be_resized();
    return 0;
}
