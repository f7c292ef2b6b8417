/* SPDX-License-Identifier: MIT */
/*
 * The dynamic linker allocates under its own lock, and callbacks of dl_iterate_phdr allocate under
 * it too; an allocator which asks the linker for anything while it holds a lock stops here.
 */
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

static volatile int stop;

static int
callback(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)info, (void)size, (void)data;
    for (size_t n = 1; n < 4 << 20; n *= 4) {
        free(hide(malloc(n)));
    }
    return 0;
}

static void *
iterate(void *arg)
{
    while (!stop) {
        dl_iterate_phdr(callback, NULL);
    }
    return arg;
}

static void *
load(void *arg)
{
    while (!stop) {
        void *handle = dlopen("libm.so.6", RTLD_NOW);
        CHECK(handle == NULL || dlsym(handle, "cos") != NULL);
        CHECK(dlsym(RTLD_DEFAULT, "no such symbol") == NULL && dlerror() != NULL);
        if (handle != NULL) {
            dlclose(handle);
        }
    }
    return arg;
}

static void *
churn(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    while (!stop) {
        free(hide(malloc(rnd_below(&state, 1 << 20))));
        Dl_info info;
        CHECK(dladdr((void *)churn, &info) != 0);
    }
    return arg;
}

int
main(void)
{
    static void *(*const work[])(void *) = {iterate, load, churn, iterate, load, churn};
    pthread_t t[6];
    alarm(30);
    for (size_t i = 0; i < 6; i++) {
        CHECK(pthread_create(&t[i], NULL, work[i], (void *)i) == 0);
    }
    sleep_ms(1000);
    stop = 1;
    for (size_t i = 0; i < 6; i++) {
        pthread_join(t[i], NULL);
    }
    return 0;
}
