/* SPDX-License-Identifier: MIT */
/*
 * regrow.c - blocks that grow by realloc.
 *
 * mode=strings   string builders: many strings, each append reallocates to the exact new length;
 *                a string that is long enough is freed and begins again.
 * mode=vectors   vectors of 8-byte elements, capacity doubled when full, cut to fit at the end.
 * mode=buffers   few large buffers that grow by a quarter up to max, every new os page touched.
 * Blocks grow by turns, so that the room behind a block is often taken. Contents are verified when
 * a block is freed.
 */
#include "bench.h"

#include <string.h>

enum mode { MODE_STRINGS, MODE_VECTORS, MODE_BUFFERS };
enum { MAX_PIECE = 48, FIRST_CAPACITY = 2, FIRST_BUFFER = 65536 };

struct item {
    char *bytes;
    uint64_t used;     /* bytes, or elements of a vector */
    uint64_t capacity; /* elements; vectors only */
    uint64_t limit;    /* where it is long enough */
};

static uint64_t threads = 1;
static uint64_t items = 1000;
static uint64_t ops = 3000000;
static uint64_t max_size = 4096;
static uint64_t mode = MODE_STRINGS;
static uint64_t sums[BENCH_MAX_THREADS];

static void *
regrow(void *block, size_t size)
{
    void *grown = realloc(block, size);

    if (grown == NULL) {
        bench_fail("realloc(%zu) failed", size);
    }
    return grown;
}

static void
begin(struct item *item, struct bench_random *random)
{
    *item = (struct item){.limit = bench_random_size(random, 64, max_size)};
}

static uint64_t
finish_string(struct item *item)
{
    uint64_t sum = item->used;

    for (uint64_t at = 0; at < item->used; at += 61) {
        if (item->bytes[at] != (char)('a' + at % 23)) {
            bench_fail("a string lost its contents at %llu", (unsigned long long)at);
        }
    }
    free(item->bytes);
    return sum;
}

static uint64_t
append_piece(struct item *item, struct bench_random *random)
{
    uint64_t piece = 1 + bench_random_below(random, MAX_PIECE);
    uint64_t sum = 0;

    item->bytes = regrow(item->bytes, item->used + piece + 1);
    for (uint64_t at = item->used; at < item->used + piece; at++) {
        item->bytes[at] = (char)('a' + at % 23);
    }
    item->used += piece;
    item->bytes[item->used] = '\0';
    if (item->used >= item->limit) {
        sum = finish_string(item);
        begin(item, random);
    }
    return sum;
}

static uint64_t
finish_vector(struct item *item)
{
    uint64_t *elements = regrow(item->bytes, item->used * sizeof(uint64_t));
    uint64_t sum = 0;

    for (uint64_t at = 0; at < item->used; at++) {
        sum += elements[at];
    }
    if (sum != item->used * (item->used - 1) / 2) {
        bench_fail("a vector lost its contents");
    }
    free(elements);
    return sum;
}

static uint64_t
append_element(struct item *item, struct bench_random *random)
{
    uint64_t sum = 0;

    if (item->used == item->capacity) {
        item->capacity = item->capacity == 0 ? FIRST_CAPACITY : item->capacity * 2;
        item->bytes = regrow(item->bytes, item->capacity * sizeof(uint64_t));
    }
    ((uint64_t *)(void *)item->bytes)[item->used] = item->used;
    item->used++;
    if (item->used * sizeof(uint64_t) >= item->limit) {
        sum = finish_vector(item);
        begin(item, random);
    }
    return sum;
}

static uint64_t
finish_buffer(struct item *item)
{
    uint64_t sum = 0;

    for (uint64_t at = 0; at < item->used; at += BENCH_OS_PAGE) {
        uint64_t word;

        memcpy(&word, item->bytes + at, sizeof(word));
        if (word != at) {
            bench_fail("a buffer lost its contents at %llu", (unsigned long long)at);
        }
        sum += word;
    }
    free(item->bytes);
    return sum;
}

/* Every page has its own offset in its first word, so a page moved wrongly is noticed. */
static uint64_t
grow_buffer(struct item *item)
{
    uint64_t size = item->used == 0 ? FIRST_BUFFER : item->used + item->used / 4;
    uint64_t from = (item->used + BENCH_OS_PAGE - 1) / BENCH_OS_PAGE * BENCH_OS_PAGE;
    uint64_t sum = 0;

    size = size / BENCH_OS_PAGE * BENCH_OS_PAGE;
    item->bytes = regrow(item->bytes, size);
    for (uint64_t at = from; at < size; at += BENCH_OS_PAGE) {
        memcpy(item->bytes + at, &at, sizeof(at));
    }
    item->used = size;
    if (item->used >= max_size) {
        sum = finish_buffer(item);
        *item = (struct item){0};
    }
    return sum;
}

static uint64_t
step(struct item *item, struct bench_random *random)
{
    switch (mode) {
    case MODE_STRINGS:
        return append_piece(item, random);
    case MODE_VECTORS:
        return append_element(item, random);
    default:
        return grow_buffer(item);
    }
}

static uint64_t
finish(struct item *item)
{
    if (item->used == 0) {
        return 0;
    }
    switch (mode) {
    case MODE_STRINGS:
        return finish_string(item);
    case MODE_VECTORS:
        return finish_vector(item);
    default:
        return finish_buffer(item);
    }
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    struct item *all = bench_pages(items * sizeof(*all));
    uint64_t sum = 0;

    (void)context;
    for (uint64_t at = 0; at < items && mode != MODE_BUFFERS; at++) {
        begin(&all[at], &random);
    }
    for (uint64_t op = 0; op < ops; op++) {
        sum += step(&all[bench_random_below(&random, items)], &random);
    }
    for (uint64_t at = 0; at < items; at++) {
        sum += finish(&all[at]);
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its own blocks", NULL},
        {"items", &items, 1, 1u << 26, "blocks growing by turns", NULL},
        {"ops", &ops, 1, UINT32_MAX, "appends per thread", NULL},
        {"max", &max_size, 128, 1u << 30, "bytes at which a block is long enough", NULL},
        {"mode", &mode, 0, 0, "what grows", "strings,vectors,buffers"},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "blocks that grow by realloc", params);
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at];
    }
    bench_report(sum, ops * threads, busy_ns);
    return 0;
}
