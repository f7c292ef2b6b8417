/* SPDX-License-Identifier: MIT */
/*
 * The library loaded with dlopen into a process that runs on the system malloc: its thread-local
 * data must fit into the static TLS surplus, its tide_ functions work from several threads, and
 * closing it does no harm. Argument: the library.
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

static void *(*their_malloc)(size_t);
static void *(*their_realloc)(void *, size_t);
static void (*their_free)(void *);

static void *
use(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    for (int i = 0; i < 20000; i++) {
        size_t n = rnd_below(&state, 5000);
        unsigned char *p = their_malloc(n);
        CHECK(p != NULL);
        memset(p, 1, n);
        p = their_realloc(p, n * 2 + 1);
        CHECK(p != NULL);
        their_free(p);
        free(malloc(n));
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    void *(*their_calloc)(size_t, size_t);
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *own = dlsym(libc, "malloc");

    CHECK(argc == 2);
    for (int i = 0; i < 20; i++) {
        void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(handle != NULL, "%s", dlerror());
        their_malloc = (void *(*)(size_t))dlsym(handle, "tide_malloc");
        their_realloc = (void *(*)(void *, size_t))dlsym(handle, "tide_realloc");
        their_free = (void (*)(void *))dlsym(handle, "tide_free");
        CHECK(their_malloc != NULL && their_realloc != NULL && their_free != NULL);
        /* As the dynamic linker asks: it must not lead libc's own names to itself here. */
        their_calloc = (void *(*)(size_t, size_t))dlsym(handle, "tide_calloc");
        CHECK(their_calloc != NULL);
        their_free(their_calloc(3000, 1));
        CHECK(dlsym(libc, "malloc") == own);
        pthread_t t[2];
        for (uintptr_t k = 0; k < 2; k++) {
            CHECK(pthread_create(&t[k], NULL, use, (void *)k) == 0);
        }
        use(NULL);
        for (int k = 0; k < 2; k++) {
            pthread_join(t[k], NULL);
        }
        CHECK(dlclose(handle) == 0);
    }
    return 0;
}
