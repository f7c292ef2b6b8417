/* SPDX-License-Identifier: MIT */
/*
 * Grows by so many MiB in blocks of 64 bytes to 200 KiB, at some 400 MB/s in each of its threads,
 * writes to all of them, checks that nobody else did, and frees them:
 *   grow MIB|KIBK [THREADS [FORKS [BURST_KIB]]]
 * calloc's are zero. Children forked on the way allocate and check as well. In bursts it is as fast
 * on average, with all the work after a burst.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct block {
    unsigned char *p;
    size_t size;
};

static size_t total;
static size_t burst;
static unsigned forks;

static void
fail(const char *what)
{
    fprintf(stderr, "grow: %s\n", what);
    _exit(1);
}

static uint64_t
next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static size_t
bytes_of(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    return (size_t)number << (*end == 'K' ? 10 : 20);
}

static void
work_for(size_t bytes)
{
    struct timespec now;
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += (long)(bytes * 10 / 4);
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

static void
make(struct block *block, uint64_t *state)
{
    unsigned shift = (unsigned)(next(state) % 12);

    block->size = ((size_t)64 << shift) + next(state) % ((size_t)50 << shift);
    if (next(state) % 4 == 0) {
        block->p = calloc(1, block->size);
        for (size_t i = 0; block->p != NULL && i < block->size; i++) {
            if (block->p[i] != 0) {
                fail("calloc's block is not zero");
            }
        }
    } else {
        block->p = malloc(block->size);
    }
    if (block->p == NULL) {
        fail("no memory");
    }
    memset(block->p, (int)(block->size & 0xff), block->size);
}

static void
check(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++) {
        if (block->p[i] != (unsigned char)block->size) {
            fail("somebody else wrote to a block");
        }
    }
}

static void
in_child(const struct block *blocks, size_t count, uint64_t *state)
{
    struct block own[64];

    for (size_t i = 0; i < 64; i++) {
        make(&own[i], state);
    }
    for (size_t i = 0; i < 64; i++) {
        check(&own[i]);
        check(&blocks[next(state) % count]);
        free(own[i].p);
    }
    _exit(0);
}

static void
fork_one(const struct block *blocks, size_t count, uint64_t *state)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        in_child(blocks, count, state);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fail("a child failed");
    }
}

static void *
grow(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    struct block *blocks = malloc((total / 64 + 1) / 16 * sizeof *blocks);
    size_t count = 0;
    size_t pending = 0;

    if (blocks == NULL) {
        fail("no memory");
    }
    for (size_t live = 0; live < total; count++) {
        make(&blocks[count], &state);
        live += blocks[count].size;
        pending += blocks[count].size;
        if (pending >= burst) {
            work_for(pending);
            pending = 0;
        }
        if (forks > 0 && count % 256 == 255) {
            fork_one(blocks, count, &state);
        }
    }
    for (size_t i = 0; i < count; i++) {
        check(&blocks[i]);
        free(blocks[i].p);
    }
    free(blocks);
    return NULL;
}

int
main(int argc, char **argv)
{
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    pthread_t thread[16];

    total = bytes_of(argc > 1 ? argv[1] : "64");
    forks = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    burst = argc > 4 ? (size_t)atoi(argv[4]) << 10 : 0;
    for (uintptr_t i = 1; i < threads && i < 16; i++) {
        if (pthread_create(&thread[i], NULL, grow, (void *)(i + 1)) != 0) {
            fail("no thread");
        }
    }
    grow((void *)1);
    for (unsigned i = 1; i < threads && i < 16; i++) {
        pthread_join(thread[i], NULL);
    }
    puts("ok");
    return 0;
}
