/* SPDX-License-Identifier: MIT */
/*
 * replay.c - does what a recorded program asked of malloc, on whatever malloc it is run with.
 *
 *   replay FILE [touch=none|page|all] [check=0|1] [speed=N] [ahead=N] [sample=MS]
 *
 * FILE is a trace that `tide trace --prepare` made ready (src/trace/replay.h). There are as many
 * threads as the program had, started when they were; one that needs a block which another
 * allocates, or a place which another frees, waits for it. Besides that they run as fast as they
 * can (speed=0), though no more than some `ahead` operations of each other, or N times as fast as
 * the program did (speed=1: as it did).
 *
 * What replay needs itself comes from mmap before the clock starts, and operations are read by
 * 24 KiB at a time into the thread's stack, so what the process grows by is the allocator's. Only
 * pthread_create calls malloc beside the trace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/micro/bench.h"
#include "src/trace/replay.h"

enum { WINDOW = 1024, STACK_BYTES = 256 << 10, SPINS = 200, TOUCH_NONE = 0, TOUCH_PAGE, TOUCH_ALL };

struct place {
    void *block;
    _Atomic uint32_t turn;
};

/* Of the block at a place, with check=1. */
struct guard {
    uint64_t size;
    uint64_t tag;
};

struct counts {
    uint64_t by_code[REPLAY_CODES];
    uint64_t bytes;
    uint64_t untold; /* operations that `done` does not have yet */
};

static uint64_t touch = TOUCH_PAGE, check, speed, ahead = 1024, sample_ms = 2;
static const struct bench_param params[] = {
    {"touch", &touch, 0, 0, "what is written to: nothing, each os page, all", "none,page,all"},
    {"check", &check, 0, 1, "1: fill blocks with a pattern and look for it", NULL},
    {"speed", &speed, 0, 1000000, "so many times as fast as recorded; 0: at once", NULL},
    {"ahead", &ahead, 0, UINT32_MAX, "operations that a thread may be before the others; 0: any",
     NULL},
    {"sample", &sample_ms, 0, 10000, "milliseconds between two looks at RSS; 0: none", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};

static int file;
static struct replay_head head;
static struct replay_thread *threads;
static struct place *places;
static struct guard *guards;
static struct counts *counts; /* by thread */
static sem_t ended;
static _Atomic uint32_t ended_count;
static _Atomic uint64_t done; /* operations of all threads */
static uint64_t started_ns;

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void
fail_at(uint32_t place, const char *what)
{
    bench_fail("the block at place %u, %llu bytes: %s", place,
               (unsigned long long)guards[place].size, what);
}

/* What bench_touch wrote, as far as the block's first `size` bytes have it. */
static void
check_block(uint32_t at, size_t size)
{
    const char *bytes = places[at].block;
    uint64_t tag = guards[at].tag, word;
    size_t whole = guards[at].size;

    if (size < sizeof tag) {
        word = bench_tag(bytes, size);
        if (memcmp(&word, &tag, size) != 0) {
            fail_at(at, "its first bytes have changed");
        }
        return;
    }
    if (bench_tag(bytes, size) != tag) {
        fail_at(at, "its first word has changed");
    }
    for (size_t i = BENCH_OS_PAGE; i + sizeof tag <= size - 1; i += BENCH_OS_PAGE) {
        memcpy(&word, bytes + i, sizeof word);
        if (word != tag) {
            fail_at(at, "a word within it has changed");
        }
    }
    if (size == whole && size > sizeof tag && bytes[size - 1] != (char)tag) {
        fail_at(at, "its last byte has changed");
    }
}

static void
check_zeros(uint32_t at, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            fail_at(at, "calloc's block is not zeros");
        }
    }
}

static void
take_block(const struct replay_op *op, void *block, uint64_t tag)
{
    size_t size = op->size;

    if (block == NULL) {
        bench_fail("out of memory (%zu bytes asked for)", size);
    }
    places[op->place].block = block;
    if (size == 0) {
        return;
    }
    if (touch == TOUCH_ALL) {
        memset(block, (int)(tag & 0xff), size);
    }
    if (touch != TOUCH_NONE) {
        bench_touch(block, size, tag);
    }
    if (check) {
        guards[op->place] = (struct guard){size, tag};
        if (((uintptr_t)block & (((uintptr_t)1 << op->align_log2) - 1)) != 0) {
            fail_at(op->place, "it is not aligned");
        }
    }
}

static void
resize(const struct replay_op *op, uint64_t tag)
{
    void *block = places[op->place].block;
    size_t had = check ? guards[op->place].size : 0;
    size_t size = op->size > 0 ? op->size : 1; /* of nothing it would be a free */

    if (check && had > 0) {
        check_block(op->place, had);
    }
    block = realloc(block, size);
    if (check && block != NULL && had > 0) {
        places[op->place].block = block;
        check_block(op->place, had < size ? had : size);
    }
    take_block(op, block, tag);
    if (check && op->size == 0) {
        guards[op->place].size = 0;
    }
}

static void
do_op(const struct replay_op *op, uint64_t tag)
{
    void *block;

    switch (op->code) {
    case REPLAY_FREE:
        if (check && guards[op->place].size > 0) {
            check_block(op->place, guards[op->place].size);
            guards[op->place].size = 0;
        }
        free(places[op->place].block);
        return;
    case REPLAY_CALLOC:
        block = calloc(1, op->size);
        if (check && block != NULL) {
            check_zeros(op->place, block, op->size);
        }
        break;
    case REPLAY_ALIGNED:
        block = memalign((size_t)1 << op->align_log2, op->size);
        break;
    case REPLAY_REALLOC:
        resize(op, tag);
        return;
    default:
        block = malloc(op->size);
    }
    take_block(op, block, tag);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *run_thread(void *number);

static void
start_thread(uint32_t number)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, run_thread, (void *)(uintptr_t)number);
    if (error != 0) {
        bench_fail("thread %u cannot be started: %s", number, strerror(error));
    }
    pthread_attr_destroy(&attributes);
}

/* Before any waiting: others may wait for what this thread has done. */
static void
tell_done(struct counts *mine)
{
    atomic_fetch_add_explicit(&done, mine->untold, memory_order_relaxed);
    mine->untold = 0;
}

static void
rest(unsigned *spins)
{
    if (++*spins < SPINS) {
        bench_pause();
    } else {
        sched_yield();
    }
}

static void
wait_for_turn(const struct replay_op *op, struct counts *mine)
{
    unsigned spins = 0;

    while (atomic_load_explicit(&places[op->place].turn, memory_order_acquire) != op->turn) {
        if (spins == 0) {
            tell_done(mine);
        }
        rest(&spins);
    }
}

static void
keep_pace(uint64_t before, struct counts *mine)
{
    unsigned spins = 0;

    tell_done(mine);
    while (ahead > 0 && atomic_load_explicit(&done, memory_order_relaxed) + ahead < before) {
        rest(&spins);
    }
}

/* When as many have ended as then had: a program that joins threads never has more. */
static void
start_in_turn(const struct replay_op *op, struct counts *mine)
{
    unsigned spins = 0;

    tell_done(mine);
    while (atomic_load_explicit(&ended_count, memory_order_relaxed) < op->turn) {
        rest(&spins);
    }
    start_thread(op->place);
}

static void
wait_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    while (bench_now_ns() < ns &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static void
play(const struct replay_op *op, struct counts *mine, uint64_t tag)
{
    if (op->code == REPLAY_START) {
        start_in_turn(op, mine);
        return;
    }
    if (op->code == REPLAY_PACE) {
        keep_pace(op->size, mine);
        return;
    }
    if (op->flags & REPLAY_WAIT) {
        wait_for_turn(op, mine);
    }
    do_op(op, tag);
    mine->by_code[op->code]++;
    mine->bytes += op->size;
    mine->untold++;
    if (op->flags & REPLAY_TELL) {
        /* Acquired by wait_for_turn. Nobody else writes it now: turns follow each other. */
        atomic_fetch_add_explicit(&places[op->place].turn, 1, memory_order_release);
    }
}

/* The thread's next operations into its window; 0: there are no more. */
static size_t
read_window(const struct replay_thread *t, uint64_t from, struct replay_op *window)
{
    size_t count = t->count - from < WINDOW ? (size_t)(t->count - from) : WINDOW;
    size_t bytes = count * sizeof *window;

    if (pread(file, window, bytes, (off_t)(t->offset + from * sizeof *window)) != (ssize_t)bytes) {
        bench_fail("the file is cut off");
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t bound = window[i].code == REPLAY_START ? head.threads : head.places;

        if (window[i].code == 0 || window[i].code >= REPLAY_CODES || window[i].place >= bound ||
            window[i].align_log2 > 63) {
            bench_fail("the file is damaged");
        }
    }
    return count;
}

static void *
run_thread(void *number)
{
    uint32_t index = (uint32_t)(uintptr_t)number;
    const struct replay_thread *t = &threads[index];
    struct replay_op window[WINDOW];
    uint64_t due_us = 0, from = 0;
    size_t count;

    while ((count = read_window(t, from, window)) > 0) {
        for (size_t i = 0; i < count; i++) {
            due_us += window[i].wait_us;
            if (speed != 0) {
                wait_until(started_ns + due_us * 1000 / speed);
            }
            play(&window[i], &counts[index], ((uint64_t)index << 48 | (from + i)) * 2 + 1);
        }
        from += count;
    }
    tell_done(&counts[index]);
    atomic_fetch_add_explicit(&ended_count, 1, memory_order_relaxed);
    sem_post(&ended);
    return NULL;
}

/* ---- RSS ------------------------------------------------------------------------------------- */

static int statm;
static atomic_bool sampler_ends;
static uint64_t kib_ns, sampled_ns, sampled_peak_kib;

static uint64_t
rss_kib(void)
{
    char text[128];
    const char *at;
    ssize_t n = pread(statm, text, sizeof text - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    at = strchr(text, ' ');
    return at == NULL ? 0 : strtoull(at, NULL, 10) * (BENCH_OS_PAGE / 1024);
}

static void *
run_sampler(void *unused)
{
    uint64_t before = started_ns, due = before;

    while (!atomic_load(&sampler_ends)) {
        uint64_t kib = rss_kib(), now = bench_now_ns();

        kib_ns += kib * (now - before);
        sampled_peak_kib = kib > sampled_peak_kib ? kib : sampled_peak_kib;
        before = now;
        due += sample_ms * 1000000;
        due = due < now ? now : due;
        wait_until(due);
    }
    sampled_ns = before - started_ns;
    return unused;
}

/* ---- Start and end --------------------------------------------------------------------------- */

static void
open_file(const char *path)
{
    uint64_t bytes;
    struct stat status;

    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        bench_fail("%s: cannot be read: %s", path, strerror(errno));
    }
    if (pread(file, &head, sizeof head, 0) != sizeof head ||
        memcmp(head.magic, REPLAY_MAGIC, REPLAY_MAGIC_BYTES) != 0 ||
        head.version != REPLAY_VERSION) {
        bench_fail("%s: not what this version of `tide trace --prepare` writes", path);
    }
    bytes = head.threads * sizeof *threads;
    if (head.threads == 0 || bytes > (uint64_t)status.st_size || head.places > UINT32_MAX ||
        head.ops > (uint64_t)status.st_size / sizeof(struct replay_op)) {
        bench_fail("%s: damaged", path);
    }
    threads = bench_pages(bytes);
    if (pread(file, threads, bytes, sizeof head) != (ssize_t)bytes) {
        bench_fail("%s: cut off", path);
    }
}

/* Everything that will be needed is there and in RAM. */
static void
make_ready(void)
{
    int reset = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    places = bench_pages(head.places * sizeof *places);
    memset(places, 0, head.places * sizeof *places);
    counts = bench_pages(head.threads * sizeof *counts);
    memset(counts, 0, head.threads * sizeof *counts);
    if (check) {
        guards = bench_pages(head.places * sizeof *guards);
    }
    sem_init(&ended, 0, 0);
    statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (reset >= 0) {
        if (write(reset, "5", 1) != 1) { /* VmHWM begins anew; otherwise it has what was before */
            errno = 0;
        }
        close(reset);
    }
}

static void
report(uint64_t busy_ns, uint64_t base_kib, const struct rusage *before)
{
    static const char *const names[REPLAY_CODES] = {NULL,      "malloc",  "free", "calloc",
                                                    "aligned", "realloc", NULL,   NULL};
    struct counts sum = {{0}, 0, 0};
    struct rusage after;
    uint64_t ops = 0;

    getrusage(RUSAGE_SELF, &after);
    for (uint32_t t = 0; t < head.threads; t++) {
        for (unsigned c = 0; c < REPLAY_CODES; c++) {
            sum.by_code[c] += counts[t].by_code[c];
            ops += counts[t].by_code[c];
        }
        sum.bytes += counts[t].bytes;
    }
    if (ops != head.ops) {
        bench_fail("%llu operations of %llu", (unsigned long long)ops,
                   (unsigned long long)head.ops);
    }
    bench_report(sum.bytes, ops, busy_ns);
    for (unsigned c = 0; c < REPLAY_CODES; c++) {
        if (names[c] != NULL) {
            bench_report_value(names[c], sum.by_code[c]);
        }
    }
    bench_report_value("threads", head.threads);
    bench_report_value("minor_faults", (uint64_t)(after.ru_minflt - before->ru_minflt));
    bench_report_value("major_faults", (uint64_t)(after.ru_majflt - before->ru_majflt));
    bench_report_value("base_kib", base_kib);
    bench_report_value("peak_kib", bench_status_kib("VmHWM"));
    bench_report_value("recorded_peak_kib", head.peak_live_bytes / 1024);
    if (sampled_ns > 0) {
        bench_report_value("mean_kib", kib_ns / sampled_ns);
        bench_report_value("sampled_peak_kib", sampled_peak_kib);
    }
}

static uint64_t
run_all(void)
{
    pthread_t sampler;
    uint64_t busy_ns;

    started_ns = bench_now_ns();
    if (sample_ms > 0 && pthread_create(&sampler, NULL, run_sampler, NULL) != 0) {
        bench_fail("the sampler cannot be started");
    }
    run_thread((void *)0);
    for (uint32_t t = 0; t < head.threads; t++) {
        while (sem_wait(&ended) != 0) {
        }
    }
    busy_ns = bench_now_ns() - started_ns;
    if (sample_ms > 0) {
        atomic_store(&sampler_ends, true);
        pthread_join(sampler, NULL);
    }
    return busy_ns;
}

int
main(int argc, char **argv)
{
    const char *path = NULL;
    struct rusage before;
    uint64_t base_kib;
    int words = 1;

    /* FILE, wherever it is; --name=value is name=value. */
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i], "--help") != 0) {
            argv[words++] = argv[i] + 2;
        } else if (strchr(argv[i], '=') == NULL && argv[i][0] != '-' && path == NULL) {
            path = argv[i];
        } else {
            argv[words++] = argv[i];
        }
    }
    bench_parse(words, argv, "a recorded program's use of malloc; first the FILE", params);
    if (path == NULL) {
        bench_fail("which FILE? (tide trace --prepare makes one)");
    }
    if (check && touch == TOUCH_NONE) {
        touch = TOUCH_PAGE;
    }
    open_file(path);
    make_ready();
    base_kib = rss_kib();
    getrusage(RUSAGE_SELF, &before);
    report(run_all(), base_kib, &before);
    return 0;
}
