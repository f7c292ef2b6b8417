/* SPDX-License-Identifier: MIT */
/*
 * pair_loop.c - the barest malloc and free loop, for counting instructions under callgrind.
 *
 * The harness runs it with two loop counts; the difference, less that of mode=empty, is what one
 * pair costs, calls through the PLT included. `live` blocks of the size are held meanwhile: with
 * none, some allocators find a page wholly free after each free and take a longer way.
 * Nothing is verified here: pairs.c does that.
 */
#include "bench.h"

static uint64_t size = 64;
static uint64_t ops = 100000;
static uint64_t live = 16;
static uint64_t mode;

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"size", &size, 1, 1u << 30, "bytes per block", NULL},
        {"ops", &ops, 1, UINT32_MAX, "pairs", NULL},
        {"live", &live, 0, 1u << 20, "blocks held meanwhile", NULL},
        {"mode", &mode, 0, 1, "what the loop does", "pair,empty"},
        {0},
    };

    bench_parse(argc, argv, "the barest malloc and free loop", params);
    for (uint64_t at = 0; at < live; at++) {
        bench_escape(bench_malloc(size));
    }
    if (mode == 1) {
        for (uint64_t op = 0; op < ops; op++) {
            bench_escape(&size);
        }
        return 0;
    }
    for (uint64_t op = 0; op < ops; op++) {
        void *block = malloc(size);

        bench_escape(block);
        free(block);
    }
    return 0;
}
