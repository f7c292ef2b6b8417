/* SPDX-License-Identifier: MIT */
/*
 * free: NULL is nothing, errno is kept, for every kind and size of block, by the owner or by
 * another thread; operator delete, cfree, free_sized and free_aligned_sized likewise where they
 * exist.
 */
#include "check.h"
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>

static void *
free_all_in_thread(void *blocks)
{
    void **p = blocks;
    for (int i = 0; p[i] != NULL; i++) {
        errno = 1234;
        free(p[i]);
        CHECK(errno == 1234, "errno became %d", errno);
    }
    return NULL;
}

static void
errno_is_kept(void)
{
    for (size_t n = 1; n <= (size_t)300 << 20; n = n * 3 + 1) {
        unsigned char *p = hide(malloc(n));
        CHECK(p != NULL);
        for (size_t at = 0; at < n; at += 4096) {
            p[at] = 1;
        }
        errno = 4321;
        free(p);
        CHECK(errno == 4321, "size %zu: errno became %d", n, errno);
    }
    enum { COUNT = 20000 };
    static void *p[COUNT + 1];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = hide(malloc(i % 7000));
            CHECK(p[i] != NULL);
            memset(p[i], 1, i % 7000);
        }
        if (round == 0) {
            free_all_in_thread(p);
        } else {
            pthread_t t;
            CHECK(pthread_create(&t, NULL, free_all_in_thread, p) == 0);
            pthread_join(t, NULL);
        }
    }
}

static void
one_argument_function_keeps_errno(const char *name)
{
    void (*release)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, name);
    if (release == NULL) {
        return;
    }
    errno = 99;
    release(NULL);
    CHECK(errno == 99);
    for (size_t n = 1; n < (size_t)64 << 20; n = n * 5 + 1) {
        void *p = hide(malloc(n));
        CHECK(p != NULL);
        memset(p, 1, n);
        errno = 99;
        release(p);
        CHECK(errno == 99, "%s of %zu: errno became %d", name, n, errno);
    }
}

static void
sized_functions_accept_the_exact_size(void)
{
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    if (sized == NULL || aligned == NULL) {
        return;
    }
    errno = 99;
    sized(NULL, 100);
    aligned(NULL, 64, 100);
    for (size_t n = 0; n < 100000; n += n < 3000 ? 1 : 97) {
        sized(hide(malloc(n)), n);
        sized(hide(calloc(n, 1)), n);
        sized(hide(realloc(malloc(n / 2 + 1), n + 1)), n + 1);
        void *shrunk = hide(realloc(malloc(n * 3 + 1), n + 1));
        sized(shrunk, n + 1);
    }
    for (size_t n = 100000; n < (size_t)64 << 20; n = n * 2 + 77) {
        sized(hide(malloc(n)), n);
        sized(hide(realloc(malloc(n / 2), n)), n);
        sized(hide(realloc(malloc(n * 2), n)), n);
    }
    for (size_t alignment = 1; alignment <= 1 << 21; alignment *= 2) {
        for (size_t n = 0; n < 300000; n = n * 2 + 13) {
            aligned(hide(aligned_alloc(alignment, n)), alignment, n);
        }
    }
    CHECK(errno == 99 || errno == 0);
}

int
main(void)
{
    errno = 5;
    free(hide(NULL));
    CHECK(errno == 5);
    errno_is_kept();
    static const char *const names[] = {"free", "cfree", "_ZdlPv", "_ZdaPv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        one_argument_function_keeps_errno(names[i]);
    }
    sized_functions_accept_the_exact_size();
    return 0;
}
