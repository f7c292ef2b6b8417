/* SPDX-License-Identifier: MIT */
/*
 * mlockall(MCL_CURRENT | MCL_FUTURE) populates everything that is readable: address space which is
 * only reserved may not become memory, and allocation goes on. What is locked stays so, whatever is
 * done with free pages.
 * needs: root
 */
#include "check.h"
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>

/* Is the mapping of the block locked? */
static bool
is_locked(const void *p)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[1024];
    bool here = false;
    bool locked = false;

    CHECK(smaps != NULL, "no smaps");
    while (fgets(line, sizeof line, smaps) != NULL) {
        unsigned long start;
        unsigned long end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            here = (uintptr_t)p >= start && (uintptr_t)p < end;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            locked = strstr(line, " lo") != NULL;
        }
    }
    fclose(smaps);
    return locked;
}

/* Large blocks that take the place of others, smaller and larger, and grow. */
static void
check_that_blocks_stay_locked(void)
{
    enum { BEFORE = 400, AFTER = 40 };
    static char *before[BEFORE];

    for (size_t i = 0; i < BEFORE; i++) {
        before[i] = hide(malloc(100000 + i * 997));
        memset(before[i], 1, 100000);
    }
    for (size_t i = 0; i < BEFORE; i++) {
        if (i % 4 != 0) {
            free(before[i]);
            before[i] = NULL;
        }
    }
    for (size_t i = 0; i < AFTER; i++) {
        char *p = hide(malloc(400000 + i * 5000));

        memset(p, 2, 400000);
        CHECK(is_locked(p), "block %zu", i);
        p = hide(realloc(p, 3000000 + i * 5000));
        memset(p, 3, 3000000);
        CHECK(is_locked(p), "block %zu, grown", i);
        for (size_t k = 0; k < BEFORE; k += 4) {
            CHECK(i % 10 != 0 || is_locked(before[k]), "block %zu of before, at %zu", k, i);
        }
        if (i % 2 == 0) {
            free(p);
        }
    }
}

int
main(void)
{
    free(hide(malloc(100)));
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        SKIP("mlockall: %s", strerror(errno));
    }
    CHECK(rss_kib() < 120 << 10, "%zu KiB", rss_kib());
    enum { COUNT = 10000 };
    static void *p[COUNT];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = hide(malloc(i % 5000));
            CHECK(p[i] != NULL);
            memset(p[i], 1, i % 5000);
        }
        for (size_t i = 0; i < COUNT; i++) {
            free(p[i]);
        }
        malloc_trim(0);
    }
    void *large = hide(malloc(100 << 20));
    CHECK(large != NULL);
    memset(large, 1, 100 << 20);
    free(large);
    CHECK(peak_rss_kib() < 500 << 10, "%zu KiB", peak_rss_kib());
    check_that_blocks_stay_locked();
    return 0;
}
