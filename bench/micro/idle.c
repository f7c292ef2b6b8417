/* SPDX-License-Identifier: MIT */
/*
 * idle.c - a process that has grown, freed half of it at random, and then does nothing.
 *
 * What a background thread of the allocator still does then: its CPU time, and how often it was
 * switched to, from settle_ms after the last free on. The kernel tells of the thread of that name;
 * the reading allocates nothing. Without such a thread thread_found is 0, and its figures are.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "levels.h"

#define THREAD_NAME "tide-keeper"

static uint64_t total_mib = 100;
static uint64_t settle_ms = 3000;
static uint64_t seconds = 25;
static uint64_t min_size = 64;
static uint64_t max_size = 16384;

struct usage {
    uint64_t cpu_ns;
    uint64_t switches; /* to the thread, of its own will or not */
};

/* The file of the process's thread as text; empty when it cannot be read. */
static void
read_task(const char *tid, const char *name, char *text, size_t size)
{
    char path[128];
    ssize_t got = -1;
    int fd;

    snprintf(path, sizeof path, "/proc/self/task/%s/%s", tid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        got = read(fd, text, size - 1);
        close(fd);
    }
    text[got > 0 ? got : 0] = '\0';
}

/* Its id into tid, if there is one. Allocates. */
static bool
find_thread(char tid[32])
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    char name[64];
    bool found = false;

    while (tasks != NULL && !found && (entry = readdir(tasks)) != NULL) {
        read_task(entry->d_name, "comm", name, sizeof name);
        found = strncmp(name, THREAD_NAME "\n", sizeof THREAD_NAME) == 0;
        snprintf(tid, 32, "%.31s", entry->d_name);
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return found;
}

static uint64_t
field(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* schedstat: time on a CPU, time waiting for one, how often it got one. */
static struct usage
usage_of(const char *tid)
{
    unsigned long long cpu_ns = 0;
    char text[4096];
    struct usage usage;

    read_task(tid, "schedstat", text, sizeof text);
    if (sscanf(text, "%llu", &cpu_ns) != 1) {
        bench_fail("no CPU time of thread %s in /proc", tid);
    }
    read_task(tid, "status", text, sizeof text);
    usage.cpu_ns = cpu_ns;
    usage.switches =
        field(text, "\nvoluntary_ctxt_switches:") + field(text, "\nnonvoluntary_ctxt_switches:");
    return usage;
}

static const struct bench_param params[] = {
    {"total", &total_mib, 1, 65536, "grow to this, MiB", NULL},
    {"settle", &settle_ms, 0, 100000, "not looked at after the last free, ms", NULL},
    {"seconds", &seconds, 1, 10000, "looked at so long", NULL},
    {"min", &min_size, 16, 1u << 30, "smallest block", NULL},
    {"max", &max_size, 16, 1u << 30, "largest block", NULL},
    {NULL, NULL, 0, 0, NULL, NULL},
};

int
main(int argc, char **argv)
{
    struct usage before = {0};
    struct usage after = {0};
    struct levels held;
    uint64_t started;
    uint64_t idle;
    char tid[32];
    bool found;

    bench_parse(argc, argv, "a process that has grown, and is idle", params);
    held = levels_begin(1, total_mib << 20, min_size, max_size);
    levels_follow(&held, total_mib << 20, 0);
    found = find_thread(tid);
    levels_follow(&held, total_mib << 19, 0);

    bench_sleep_until(bench_now_ns() + settle_ms * 1000000u);
    started = bench_now_ns();
    before = found ? usage_of(tid) : before;
    bench_sleep_until(started + seconds * 1000000000u);
    after = found ? usage_of(tid) : after;
    idle = bench_now_ns() - started;

    bench_report(held.sum, held.operations, idle);
    bench_report_value("thread_found", found);
    bench_report_value("keeper_ns", after.cpu_ns - before.cpu_ns);
    bench_report_value("keeper_wakeups", after.switches - before.switches);
    bench_report_value("keeper_ppm", (after.cpu_ns - before.cpu_ns) * 1000000u / idle);
    return 0;
}
