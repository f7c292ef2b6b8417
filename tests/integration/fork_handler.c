/* SPDX-License-Identifier: MIT */
/*
 * A fork handler that allocates and frees between the library's own handlers: it was registered
 * before them, so it runs after all locks were taken. Parent, child and a further fork go on.
 * only: tide
 */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

enum { BLOCKS = 4000, BYTES = 1024 };
static int armed;

/* Spans are made, emptied and kept for later. */
static void
churn(void)
{
    static void *p[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        p[i] = malloc(BYTES);
        CHECK(p[i] != NULL);
        pattern_fill(p[i], BYTES, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK_PATTERN(p[i], BYTES, i);
        free(p[i]);
    }
}

static void
handler(void)
{
    if (armed) {
        churn();
    }
}

static void
early(void)
{
    pthread_atfork(handler, handler, handler);
}

/* Before any constructor. */
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = early;

int
main(void)
{
    churn();
    armed = 1;
    alarm(20);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        int status = -1;

        CHECK(child >= 0);
        if (child == 0) {
            churn();
            _exit(7);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", (unsigned)status);
        churn();
    }
    return 0;
}
