/* SPDX-License-Identifier: MIT */
/*
 * Functions of the C library which allocate for their caller call our malloc, and their answers
 * can be freed, measured and resized here.
 */
#include "check.h"
#include <dirent.h>
#include <limits.h>
#include <locale.h>
#include <malloc.h>
#include <wchar.h>

static void
release(void *p)
{
    CHECK(p != NULL);
    CHECK(malloc_usable_size(p) > 0);
    p = hide(realloc(p, 5000));
    CHECK(p != NULL);
    free(p);
}

int
main(void)
{
    release(strdup("a word"));
    release(strndup("some words", 4));
    release(wcsdup(L"wide"));
    char *text = NULL;
    CHECK(asprintf(&text, "%d %s %f", 42, "text", 1.5) > 0);
    release(text);

    char *memory = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&memory, &size);
    CHECK(f != NULL);
    for (int i = 0; i < 20000; i++) {
        fprintf(f, "line %d\n", i);
    }
    fclose(f);
    CHECK(size > 100000 && memory != NULL);
    f = fmemopen(memory, size, "r");
    char *line = NULL;
    size_t capacity = 0;
    int lines = 0;
    while (getline(&line, &capacity, f) > 0) {
        lines++;
    }
    CHECK(lines == 20000);
    fclose(f);
    release(line);
    release(memory);

    release(getcwd(NULL, 0));
    release(realpath("/usr/../usr", NULL));
    struct dirent **names = NULL;
    int n = scandir("/usr", &names, NULL, alphasort);
    CHECK(n > 2);
    for (int i = 0; i < n; i++) {
        release(names[i]);
    }
    release(names);

    void *p = reallocarray(NULL, 100, 50);
    CHECK(p != NULL);
    errno = 0;
    CHECK(reallocarray(p, hide_size(SIZE_MAX / 2), 3) == NULL && errno == ENOMEM);
    release(p);

    locale_t l = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (l != (locale_t)0) {
        freelocale(l);
    }
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "VARIABLE_%d", i);
        CHECK(setenv(name, "value", 1) == 0);
        CHECK(unsetenv(name) == 0);
    }
    FILE *many[64];
    for (int i = 0; i < 64; i++) {
        CHECK((many[i] = fopen("/dev/null", "w")) != NULL);
        fputs("text", many[i]);
    }
    for (int i = 0; i < 64; i++) {
        fclose(many[i]);
    }
    return 0;
}
