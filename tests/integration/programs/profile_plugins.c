/* SPDX-License-Identifier: MIT */
/*
 * For profile_plugins.sh: eight threads load one of two plug-ins, allocate in it, and unload it
 * again, so that each is found at the other's addresses. What they allocated is kept.
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 60, BLOCKS = 40 };
static char **paths;

static void *
load_and_unload(void *arg)
{
    static const char *const names[] = {"plugin_one", "plugin_two"};
    size_t id = (size_t)arg;

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t which = (id + round) % 2;
        void *library = dlopen(paths[which], RTLD_NOW);
        void *(*allocate)(size_t) = NULL;

        CHECK(library != NULL, "%s", dlerror());
        allocate = (void *(*)(size_t))dlsym(library, names[which]);
        CHECK(allocate != NULL);
        for (size_t i = 0; i < BLOCKS; i++) {
            CHECK(hide(allocate(3000 + which * 3000)) != NULL);
        }
        CHECK(dlclose(library) == 0);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    CHECK(argc == 3);
    paths = argv + 1;
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, load_and_unload, (void *)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
