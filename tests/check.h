/* SPDX-License-Identifier: MIT */
/*
 * What the black-box test programs share: CHECK and SKIP, process figures from /proc, a small
 * random generator, patterns in memory, and re-execution under a resource limit.
 *
 * Black box: nothing here knows the library. Nothing here allocates, so that CHECK works anywhere.
 */
#ifndef TIDE_TESTS_CHECK_H
#define TIDE_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_UNUSED __attribute__((unused))

/* Fails the test with the place, the condition and a printf-like explanation. */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__);                         \
        }                                                                                          \
    } while (0)

#define SKIP(...) check_skipped(" " __VA_ARGS__)

static TEST_UNUSED __attribute__((noreturn, format(printf, 4, 5))) void
check_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(2, "%s:%d: failed: %s%s\n", file, line, condition, text);
#ifdef TEST_ABORTS /* a fuzzer keeps the input of an abort */
    abort();
#else
    _exit(1);
#endif
}

static TEST_UNUSED __attribute__((noreturn, format(printf, 1, 2))) void
check_skipped(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dprintf(1, "skip:%s\n", text);
    _exit(77);
}

/* The compiler must neither elide an allocation nor reason about where a pointer came from. */
static TEST_UNUSED void *
hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static TEST_UNUSED size_t
hide_size(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

/* A number behind "key:" in a /proc file, 0 when it cannot be had. */
static TEST_UNUSED long
proc_number(const char *path, const char *key)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) {
        return 0;
    }
    text[n] = 0;
    const char *at = strstr(text, key);
    return at == NULL ? 0 : atol(at + strlen(key));
}

static TEST_UNUSED size_t
rss_kib(void)
{
    return (size_t)proc_number("/proc/self/status", "VmRSS:");
}

static TEST_UNUSED size_t
peak_rss_kib(void)
{
    return (size_t)proc_number("/proc/self/status", "VmHWM:");
}

static TEST_UNUSED int
thread_count(void)
{
    return (int)proc_number("/proc/self/status", "Threads:");
}

static TEST_UNUSED double
now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static TEST_UNUSED void
sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* xorshift64*: the state must not be 0. */
static TEST_UNUSED uint64_t
rnd(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1du;
}

static TEST_UNUSED size_t
rnd_below(uint64_t *state, size_t n)
{
    return (size_t)(rnd(state) >> 11) % n;
}

/* Every byte is a function of its place and a tag, so that an overlap or a lost copy shows. */
static TEST_UNUSED unsigned char
pattern_byte(size_t i, uint64_t tag)
{
    return (unsigned char)(tag ^ (tag >> 8) ^ i ^ (i >> 8) * 31);
}

static TEST_UNUSED void
pattern_fill(void *p, size_t size, uint64_t tag)
{
    unsigned char *bytes = (unsigned char *)p;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = pattern_byte(i, tag);
    }
}

/* The first differing byte, or size when all is well. */
static TEST_UNUSED size_t
pattern_find_damage(const void *p, size_t size, uint64_t tag)
{
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern_byte(i, tag)) {
            return i;
        }
    }
    return size;
}

#define CHECK_PATTERN(p, size, tag)                                                                \
    do {                                                                                           \
        size_t damage_ = pattern_find_damage(p, size, tag);                                        \
        CHECK(damage_ == (size), "(byte %zu of %zu at %p)", damage_, (size_t)(size), (void *)(p)); \
    } while (0)

#define CHECK_ALIGNED(p, alignment)                                                                \
    CHECK(((uintptr_t)(p) & ((uintptr_t)(alignment)-1)) == 0, "(%p)", (void *)(p))

/* Waits for a child for at most some seconds; returns its wait status, or kills it and fails. */
static TEST_UNUSED int
wait_for(pid_t child, double seconds, const char *what)
{
    double end = now_seconds() + seconds;
    for (;;) {
        int status;
        pid_t r = waitpid(child, &status, WNOHANG);
        if (r == child) {
            return status;
        }
        CHECK(r == 0, "waitpid: %s", strerror(errno));
        if (now_seconds() > end) {
            kill(child, 9);
            CHECK(0, "%s: child %d hangs", what, (int)child);
        }
        sleep_ms(2);
    }
}

/*
 * Runs this program again from its first instruction with a resource limit in place, once: the
 * second time it returns. The limit is in MiB.
 */
static TEST_UNUSED void
reexec_limited(char **argv, int resource, size_t mib)
{
    if (getenv("TEST_LIMITED") != NULL) {
        return;
    }
    struct rlimit limit = {mib << 20, mib << 20};
    setenv("TEST_LIMITED", "1", 1);
    CHECK(setrlimit((__typeof__(RLIMIT_AS))resource, &limit) == 0);
    execv("/proc/self/exe", argv);
    CHECK(0, "execv: %s", strerror(errno));
}

#endif
