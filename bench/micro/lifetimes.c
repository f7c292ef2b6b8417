/* SPDX-License-Identifier: MIT */
/*
 * lifetimes.c - a server whose blocks live for very different times, and what is left of it.
 *
 * Requests live until another one takes their place among those under way, cache entries until
 * they are the oldest of a full cache, sessions until their user leaves. All are made by turns, of
 * the same sizes (24 bytes to 4 KiB) and through the same helpers, so that neighbours in memory
 * have nothing in common but when they were made. Then the load goes: no request is under way,
 * the cache has expired, and only `keep` of a hundred sessions stay, drawn at random. The process
 * does nothing for idle_ms and says what it holds: at the peak, right after, and idle. Blocks are
 * filled with what is not zero, and looked at when they are freed.
 *
 * base_kib is before the first block, with the program's own arrays in it: what is beyond is the
 * allocator's answer. beyond_permille is that to the live bytes, when idle.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <string.h>
#include <time.h>

enum { HEADERS = 6, ITEMS = 4, GROUP_MAX = HEADERS + 3 };

/* Blocks that live as long as each other. */
struct group {
    unsigned char *blocks[GROUP_MAX];
    uint16_t sizes[GROUP_MAX];
    uint16_t count;
};

struct worker {
    struct bench_random random;
    struct group *sessions, *entries, *requests;
    uint64_t session_count, entry_count, entry_next;
    uint64_t live_bytes, operations, sum, busy_ns;
};

static uint64_t threads = 1;
static uint64_t sessions = 40000;
static uint64_t entries = 12000;
static uint64_t requests = 4000;
static uint64_t visits = 4;
static uint64_t keep = 10;
static uint64_t idle_ms = 2000;

static struct worker workers[BENCH_MAX_THREADS];
static pthread_barrier_t phase;
static uint64_t base_kib;

/* ---- Helpers that everybody allocates through ------------------------------------------------ */

static __attribute__((noinline)) void
put(struct worker *w, struct group *g, unsigned char *block, size_t size)
{
    memset(block, (int)(size % 255 + 1), size);
    g->blocks[g->count] = block;
    g->sizes[g->count++] = (uint16_t)size;
    w->live_bytes += size;
    w->operations++;
}

static __attribute__((noinline)) void
copy_text(struct worker *w, struct group *g, size_t min, size_t max)
{
    size_t size = min + bench_random_below(&w->random, (uint32_t)(max - min + 1));

    put(w, g, bench_malloc(size), size);
}

static __attribute__((noinline)) void
make_buffer(struct worker *w, struct group *g, size_t min, size_t max)
{
    size_t size = bench_random_size(&w->random, min, max);

    put(w, g, bench_malloc(size), size);
}

static void
drop(struct worker *w, struct group *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        const unsigned char *block = g->blocks[i];
        unsigned char fill = (unsigned char)(g->sizes[i] % 255 + 1);

        if (block[0] != fill || block[g->sizes[i] - 1] != fill) {
            bench_fail("a block of %u bytes lost its contents", g->sizes[i]);
        }
        w->sum += g->sizes[i];
        w->live_bytes -= g->sizes[i];
        w->operations++;
        free(g->blocks[i]);
    }
    g->count = 0;
}

/* ---- Who allocates --------------------------------------------------------------------------- */

static __attribute__((noinline)) void
log_on(struct worker *w)
{
    struct group *g = &w->sessions[w->session_count++];

    put(w, g, bench_malloc(320), 320);
    copy_text(w, g, 24, 64);
    copy_text(w, g, 64, 96);
    for (unsigned i = 0; i < ITEMS; i++) {
        put(w, g, bench_malloc(48), 48);
    }
    make_buffer(w, g, 256, 4096);
}

static __attribute__((noinline)) void
remember(struct worker *w)
{
    struct group *g = &w->entries[w->entry_next];
    char key[64]; /* another frame than its neighbours' */

    bench_escape(key);
    drop(w, g);
    put(w, g, bench_malloc(96), 96);
    copy_text(w, g, 32, 96);
    make_buffer(w, g, 128, 4096);
    w->entry_next = (w->entry_next + 1) % w->entry_count;
}

static __attribute__((noinline)) void
serve(struct worker *w, struct group *g)
{
    char line[256];

    bench_escape(line);
    drop(w, g);
    put(w, g, bench_malloc(384), 384);
    for (unsigned i = 0; i < HEADERS; i++) {
        copy_text(w, g, 24, 120);
    }
    make_buffer(w, g, 256, 4096);
    make_buffer(w, g, 512, 4096);
}

static void
work(struct worker *w, uint64_t session_max)
{
    uint64_t request_max = requests / threads;
    uint64_t turns = w->entry_count * 2 + session_max * visits;

    for (uint64_t turn = 0; turn < turns; turn++) {
        serve(w, &w->requests[turn < request_max
                                  ? turn
                                  : bench_random_below(&w->random, (uint32_t)request_max)]);
        if (turn % 2 == 0) {
            remember(w);
        }
        if (turn >= w->entry_count * 2 && turn % visits == 0 && w->session_count < session_max) {
            log_on(w);
        }
    }
    while (w->session_count < session_max) {
        log_on(w);
    }
}

/* The order of leaving has nothing to do with that of coming, nor with addresses. */
static void
leave(struct worker *w)
{
    uint64_t stay = w->session_count * keep / 100;

    for (uint64_t i = 0; i < requests / threads; i++) {
        drop(w, &w->requests[i]);
    }
    for (uint64_t i = 0; i < w->entry_count; i++) {
        drop(w, &w->entries[i]);
    }
    while (w->session_count > stay) {
        uint64_t at = bench_random_below(&w->random, (uint32_t)w->session_count);

        drop(w, &w->sessions[at]);
        w->sessions[at] = w->sessions[--w->session_count];
    }
}

/* ---- Figures --------------------------------------------------------------------------------- */

static uint64_t
sum_live(void)
{
    uint64_t live = 0;

    for (unsigned i = 0; i < threads; i++) {
        live += workers[i].live_bytes;
    }
    return live;
}

/* All threads are at rest; one of them looks. */
static void
look(unsigned index, const char *live_name, const char *resident_name, bool is_last)
{
    pthread_barrier_wait(&phase);
    if (index == 0) {
        uint64_t live = sum_live(), kib = bench_status_kib("VmRSS:");
        uint64_t own = kib > base_kib ? kib - base_kib : 0;

        bench_report_value(live_name, live >> 10);
        bench_report_value(resident_name, kib);
        if (is_last && live > 0) {
            bench_report_value("beyond_permille", own * 1024000 / live);
        }
    }
    pthread_barrier_wait(&phase);
}

static void
run(unsigned index, void *context)
{
    struct worker *w = &workers[index];
    uint64_t started = bench_now_ns();

    (void)context;
    work(w, sessions / threads);
    w->busy_ns = bench_now_ns() - started;
    look(index, "live_peak_kib", "rss_peak_kib", false);
    started = bench_now_ns();
    leave(w);
    w->busy_ns += bench_now_ns() - started;
    look(index, "live_end_kib", "rss_freed_kib", false);
    if (index == 0) {
        struct timespec left = {.tv_sec = (time_t)(idle_ms / 1000),
                                .tv_nsec = (long)(idle_ms % 1000) * 1000000};

        while (nanosleep(&left, &left) != 0) {
        }
    }
    look(index, "live_idle_kib", "rss_idle_kib", true);
    for (uint64_t i = 0; i < w->session_count; i++) {
        drop(w, &w->sessions[i]);
    }
}

static struct group *
groups(uint64_t count)
{
    struct group *g = bench_pages(count * sizeof *g);

    memset(g, 0xff, count * sizeof *g); /* resident before base_kib is looked at */
    for (uint64_t i = 0; i < count; i++) {
        g[i].count = 0;
    }
    return g;
}

static const struct bench_param params[] = {
    {"threads", &threads, 1, BENCH_MAX_THREADS, "threads, each with its share", NULL},
    {"sessions", &sessions, 0, 1u << 26, "users at the peak", NULL},
    {"entries", &entries, 64, 1u << 26, "in the cache", NULL},
    {"requests", &requests, 64, 1u << 26, "under way", NULL},
    {"visits", &visits, 1, 1000, "requests for each user that comes", NULL},
    {"keep", &keep, 0, 100, "users of a hundred that stay", NULL},
    {"idle_ms", &idle_ms, 0, 600000, "how long to do nothing", NULL},
    {0},
};

int
main(int argc, char **argv)
{
    uint64_t sum = 0, operations = 0, busy = 0;

    bench_parse(argc, argv, "a server with sessions, a cache and requests, then little load",
                params);
    pthread_barrier_init(&phase, NULL, (unsigned)threads);
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.random = bench_random_seed(i + 1),
                                     .sessions = groups(sessions / threads + 1),
                                     .entries = groups(entries / threads),
                                     .requests = groups(requests / threads),
                                     .entry_count = entries / threads};
    }
    base_kib = bench_status_kib("VmRSS:");
    bench_report_value("base_kib", base_kib);
    bench_run_threads((unsigned)threads, run, NULL);
    for (unsigned i = 0; i < threads; i++) {
        sum += workers[i].sum;
        operations += workers[i].operations;
        busy = workers[i].busy_ns > busy ? workers[i].busy_ns : busy;
    }
    bench_report(sum, operations, busy);
    return 0;
}
