/* SPDX-License-Identifier: MIT */
/*
 * Four threads load and unload copies of a shared object and use its thread-local data meanwhile;
 * memory stays bounded. Argument: the object.
 */
#include "../plugin.h"
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

static const char *path;

static void *
load_and_unload(void *arg)
{
    for (int i = 0; i < 150; i++) {
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(handle != NULL, "%s", dlerror());
        plugin_entry *entry = (plugin_entry *)dlsym(handle, "plugin");
        CHECK(entry != NULL, "%s", dlerror());
        char *text = entry()->duplicate("text of the plugin");
        CHECK(strcmp(text, "text of the plugin") == 0);
        void *block = entry()->own_malloc(1000);
        CHECK(dlclose(handle) == 0);
        CHECK(dlopen("/nonexistent/plugin.so", RTLD_NOW) == NULL && dlerror() != NULL);
        free(text);
        free(block);
    }
    return arg;
}

int
main(int argc, char **argv)
{
    CHECK(argc == 2);
    path = argv[1];
    load_and_unload(NULL);
    size_t before = rss_kib();
    pthread_t t[4];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            CHECK(pthread_create(&t[i], NULL, load_and_unload, NULL) == 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
        }
    }
    CHECK(rss_kib() < before + 4000, "%zu KiB before, %zu after", before, rss_kib());
    return 0;
}
