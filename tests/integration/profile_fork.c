/* SPDX-License-Identifier: MIT */
/*
 * Forks of a process all of whose threads are being sampled: children allocate, are sampled, and
 * exit with a profile to write, and none waits for an unwinder or a table that a thread it does not
 * have was using. The same for _Fork, which runs no handlers.
 * only: tide
 * conf: profile:true,profile_rate:256,profile_out:/dev/null
 * args: fork | _Fork
 */
#include "check.h"
#include <pthread.h>

enum { THREADS = 6, FORKS = 80 };
static volatile int stop;

static void *
allocate(unsigned depth, size_t size)
{
    void *p = depth == 0 ? malloc(size) : allocate(depth - 1, size);

    __asm__ volatile("" : : : "memory");
    return hide(p);
}

static void *
churn(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;

    while (!stop) {
        free(allocate((unsigned)rnd_below(&state, 30), rnd_below(&state, 5000)));
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int plain = argc == 2 && strcmp(argv[1], "fork") == 0;

    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    }
    for (int i = 0; i < FORKS; i++) {
        pid_t child = plain ? fork() : _Fork();

        CHECK(child >= 0);
        if (child == 0) {
            for (unsigned n = 0; n < 2000; n++) {
                free(allocate(n % 40, 100 + n));
            }
            if (plain) {
                exit(0);
            }
            _exit(0);
        }
        int status = wait_for(child, 20, "child");
        CHECK(status == 0, "child's status 0x%x", status);
    }
    stop = 1;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
