/* SPDX-License-Identifier: MIT */
/*
 * Large blocks of which one byte is written cost an os page each and not a huge one, in a process
 * that is large enough for huge pages.
 * only: tide
 */
#include "check.h"
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 200, SMALL_BYTES = 64 << 20, SMALL = 4000, MOST_KIB = 8 << 10 };

static long
resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident;

    CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) >> 10);
}

int
main(void)
{
    static char *small[SMALL_BYTES / SMALL], *large[BLOCKS];
    long before, after;

    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        small[i] = malloc(SMALL);
        CHECK(small[i] != NULL);
        memset(small[i], 1, SMALL);
    }
    before = resident_kib();
    for (size_t i = 0; i < BLOCKS; i++) {
        large[i] = malloc(((size_t)2 << 20) + i * 100000);
        CHECK(large[i] != NULL);
        large[i][0] = 1;
    }
    after = resident_kib();
    printf("%d large blocks: %ld KiB\n", BLOCKS, after - before);
    CHECK(after - before <= MOST_KIB);
    for (size_t i = 0; i < BLOCKS; i++) {
        free(large[i]);
    }
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        free(small[i]);
    }
    return 0;
}
