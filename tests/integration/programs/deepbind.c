/* SPDX-License-Identifier: MIT */
/*
 * A shared object loaded with RTLD_DEEPBIND.
 *
 *   deepbind OBJECT own   (deepbind:false) It allocates from the C library's own heap. Its blocks,
 *                         of every size and from any thread, can be freed, resized and measured
 *                         through us; what the C library allocates for it (strdup, asprintf) is
 *                         ours and is freed by us. Memory stays bounded.
 *   deepbind OBJECT led   It has our functions, and so has what else looks into the C library;
 *                         blocks cross both ways.
 */
#include "../plugin.h"
#include "check.h"
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>

static const struct plugin *deep;

static void
cross(size_t n)
{
    unsigned char *p = deep->own_malloc(n);
    CHECK(p != NULL);
    pattern_fill(p, n, n);
    CHECK(malloc_usable_size(p) >= n, "size %zu usable %zu", n, malloc_usable_size(p));
    p = realloc(p, n + 1000);
    CHECK(p != NULL);
    CHECK_PATTERN(p, n, n);
    memset(p, 1, n + 1000);
    free(p);

    p = deep->own_calloc(1, n);
    CHECK(p != NULL);
    pattern_fill(p, n, n);
    p = realloc(p, n / 2 + 1);
    CHECK(p != NULL);
    CHECK_PATTERN(p, n / 2 < n ? n / 2 : 0, n);
    free(p);

    void *aligned = NULL;
    CHECK(deep->own_memalign(&aligned, 4096, n) == 0);
    free(aligned);
    aligned = NULL;
    CHECK(deep->own_memalign(&aligned, 64, n) == 0);
    CHECK(realloc(aligned, 0) == NULL);

    p = deep->own_realloc(deep->own_malloc(n), 2 * n + 1);
    CHECK(p != NULL);
    errno = 33;
    free(p);
    CHECK(errno == 33);
    deep->own_free(deep->own_malloc(n));
}

static void *
cross_all(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    for (size_t n = 1; n < 2000; n++) {
        cross(n);
    }
    for (int i = 0; i < 300; i++) {
        cross(rnd_below(&state, 1 << 20));
    }
    for (int i = 0; i < 2000; i++) {
        char *text = deep->duplicate("text");
        CHECK(strcmp(text, "text") == 0);
        free(text);
        free(deep->print(i));
    }
    return NULL;
}

static void *
free_many(void *arg)
{
    void **p = arg;
    for (int i = 0; i < 1000; i++) {
        free(p[i]);
    }
    return NULL;
}

/* The table of names that was written to is what it was: to be read. */
static void
check_read_only(void *handle)
{
    struct link_map *map = handle;
    FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t symbols = 0, from, to;
    char line[512], access[8] = "";

    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        symbols = d->d_tag == DT_SYMTAB ? d->d_un.d_ptr : symbols;
    }
    CHECK(maps != NULL && symbols != 0);
    for (uintptr_t at = symbols; at < symbols + 60000; at += 4096) {
        rewind(maps);
        while (fgets(line, sizeof line, maps) != NULL) {
            if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3 && from <= at && at < to) {
                CHECK(access[1] == '-', "%s", line);
            }
        }
    }
    fclose(maps);
}

/* What the object got before it was bound, and what the C library still has by other names. */
static void
check_led(void)
{
    static const char *const names[] = {
        "malloc",   "free",          "calloc",         "realloc",
        "memalign", "aligned_alloc", "posix_memalign", "malloc_usable_size",
        "valloc",   "pvalloc",
    };
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *(*libc_valloc)(size_t) = (void *(*)(size_t))dlsym(libc, "__libc_valloc");
    void (*libc_cfree)(void *) = (void (*)(void *))dlvsym(libc, "cfree", "GLIBC_2.2.5");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK(dlsym(libc, names[i]) == dlsym(RTLD_DEFAULT, names[i]), "%s", names[i]);
    }
    CHECK((void *)deep->own_malloc == dlsym(libc, "malloc"));
    CHECK((void *)deep->own_free == dlsym(libc, "free"));
    check_read_only(libc);
    if (libc_cfree != NULL) {
        libc_cfree(deep->own_malloc(100));
    }
    for (size_t n = 1; n < 3000000; n = n * 3 / 2 + 1) {
        unsigned char *p = malloc(n);

        pattern_fill(p, n, n);
        p = deep->own_realloc(p, n + 100);
        CHECK(p != NULL);
        CHECK_PATTERN(p, n, n);
        deep->own_free(p);
    }
    CHECK(libc_valloc != NULL && libc_valloc != valloc);
    for (int i = 0; i < 100; i++) {
        deep->own_free(libc_valloc(5000));
    }
}

int
main(int argc, char **argv)
{
    CHECK(argc == 3);
    void *handle = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND | RTLD_LOCAL);
    CHECK(handle != NULL, "%s", dlerror());
    plugin_entry *entry = (plugin_entry *)dlsym(handle, "plugin");
    CHECK(entry != NULL);
    deep = entry();
    cross_all(NULL);
    if (strcmp(argv[2], "led") == 0) {
        check_led();
    } else {
        CHECK((void *)deep->own_malloc != dlsym(RTLD_DEFAULT, "malloc"), "not bound deeply");
    }
    size_t before = rss_kib();
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++) {
        CHECK(pthread_create(&t[i], NULL, cross_all, (void *)i) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    static void *p[1000];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 1000; i++) {
            p[i] = deep->own_malloc(1 + (size_t)i * 40);
            CHECK(p[i] != NULL);
        }
        CHECK(pthread_create(&t[0], NULL, free_many, p) == 0);
        pthread_join(t[0], NULL);
    }
    CHECK(rss_kib() < before + 60000, "%zu KiB before, %zu after", before, rss_kib());
    return 0;
}
