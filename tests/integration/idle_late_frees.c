/* SPDX-License-Identifier: MIT */
/*
 * A process that frees now and then, long after its last allocation, gives that back as well: three
 * of four blocks, a rest in which the keeper cools what they left and sleeps, then all but one in
 * twenty. Nothing is allocated meanwhile that could wake it.
 * only: tide
 * args: 512 4000 | 1000 4000
 */
#include "check.h"

enum { BYTES = 100 << 20 };

static unsigned char **p;
static size_t count, size;

/* The blocks from number `from` on, in an order that has nothing to do with where they lie. */
static void
free_some(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        CHECK_PATTERN(p[i], size, 1);
        free(p[i]);
    }
}

int
main(int argc, char **argv)
{
    unsigned rest_ms = argc > 2 ? (unsigned)atoi(argv[2]) : 4000;
    uint64_t state = 7;
    size_t peak, between, idle, live;

    size = argc > 1 ? (size_t)atoi(argv[1]) : 512;
    count = BYTES / size;
    live = count / 20;
    p = malloc(count * sizeof *p);
    CHECK(p != NULL);
    for (size_t i = 0; i < count; i++) {
        size_t j = rnd_below(&state, i + 1);

        p[i] = p[j];
        p[j] = malloc(size);
        CHECK(p[j] != NULL);
        pattern_fill(p[j], size, 1);
    }
    peak = peak_rss_kib();
    free_some(0, count / 4 * 3);
    sleep_ms(rest_ms);
    between = rss_kib();
    free_some(count / 4 * 3, count - live);
    sleep_ms(4000);
    idle = rss_kib();
    fprintf(stderr, "peak %zu KiB, between %zu, idle %zu, %zu live\n", peak, between, idle, live);
    /* Blocks far apart hold an os page each, or two. */
    CHECK(idle <= ((count * sizeof *p) >> 10) + live * (4096 + size) / 1024 * 5 / 4 + 8192,
          "peak %zu KiB, between %zu, idle %zu, %zu live", peak, between, idle, live);
    free_some(count - live, count);
    free(p);
    return 0;
}
