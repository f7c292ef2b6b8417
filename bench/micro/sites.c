/* SPDX-License-Identifier: MIT */
/*
 * sites.c - 10,000 call sites of malloc, each an instruction of its own: what does a profile that
 * knows them all hold in memory?
 *
 * The sites lie in ten functions, reached through `frames` calls. Each site allocates and frees a
 * block `visits` times; with keep=1 it keeps one more. Blocks are not touched. Prints VmRSS at the
 * end (rss_kib); less that of the same run without a profile, it is the profile's own.
 */
#include "bench.h"

enum { FUNCTIONS = 10, SITES = 10000 };

static uint64_t size = 16384;
static uint64_t visits = 3;
static uint64_t frames = 20;
static uint64_t keep;
static uint64_t reached;
static void **kept; /* NULL: blocks are freed at once */

static __attribute__((noinline)) void
take(void *block)
{
    if (block == NULL) {
        bench_fail("malloc(%llu) failed", (unsigned long long)size);
    }
    if (kept != NULL) {
        kept[reached] = block;
    } else {
        free(block);
    }
    reached++;
}

#define SITE take(malloc(size));
#define TEN(x) x x x x x x x x x x
#define FUNCTION(name)                                                                             \
    static __attribute__((noinline)) void name(void)                                               \
    {                                                                                              \
        TEN(TEN(TEN(SITE)))                                                                        \
    }

FUNCTION(thousand_0)
FUNCTION(thousand_1)
FUNCTION(thousand_2)
FUNCTION(thousand_3)
FUNCTION(thousand_4)
FUNCTION(thousand_5)
FUNCTION(thousand_6)
FUNCTION(thousand_7)
FUNCTION(thousand_8)
FUNCTION(thousand_9)

static void (*const functions[FUNCTIONS])(void) = {
    thousand_0, thousand_1, thousand_2, thousand_3, thousand_4,
    thousand_5, thousand_6, thousand_7, thousand_8, thousand_9,
};

static __attribute__((noinline)) void
descend(uint64_t depth, unsigned function)
{
    if (depth == 0) {
        functions[function]();
    } else {
        descend(depth - 1, function);
    }
    bench_escape(&depth); /* no tail call: the frame stays */
}

static void
visit_all(void)
{
    reached = 0;
    for (unsigned function = 0; function < FUNCTIONS; function++) {
        descend(frames, function);
    }
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"size", &size, 1, 1u << 30, "bytes per block", NULL},
        {"visits", &visits, 0, UINT32_MAX, "blocks each site allocates and frees", NULL},
        {"frames", &frames, 0, 1000, "calls above the sites' functions", NULL},
        {"keep", &keep, 0, 1, "whether each site keeps one more", NULL},
        {0},
    };
    uint64_t started;

    bench_parse(argc, argv, "10,000 call sites of malloc", params);
    started = bench_now_ns();
    for (uint64_t visit = 0; visit < visits + keep; visit++) { /* one loop: the same stacks */
        kept = visit == visits ? bench_pages(SITES * sizeof(*kept)) : NULL;
        visit_all();
    }
    bench_report(SITES, (visits + keep) * SITES, bench_now_ns() - started);
    bench_report_value("rss_kib", bench_status_kib("VmRSS"));
    return 0;
}
