/* SPDX-License-Identifier: MIT */
/*
 * calloc: overflow is NULL and ENOMEM; the memory is zero however dirty it was before, whoever
 * freed it, and whatever size it had.
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>

static void
overflow_is_enomem(void)
{
    static const struct {
        size_t count, size;
    } cases[] = {{SIZE_MAX, 2},
                 {2, SIZE_MAX},
                 {SIZE_MAX / 2 + 1, 2},
                 {(size_t)1 << 32, (size_t)1 << 32},
                 {SIZE_MAX, SIZE_MAX},
                 {((size_t)1 << 33) + 1, (size_t)1 << 31},
                 {PTRDIFF_MAX, 2},
                 {1, SIZE_MAX},
                 {(size_t)PTRDIFF_MAX + 1, 1},
                 {SIZE_MAX / 16 + 2, 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        errno = 0;
        CHECK(hide(calloc(hide_size(cases[i].count), hide_size(cases[i].size))) == NULL, "case %zu",
              i);
        CHECK(errno == ENOMEM, "case %zu errno %d", i, errno);
    }
}

static void
nothing_is_unique(void)
{
    void *a = hide(calloc(0, 8)), *b = hide(calloc(8, 0)), *c = hide(calloc(0, 0)),
         *d = hide(calloc(SIZE_MAX, 0));
    CHECK(a != NULL && b != NULL && c != NULL && d != NULL);
    CHECK(a != b && a != c && b != c && a != d && b != d && c != d);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void
check_zero(size_t count, size_t size)
{
    unsigned char *p = hide(calloc(count, size));
    CHECK(p != NULL, "%zu x %zu", count, size);
    CHECK_ALIGNED(p, 16);
    for (size_t i = 0; i < count * size; i++) {
        CHECK(p[i] == 0, "byte %zu of %zu x %zu", i, count, size);
    }
    memset(p, 0xee, malloc_usable_size(p));
    free(p);
}

static void *
free_it(void *p)
{
    free(p);
    return NULL;
}

static void
dirty_reuse_is_zeroed(size_t n)
{
    enum { COUNT = 16 };
    void *p[COUNT];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            p[i] = hide(malloc(n));
            CHECK(p[i] != NULL);
            memset(p[i], 0xff, malloc_usable_size(p[i]));
        }
        for (int i = 0; i < COUNT; i++) {
            if (round == 1 && i == 3) {
                pthread_t t;
                CHECK(pthread_create(&t, NULL, free_it, p[i]) == 0);
                pthread_join(t, NULL);
            } else {
                free(p[i]);
            }
        }
        for (int i = 0; i < COUNT; i++) {
            p[i] = hide(calloc(1, n));
            CHECK(p[i] != NULL);
            const unsigned char *bytes = p[i];
            for (size_t k = 0; k < n; k++) {
                CHECK(bytes[k] == 0, "byte %zu of %zu", k, n);
            }
        }
        for (int i = 0; i < COUNT; i++) {
            free(p[i]);
        }
    }
}

/* Blocks which change their size on the same memory: calloc may not trust "fresh" pages wrongly. */
static void
mixed_sizes_are_zeroed(void)
{
    uint64_t state = 42;
    enum { SLOTS = 64 };
    static void *slot[SLOTS];
    for (int i = 0; i < 8000; i++) {
        size_t k = rnd_below(&state, SLOTS);
        free(slot[k]);
        size_t n = (size_t)1 << rnd_below(&state, 18);
        n += rnd_below(&state, n);
        if (i % 2 == 0) {
            unsigned char *p = hide(calloc(1, n));
            CHECK(p != NULL);
            for (size_t b = 0; b < n; b++) {
                CHECK(p[b] == 0, "byte %zu of %zu, step %d", b, n, i);
            }
            memset(p, 0xdd, n);
            slot[k] = p;
        } else {
            slot[k] = hide(malloc(n));
            CHECK(slot[k] != NULL);
            memset(slot[k], 0xcc, n);
        }
        if (i % 1000 == 999) {
            malloc_trim(0);
        }
    }
    for (int k = 0; k < SLOTS; k++) {
        free(slot[k]);
    }
}

/* A large block which was shrunk and regrown in place has dirty memory behind it. */
static void
after_realloc_is_zeroed(void)
{
    for (int i = 0; i < 20; i++) {
        unsigned char *p = hide(malloc(4 << 20));
        CHECK(p != NULL);
        memset(p, 0xab, 4 << 20);
        p = hide(realloc(p, 1 << 20));
        CHECK(p != NULL);
        check_zero(3, 1 << 20);
        p = hide(realloc(p, 3 << 20));
        CHECK(p != NULL);
        memset(p, 0xab, 3 << 20);
        free(p);
        check_zero(1, 4 << 20);
    }
}

int
main(void)
{
    overflow_is_enomem();
    nothing_is_unique();
    for (size_t n = 1; n < 2000; n++) {
        check_zero(n, 1);
        check_zero(1, n);
    }
    check_zero(1000, 1000);
    check_zero(64 << 10, 1 << 10);
    for (size_t n = 8; n <= 8 << 20; n = n * 3 / 2 + 5) {
        dirty_reuse_is_zeroed(n);
    }
    mixed_sizes_are_zeroed();
    after_realloc_is_zeroed();
    return 0;
}
