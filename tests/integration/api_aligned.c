/* SPDX-License-Identifier: MIT */
/*
 * aligned_alloc, posix_memalign, memalign, valloc, pvalloc: their alignment, their errors, and
 * blocks that do not overlap under a random mixture.
 * only: tide
 */
#include "check.h"
#include <malloc.h>

static void
aligned_alloc_rules(void)
{
    for (size_t alignment = 1; alignment <= (size_t)64 << 20; alignment *= 2) {
        static const size_t sizes[] = {0, 1, 15, 16, 100, 4095, 70000, 3 << 20};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            unsigned char *p = hide(aligned_alloc(alignment, sizes[i]));
            CHECK(p != NULL, "alignment %zu size %zu", alignment, sizes[i]);
            CHECK_ALIGNED(p, alignment < 16 ? 16 : alignment);
            CHECK(malloc_usable_size(p) >= sizes[i]);
            memset(p, 0x77, malloc_usable_size(p) < 200000 ? malloc_usable_size(p) : sizes[i]);
            free(p);
        }
    }
    static const size_t bad[] = {0, 3, 5, 24, 48, 4095, 4097, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        CHECK(hide(aligned_alloc(hide_size(bad[i]), 100)) == NULL, "alignment %zu", bad[i]);
        CHECK(errno == EINVAL, "alignment %zu: errno %d", bad[i], errno);
    }
    static const size_t large[] = {PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 64,
                                   (size_t)PTRDIFF_MAX - 4096};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 16) {
            errno = 0;
            CHECK(hide(aligned_alloc(hide_size(alignment), hide_size(large[i]))) == NULL);
            CHECK(errno == ENOMEM);
        }
    }
    errno = 0;
    CHECK(hide(aligned_alloc(hide_size((size_t)1 << 63), 1)) == NULL && errno == ENOMEM, "errno %d",
          errno);
    errno = 0;
    CHECK(hide(aligned_alloc(hide_size((size_t)1 << 55), 1)) == NULL && errno == ENOMEM, "errno %d",
          errno);
}

static void
posix_memalign_rules(void)
{
    void *const untouched = (void *)(uintptr_t)0x1234;
    static const size_t bad[] = {0, 1, 2, 4, 3, 7, 12, 24, 40, 4095, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *p = untouched;
        errno = 55;
        CHECK(posix_memalign(&p, hide_size(bad[i]), 100) == EINVAL, "alignment %zu", bad[i]);
        CHECK(p == untouched);
        CHECK(errno == 55, "errno was set to %d", errno);
    }
    void *p = untouched;
    CHECK(posix_memalign(&p, 64, hide_size(SIZE_MAX)) == ENOMEM && p == untouched);
    CHECK(posix_memalign(&p, 8, hide_size((size_t)PTRDIFF_MAX + 1)) == ENOMEM && p == untouched);
    CHECK(posix_memalign(&p, hide_size((size_t)1 << 62), 8) == ENOMEM && p == untouched);
    CHECK(posix_memalign(&p, 4096, 0) == 0 && p != NULL && p != untouched);
    CHECK_ALIGNED(p, 4096);
    free(p);
    for (size_t alignment = 8; alignment <= (size_t)32 << 20; alignment *= 2) {
        void *blocks[8];
        for (int i = 0; i < 8; i++) {
            CHECK(posix_memalign(&blocks[i], alignment, 50 + (size_t)i * 700) == 0);
            CHECK_ALIGNED(blocks[i], alignment);
            pattern_fill(blocks[i], 50 + (size_t)i * 700, alignment + (size_t)i);
        }
        for (int i = 0; i < 8; i++) {
            CHECK_PATTERN(blocks[i], 50 + (size_t)i * 700, alignment + (size_t)i);
            free(blocks[i]);
        }
    }
}

static void
memalign_rules(void)
{
    static const struct {
        size_t given, rounded;
    } cases[] = {{0, 16},  {1, 16},    {3, 16},      {17, 32},       {24, 32},
                 {33, 64}, {100, 128}, {4097, 8192}, {65537, 131072}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *p = hide(memalign(hide_size(cases[i].given), 10));
        CHECK(p != NULL);
        CHECK_ALIGNED(p, cases[i].rounded);
        free(p);
    }
    errno = 0;
    CHECK(hide(memalign(hide_size(SIZE_MAX / 2 + 2), 10)) == NULL && errno == EINVAL, "errno %d",
          errno);
    errno = 0;
    CHECK(hide(memalign(hide_size(SIZE_MAX), 10)) == NULL && errno == EINVAL, "errno %d", errno);
    errno = 0;
    CHECK(hide(memalign(64, hide_size(SIZE_MAX - 32))) == NULL && errno == ENOMEM, "errno %d",
          errno);
}

static void
page_rules(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *p = hide(valloc(sizes[i]));
        CHECK(p != NULL);
        CHECK_ALIGNED(p, page);
        free(p);
        p = hide(pvalloc(sizes[i]));
        CHECK(p != NULL);
        CHECK_ALIGNED(p, page);
        size_t rounded = (sizes[i] + page - 1) / page * page;
        CHECK(malloc_usable_size(p) >= rounded, "pvalloc(%zu) usable %zu", sizes[i],
              malloc_usable_size(p));
        memset(p, 1, rounded);
        free(p);
    }
    static const size_t large[] = {SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX - 4096,
                                   (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        errno = 0;
        CHECK(hide(pvalloc(hide_size(large[i]))) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(hide(valloc(hide_size(large[i]))) == NULL && errno == ENOMEM);
    }
}

static void
random_mixture(void)
{
    enum { SLOTS = 500 };
    static struct {
        unsigned char *p;
        size_t size;
        uint64_t tag;
    } slot[SLOTS];
    uint64_t state = 99;
    for (int step = 0; step < 60000; step++) {
        size_t k = rnd_below(&state, SLOTS);
        if (slot[k].p != NULL) {
            CHECK_PATTERN(slot[k].p, slot[k].size, slot[k].tag);
            free(slot[k].p);
        }
        size_t alignment = (size_t)1 << (3 + rnd_below(&state, 12));
        size_t size = rnd_below(&state, (size_t)1 << rnd_below(&state, 15));
        void *p = NULL;
        if (step % 3 == 0) {
            CHECK(posix_memalign(&p, alignment, size) == 0);
        } else if (step % 3 == 1) {
            p = aligned_alloc(alignment, size);
        } else {
            p = memalign(alignment, size);
        }
        CHECK(p != NULL);
        CHECK_ALIGNED(p, alignment);
        slot[k].p = p;
        slot[k].size = size;
        slot[k].tag = (uint64_t)step;
        pattern_fill(p, size, slot[k].tag);
    }
    for (size_t k = 0; k < SLOTS; k++) {
        free(slot[k].p);
    }
}

int
main(void)
{
    aligned_alloc_rules();
    posix_memalign_rules();
    memalign_rules();
    page_rules();
    random_mixture();
    return 0;
}
