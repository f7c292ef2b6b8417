/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the shared part of the micro benchmarks; contract in bench.h.
 *
 * Nothing here runs inside a measured loop except bench_run_threads' start barrier. Output goes
 * through a static buffer and write(2), so that stdio does not allocate in the measured process.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void
write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, text, length);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        text += done;
        length -= (size_t)done;
    }
}

void
bench_fail(const char *format, ...)
{
    char line[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    length = length < 0 ? 0 : length > (int)sizeof(line) - 2 ? (int)sizeof(line) - 2 : length;
    line[length] = '\n';
    write_all(STDERR_FILENO, line, (size_t)length + 1);
    _exit(2);
}

uint64_t
bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
bench_sleep_until(uint64_t at_ns)
{
    struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u),
                          .tv_nsec = (long)(at_ns % 1000000000u)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

void *
bench_pages(size_t bytes)
{
    void *pages =
        mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED) {
        bench_fail("cannot map %zu bytes", bytes);
    }
    return pages;
}

/* The index of word (length bytes) in the comma list, or -1. */
static int
choice_index(const char *choices, const char *word, size_t length)
{
    int index = 0;

    for (const char *at = choices; at != NULL; index++) {
        const char *comma = strchr(at, ',');
        size_t size = comma ? (size_t)(comma - at) : strlen(at);

        if (size == length && memcmp(at, word, length) == 0) {
            return index;
        }
        at = comma ? comma + 1 : NULL;
    }
    return -1;
}

static void
parse_value(const struct bench_param *param, const char *text)
{
    char *end = NULL;
    unsigned long long number;

    if (param->choices != NULL) {
        int index = choice_index(param->choices, text, strlen(text));

        if (index < 0) {
            bench_fail("%s=%s: want one of %s", param->name, text, param->choices);
        }
        *param->value = (uint64_t)index;
        return;
    }
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
        bench_fail("%s=%s: not a number", param->name, text);
    }
    if (number < param->min || number > param->max) {
        bench_fail("%s=%s: want %llu to %llu", param->name, text, (unsigned long long)param->min,
                   (unsigned long long)param->max);
    }
    *param->value = number;
}

static void
print_help(const char *program, const char *purpose, const struct bench_param *params)
{
    char line[512];

    snprintf(line, sizeof(line), "%s: %s\nparameters (name=value):\n", program, purpose);
    write_all(STDOUT_FILENO, line, strlen(line));
    for (; params->name != NULL; params++) {
        if (params->choices != NULL) {
            snprintf(line, sizeof(line), "  %-10s %s (one of %s)\n", params->name, params->help,
                     params->choices);
        } else {
            snprintf(line, sizeof(line), "  %-10s %s (default %llu)\n", params->name, params->help,
                     (unsigned long long)*params->value);
        }
        write_all(STDOUT_FILENO, line, strlen(line));
    }
}

static const struct bench_param *
find_param(const struct bench_param *params, const char *name, size_t length)
{
    for (; params->name != NULL; params++) {
        if (strlen(params->name) == length && memcmp(params->name, name, length) == 0) {
            return params;
        }
    }
    return NULL;
}

void
bench_parse(int argc, char **argv, const char *purpose, const struct bench_param *params)
{
    for (int at = 1; at < argc; at++) {
        const char *equals = strchr(argv[at], '=');
        const struct bench_param *param;

        if (strcmp(argv[at], "--help") == 0) {
            print_help(argv[0], purpose, params);
            exit(0);
        }
        if (equals == NULL) {
            bench_fail("%s: want name=value (see --help)", argv[at]);
        }
        param = find_param(params, argv[at], (size_t)(equals - argv[at]));
        if (param == NULL) {
            bench_fail("%s: no such parameter (see --help)", argv[at]);
        }
        parse_value(param, equals + 1);
    }
}

struct team {
    bench_thread_fn fn;
    void *context;
    pthread_barrier_t start;
};

struct member {
    struct team *team;
    unsigned index;
    pthread_t thread;
    uint64_t started_ns;
    uint64_t ended_ns;
};

static void *
member_main(void *argument)
{
    struct member *member = argument;

    pthread_barrier_wait(&member->team->start);
    member->started_ns = bench_now_ns();
    member->team->fn(member->index, member->team->context);
    member->ended_ns = bench_now_ns();
    return NULL;
}

static uint64_t
run_team(unsigned threads, struct team *team)
{
    struct member members[BENCH_MAX_THREADS];
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;

    if (pthread_barrier_init(&team->start, NULL, threads) != 0) {
        bench_fail("cannot make a barrier");
    }
    for (unsigned at = 0; at < threads; at++) {
        members[at] = (struct member){.team = team, .index = at};
        if (pthread_create(&members[at].thread, NULL, member_main, &members[at]) != 0) {
            bench_fail("cannot start thread %u", at);
        }
    }
    for (unsigned at = 0; at < threads; at++) {
        pthread_join(members[at].thread, NULL);
        first = members[at].started_ns < first ? members[at].started_ns : first;
        last = members[at].ended_ns > last ? members[at].ended_ns : last;
    }
    pthread_barrier_destroy(&team->start);
    return last - first;
}

uint64_t
bench_run_threads(unsigned threads, bench_thread_fn fn, void *context)
{
    struct team team = {.fn = fn, .context = context};
    uint64_t started;

    if (threads > BENCH_MAX_THREADS) {
        bench_fail("at most %d threads", BENCH_MAX_THREADS);
    }
    if (threads > 1) {
        return run_team(threads, &team);
    }
    started = bench_now_ns();
    fn(0, context);
    return bench_now_ns() - started;
}

void
bench_report_value(const char *name, uint64_t value)
{
    char line[128];

    snprintf(line, sizeof(line), "%s=%llu\n", name, (unsigned long long)value);
    write_all(STDOUT_FILENO, line, strlen(line));
}

void
bench_report(uint64_t checksum, uint64_t operations, uint64_t busy_ns)
{
    bench_report_value("checksum", checksum);
    bench_report_value("ops", operations);
    bench_report_value("busy_ns", busy_ns);
}

uint64_t
bench_status_kib(const char *field)
{
    char text[4096];
    const char *at;
    size_t length = 0;
    ssize_t got;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    while (length < sizeof(text) - 1 &&
           (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
        length += (size_t)got;
    }
    close(fd);
    text[length] = '\0';
    at = strstr(text, field);
    return at == NULL ? 0 : strtoull(at + strlen(field) + 1, NULL, 10);
}

uint64_t
bench_thread_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt;
}

uint64_t
bench_resident_bytes(void)
{
    static int statm = -1;
    char text[128];
    unsigned long size;
    unsigned long resident;
    ssize_t got;

    if (statm < 0) {
        statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    }
    got = pread(statm, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return sscanf(text, "%lu %lu", &size, &resident) == 2 ? resident * BENCH_OS_PAGE : 0;
}
