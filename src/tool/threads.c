/* SPDX-License-Identifier: MIT */
/* See threads.h. */
#include "tool/threads.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "thread/"
#define FINE_NS 1000000000u /* the series of the last minute has shorter intervals than that */

struct parts {
    const char *name;
    size_t name_length;
    uint64_t tid;
    const char *figure;
};

/* A thread's name may have any byte but 0: the number and the figure are the last two parts. */
static bool
split(const char *text, struct parts *parts)
{
    const char *figure = strrchr(text, '/');
    const char *number = figure;
    char *end;

    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0) {
        return false;
    }
    text += strlen(PREFIX);
    if (figure < text) {
        return false;
    }
    while (number > text && number[-1] != '/') {
        number--;
    }
    if (number == text || number == figure) {
        return false;
    }
    parts->name = text;
    parts->name_length = (size_t)(number - 1 - text);
    parts->tid = strtoull(number, &end, 10);
    parts->figure = figure + 1;
    return end == figure;
}

static bool
is_of(const struct thread_summary *thread, const struct parts *parts)
{
    return thread->tid == parts->tid && strlen(thread->name) == parts->name_length &&
           memcmp(thread->name, parts->name, parts->name_length) == 0;
}

static double
mean(const struct profile_series *s)
{
    double sum = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        sum += (double)s->values[i];
    }
    return sum / (double)s->count;
}

static void
take(struct thread_summary *thread, const char *figure, const struct profile_series *s)
{
    if (strcmp(figure, "live_bytes") == 0) {
        thread->live_bytes = s->values[s->count - 1];
    } else if (strcmp(figure, "allocated_bytes_rate") == 0) {
        thread->allocated_bytes = mean(s);
    } else if (strcmp(figure, "allocations_rate") == 0) {
        thread->allocations = mean(s);
    } else if (strcmp(figure, "freed_bytes_rate") == 0) {
        thread->freed_bytes = mean(s);
    }
}

static int
compare(const void *a, const void *b)
{
    const struct thread_summary *x = a, *y = b;
    int order =
        (x->allocated_bytes < y->allocated_bytes) - (x->allocated_bytes > y->allocated_bytes);

    if (order == 0) {
        order = (x->live_bytes < y->live_bytes) - (x->live_bytes > y->live_bytes);
    }
    return order != 0 ? order : (x->tid > y->tid) - (x->tid < y->tid);
}

struct thread_summary *
threads_of(struct profile *p, size_t *count)
{
    struct thread_summary *threads = NULL;
    size_t room = 0;

    *count = 0;
    for (size_t i = 0; i < p->series_count; i++) {
        const struct profile_series *s = &p->series[i];
        struct parts parts;

        if (s->interval_ns >= FINE_NS || s->count == 0 || !split(s->name, &parts)) {
            continue;
        }
        /* Sorted by name: what is of one thread comes in a row. */
        if (*count == 0 || !is_of(&threads[*count - 1], &parts)) {
            threads = tool_grow(threads, *count, &room, sizeof *threads);
            threads[(*count)++] = (struct thread_summary){
                .name = tool_pool_text(&p->pool, parts.name, parts.name_length),
                .tid = parts.tid,
            };
        }
        take(&threads[*count - 1], parts.figure, s);
    }
    if (*count > 0) {
        qsort(threads, *count, sizeof *threads, compare);
    }
    return threads;
}
