/* SPDX-License-Identifier: MIT */
/*
 * malloc: unique answers for size 0, 16-byte alignment for all sizes up to 100,000, the whole block
 * usable, live blocks apart from each other, NULL and ENOMEM beyond PTRDIFF_MAX.
 */
#include "check.h"
#include <malloc.h>

static void
zero_is_unique(void)
{
    enum { COUNT = 1000 };
    static char *p[COUNT];
    for (int i = 0; i < COUNT; i++) {
        p[i] = hide(malloc(0));
        CHECK(p[i] != NULL);
        CHECK_ALIGNED(p[i], 16);
        for (int k = 0; k < i; k++) {
            CHECK(p[i] != p[k]);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        free(p[i]);
    }
}

static void
every_size_is_aligned_and_usable(void)
{
    for (size_t n = 0; n <= 100000; n++) {
        unsigned char *p = hide(malloc(n));
        CHECK(p != NULL, "size %zu", n);
        CHECK_ALIGNED(p, 16);
        size_t usable = malloc_usable_size(p);
        CHECK(usable >= n, "size %zu usable %zu", n, usable);
        if (usable > 0) {
            p[0] = 1;
            p[usable - 1] = 2;
        }
        free(p);
    }
}

static void
neighbours_are_apart(size_t from, size_t to, size_t step)
{
    enum { COUNT = 4096 };
    static unsigned char *p[COUNT];
    static size_t size[COUNT];
    size_t count = 0;
    for (size_t n = from; n < to && count < COUNT; n += step) {
        p[count] = hide(malloc(n));
        CHECK(p[count] != NULL);
        size[count] = malloc_usable_size(p[count]);
        pattern_fill(p[count], size[count], count);
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        CHECK_PATTERN(p[i], size[i], i);
        free(p[i]);
    }
}

static void
too_large_is_enomem(void)
{
    static const size_t sizes[] = {
        PTRDIFF_MAX,   (size_t)PTRDIFF_MAX + 1, SIZE_MAX / 2 + 4096, SIZE_MAX - 4096,
        SIZE_MAX - 16, SIZE_MAX - 15,           SIZE_MAX - 1,        SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = 0;
        CHECK(hide(malloc(hide_size(sizes[i]))) == NULL, "size %zu", sizes[i]);
        CHECK(errno == ENOMEM, "size %zu errno %d", sizes[i], errno);
    }
    /* More than any machine's address space, less than PTRDIFF_MAX. */
    errno = 0;
    CHECK(hide(malloc(hide_size((size_t)1 << 60))) == NULL && errno == ENOMEM);
}

static void
large_blocks_are_whole(void)
{
    for (size_t n = 64 << 10; n <= (size_t)256 << 20; n = n * 2 + 4097) {
        unsigned char *p = hide(malloc(n));
        CHECK(p != NULL);
        CHECK_ALIGNED(p, 16);
        for (size_t at = 0; at < n; at += 65536) {
            p[at] = (unsigned char)(at >> 16);
        }
        p[n - 1] = 7;
        for (size_t at = 0; at < n - 1; at += 65536) {
            CHECK(p[at] == (unsigned char)(at >> 16));
        }
        free(p);
    }
}

int
main(void)
{
    zero_is_unique();
    every_size_is_aligned_and_usable();
    neighbours_are_apart(0, 4096, 1);
    neighbours_are_apart(4096, 40000, 16);
    neighbours_are_apart(40000, 1 << 20, 4099);
    too_large_is_enomem();
    large_blocks_are_whole();
    return 0;
}
