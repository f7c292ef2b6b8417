/* SPDX-License-Identifier: MIT */
/*
 * The interface of the shared object that dlopen_loop.c and deepbind.c load. It is built from
 * plugin.inc by dlopen.sh; with deepbind:false malloc and free of a deep-bound copy are the
 * C library's own.
 */
#ifndef TIDE_TESTS_PLUGIN_H
#define TIDE_TESTS_PLUGIN_H

#include <stddef.h>

struct plugin {
    void *(*own_malloc)(size_t);
    void *(*own_calloc)(size_t, size_t);
    void *(*own_realloc)(void *, size_t);
    int (*own_memalign)(void **, size_t, size_t);
    void (*own_free)(void *);
    char *(*duplicate)(const char *);
    char *(*print)(int);
};

typedef const struct plugin *plugin_entry(void);

#endif
