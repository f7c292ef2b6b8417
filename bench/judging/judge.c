/* SPDX-License-Identifier: MIT */
/*
 * judge.c - what forecasters and policies of free memory are worth on a series of levels.
 *
 *   judge SERIES [break_even=MS] [keeper=PERCENT] [reaction=MS]
 *
 * SERIES is what `tide trace --series=1 --output=SERIES TRACE` writes. Prints a line for each
 * forecaster, horizon and sample period (forecasts.h), and one for each policy (policies.h) and the
 * oracle (pool.h): words with tabs between them, for bench/harness/judging.py.
 *
 * Prices (bench/README.md), in ns a page: 1,600 for a fault of the program, 1,200 to populate and
 * 240 to give back. The latter two the keeper does, whose time counts `keeper` percent; to wake it
 * is taken for 5,000. To keep a page for `break_even` costs as much as to give it back and to fault
 * it in again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/micro/bench.h"
#include "forecasts.h"
#include "policies.h"

enum { FAULT_NS = 1600, POPULATE_NS = 1200, RETURN_NS = 240, LOOK_NS = 5000, ROWS_MAX = 10000000 };

static uint64_t break_even_ms = 1000, keeper_percent = 50, reaction_ms = 1;
static const struct bench_param params[] = {
    {"break_even", &break_even_ms, 1, 1000000, "ms that keeping a page costs what faulting does",
     NULL},
    {"keeper", &keeper_percent, 0, 100, "percent that the keeper's time counts", NULL},
    {"reaction", &reaction_ms, 1, 1000, "ms from running low to pages being there", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};
static const struct {
    uint32_t step_ms, horizon;
} horizons[] = {{10, 1}, {10, 4}, {10, 10}, {10, 32}, {10, 100}, {100, 1}, {100, 4}, {100, 10}};

/* ---- The series ------------------------------------------------------------------------------ */

static uint64_t *levels; /* bytes, a millisecond each */
static size_t count;

static void
read_series(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[256];
    uint64_t ms, high;

    if (file == NULL) {
        bench_fail("%s: %s", path, strerror(errno));
    }
    levels = malloc(ROWS_MAX * sizeof *levels); /* touched only as far as it is needed */
    if (levels == NULL || fgets(line, sizeof line, file) == NULL ||
        strncmp(line, "time_ms,high_bytes,", 19) != 0) {
        bench_fail("%s: not a series: make it by `tide trace --series=1 --output=SERIES TRACE`",
                   path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%" SCNu64 ",%" SCNu64, &ms, &high) != 2 || ms != count) {
            bench_fail("%s, line %zu: not millisecond %zu of a series (--series=1)", path,
                       count + 2, count);
        }
        if (count == ROWS_MAX) {
            bench_fail("%s: more than %d milliseconds", path, ROWS_MAX);
        }
        levels[count++] = high;
    }
    if (ferror(file) || count == 0) {
        bench_fail("%s: no rows", path);
    }
    fclose(file);
}

static uint64_t
highest(void)
{
    uint64_t most = 0;

    for (size_t i = 0; i < count; i++) {
        most = levels[i] > most ? levels[i] : most;
    }
    return most;
}

/* ---- Verdicts -------------------------------------------------------------------------------- */

static void
judge_forecasts(void)
{
    for (size_t i = 0; i < sizeof horizons / sizeof horizons[0]; i++) {
        struct forecasts_scores scores;

        forecasts_judge(levels, count, horizons[i].step_ms, horizons[i].horizon, &scores);
        for (unsigned column = 0; column < FORECASTS_COLUMNS; column++) {
            printf("forecast\t%u\t%u\t%s\t%s\t%" PRIu64 "\t%.9g\t%.6f\n", horizons[i].step_ms,
                   horizons[i].horizon, forecasts_name(column), forecasts_mode(column),
                   scores.asked, scores.loss[column], scores.coverage[column]);
        }
    }
}

static void
judge_policies(void)
{
    double keeper = (double)keeper_percent / 100;
    struct pool_prices prices = {
        .fault_ns = FAULT_NS,
        .ready_ns = POPULATE_NS * keeper,
        .return_ns = RETURN_NS * keeper,
        .keep_ns = (FAULT_NS + RETURN_NS * keeper) / (double)break_even_ms,
        .look_ns = LOOK_NS * keeper,
    };

    for (size_t i = 0; i < count; i++) {
        levels[i] = (levels[i] + BENCH_OS_PAGE - 1) / BENCH_OS_PAGE;
    }
    printf("oracle\t%.0f\n", oracle_cost_ns(levels, count, &prices));
    for (size_t i = 0; i < policy_count; i++) {
        struct pool_counts c = policy_run(&policies[i], levels, count, (uint32_t)reaction_ms);

        printf("policy\t%s\t%s\t%.0f\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
               "\t%" PRIu64 "\n",
               policies[i].name, policies[i].about, pool_cost_ns(&c, &prices), c.faults, c.readied,
               c.wasted, c.returned, c.kept, c.looks);
    }
}

int
main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "";

    if (argc < 2 || strchr(path, '=') != NULL) {
        bench_fail("judge SERIES [break_even=MS] [keeper=PERCENT] [reaction=MS]");
    }
    argv[1] = argv[0];
    bench_parse(argc - 1, argv + 1, "what forecasters and policies are worth on a series", params);
    read_series(path);
    printf("series\t%zu\t%" PRIu64 "\n", count, highest());
    judge_forecasts();
    judge_policies();
    return 0;
}
