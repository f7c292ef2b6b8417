/* SPDX-License-Identifier: MIT */
/*
 * What tool_trace.sh counts: trace_known [kill|exit|fork|many|exec PROGRAM...]
 *
 *   malloc 1000 + 10 (realloc of NULL) + 2 threads of 200, calloc 500, aligned 13,
 *   realloc 300 + 1 that fails + 4 of size 0; all is freed, threads' blocks by the main thread
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { MALLOCS = 1000, CALLOCS = 500, REALLOCS = 300, OF_NULL = 10, ALIGNED = 13, OF_THREAD = 200 };

static void *blocks[MALLOCS], *zeroed[CALLOCS], *grown[OF_NULL], *aligned[ALIGNED];
static void *of_threads[2][OF_THREAD];
static volatile size_t too_large = (size_t)PTRDIFF_MAX + 1;

static void *
run(void *list)
{
    void **at = list;

    for (int i = 0; i < OF_THREAD; i++) {
        at[i] = malloc(64);
    }
    return NULL;
}

static void
allocate(void)
{
    pthread_t threads[2];

    for (int i = 0; i < MALLOCS; i++) {
        blocks[i] = malloc(100);
    }
    for (int i = 0; i < CALLOCS; i++) {
        zeroed[i] = calloc(10, 20);
    }
    for (int i = 0; i < REALLOCS; i++) {
        blocks[i] = i % 2 ? realloc(blocks[i], 300) : reallocarray(blocks[i], 30, 10);
    }
    for (int i = 0; i < OF_NULL; i++) {
        grown[i] = realloc(NULL, 50);
    }
    for (int i = 0; i < ALIGNED; i++) {
        switch (i % 4) {
        case 0:
            aligned[i] = aligned_alloc(64, 128);
            break;
        case 1:
            aligned[i] = memalign(256, 100);
            break;
        case 2:
            aligned[i] = valloc(10);
            break;
        default:
            CHECK(posix_memalign(&aligned[i], 4096, 1) == 0);
        }
    }
    for (int t = 0; t < 2; t++) {
        CHECK(pthread_create(&threads[t], NULL, run, of_threads[t]) == 0);
    }
    for (int t = 0; t < 2; t++) {
        CHECK(pthread_join(threads[t], NULL) == 0);
    }
}

static void
try_errors(void)
{
    errno = 0;
    CHECK(malloc(too_large) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(realloc(blocks[0], too_large) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(too_large, 16) == NULL && errno == ENOMEM);
    free(NULL);
}

static void
release(void)
{
    for (int i = 0; i < MALLOCS; i++) {
        if (i < 4) {
            CHECK(realloc(blocks[i], 0) == NULL);
        } else {
            free(blocks[i]);
        }
    }
    for (int i = 0; i < CALLOCS; i++) {
        free(zeroed[i]);
    }
    for (int i = 0; i < OF_NULL; i++) {
        free(grown[i]);
    }
    for (int i = 0; i < ALIGNED; i++) {
        free(aligned[i]);
    }
    for (int i = 0; i < 2 * OF_THREAD; i++) {
        errno = 4711;
        free(of_threads[i / OF_THREAD][i % OF_THREAD]);
        CHECK(errno == 4711);
    }
}

/* More records than a trace of 64 KiB holds. */
static void
allocate_many(void)
{
    for (int i = 0; i < 200000; i++) {
        void *block = malloc(10 + (size_t)(i % 1000));

        __asm__ volatile("" : : "r"(block) : "memory");
        free(block);
    }
}

/* The child frees 5 of the parent's, and has 7 of its own. */
static void
fork_once(void)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        for (int i = 0; i < 5; i++) {
            free(blocks[i]);
        }
        for (int i = 0; i < 7; i++) {
            blocks[i] = malloc(33);
        }
        _exit(9);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

int
main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    allocate();
    try_errors();
    if (strcmp(word, "kill") == 0) {
        raise(SIGKILL);
    } else if (strcmp(word, "exit") == 0) {
        _exit(5);
    } else if (strcmp(word, "many") == 0) {
        allocate_many();
    } else if (strcmp(word, "fork") == 0) {
        fork_once();
    } else if (strcmp(word, "exec") == 0) {
        execv(argv[2], argv + 2);
    }
    release();
    return 3;
}
