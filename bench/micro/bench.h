/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what every micro benchmark shares: parameters, random numbers, threads, output.
 *
 * Owns: the command line (name=value words checked against a table), the generator of sizes,
 * the start barrier and the result lines (name=value on standard output, read by the harness).
 * Refuses to know: which allocator is loaded; programs call plain malloc and free.
 * Invariants: the same parameters give the same allocations and the same checksum under every
 * allocator; arrays of the benchmark itself come from bench_pages (mmap), so that the allocator
 * under test sees the pattern and nothing else; one thread means a process with one thread.
 */
#ifndef TIDE_BENCH_H
#define TIDE_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_OS_PAGE = 4096, BENCH_CACHE_LINE = 64, BENCH_MAX_THREADS = 64 };

/* One parameter: a number within [min, max], or the index of a word when choices is set. */
struct bench_param {
    const char *name;
    uint64_t *value;
    uint64_t min;
    uint64_t max;
    const char *help;
    const char *choices; /* "lifo,fifo,random", or NULL for a number */
};

/* Reads the command line; the table ends with a NULL name. Exits with 2 on a bad word. */
void bench_parse(int argc, char **argv, const char *purpose, const struct bench_param *params);

uint64_t bench_now_ns(void);
void bench_sleep_until(uint64_t at_ns);

/* Zeroed memory straight from the kernel; never freed. Exits when there is none. */
void *bench_pages(size_t bytes);

void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

typedef void (*bench_thread_fn)(unsigned index, void *context);

/*
 * Runs fn(0..threads-1, context) and waits for all. With one thread it runs in the caller;
 * else all start together. Returns the nanoseconds between the start and the last one's end.
 */
uint64_t bench_run_threads(unsigned threads, bench_thread_fn fn, void *context);

/* Prints the result lines: checksum, operations done, busy time. */
void bench_report(uint64_t checksum, uint64_t operations, uint64_t busy_ns);
void bench_report_value(const char *name, uint64_t value);

/* A field of /proc/self/status in KiB ("VmHWM", "VmRSS"), 0 when it cannot be read. */
uint64_t bench_status_kib(const char *field);

/* Page faults of the calling thread that needed no disk. */
uint64_t bench_thread_faults(void);

/* Of the process, from one file that stays open: cheap enough for 1,000 looks a second. */
uint64_t bench_resident_bytes(void);

/* Random numbers: splitmix64. Plain, fast, and the same everywhere. */
struct bench_random {
    uint64_t state;
};

static inline struct bench_random
bench_random_seed(uint64_t seed)
{
    return (struct bench_random){seed * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u};
}

static inline uint64_t
bench_random_next(struct bench_random *random)
{
    uint64_t z = (random->state += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound below 2^32. The bias is below one part in a million. */
static inline uint64_t
bench_random_below(struct bench_random *random, uint64_t bound)
{
    return ((bench_random_next(random) >> 32) * bound) >> 32;
}

/* Log-uniform in [min, max], min > 0: every doubling is as likely as any other. */
static inline size_t
bench_random_size(struct bench_random *random, size_t min, size_t max)
{
    unsigned low = 63u - (unsigned)__builtin_clzl(min);
    unsigned high = 63u - (unsigned)__builtin_clzl(max > min ? max - 1 : max);
    unsigned shift = low + (unsigned)bench_random_below(random, high - low + 1);
    size_t from = (size_t)1 << shift;
    size_t to = from + from - 1;

    from = from < min ? min : from;
    to = to > max ? max : to;
    return from + bench_random_below(random, to - from + 1);
}

/* The compiler must believe that somebody reads the block. */
static inline void
bench_escape(void *block)
{
    __asm__ volatile("" : : "r"(block) : "memory");
}

/* A moment's rest inside a spin loop. */
static inline void
bench_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Writes the first word, the last byte and a word of every os page: a block as it is used. */
static inline void
bench_touch(void *block, size_t size, uint64_t tag)
{
    char *bytes = (char *)block;

    for (size_t at = BENCH_OS_PAGE; at + sizeof(tag) <= size; at += BENCH_OS_PAGE) {
        __builtin_memcpy(bytes + at, &tag, sizeof(tag));
    }
    bytes[size - 1] = (char)tag;
    __builtin_memcpy(bytes, &tag, size < sizeof(tag) ? size : sizeof(tag));
    bench_escape(block);
}

/* What bench_touch left in the first word; size decides how much of it there is. */
static inline uint64_t
bench_tag(const void *block, size_t size)
{
    uint64_t tag = 0;

    __builtin_memcpy(&tag, block, size < sizeof(tag) ? size : sizeof(tag));
    return tag;
}

/* malloc, or the end of the run: no benchmark measures an allocator that is out of memory. */
static inline void *
bench_malloc(size_t size)
{
    void *block = malloc(size);

    if (__builtin_expect(block == NULL, 0)) {
        bench_fail("malloc(%zu) failed", size);
    }
    return block;
}

#ifdef __cplusplus
}
#endif

#endif
