/* SPDX-License-Identifier: MIT */
/*
 * Forks whose child finds a lock taken for good by a thread that it does not have: the linker's,
 * which the program itself holds in a callback, and the profile's, when a signal handler forks that
 * interrupted a sample. The child allocates, is sampled, and ends.
 * only: tide
 * conf: profile:true,profile_rate:100,profile_out:/dev/null
 * args: linker | handler
 */
#define _GNU_SOURCE
#include "check.h"
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { FORKS = 40 };
static volatile int is_locked;
static volatile int may_unlock;
static pid_t children[FORKS];
static volatile int forked;
static volatile int is_child;

static void *
allocate(unsigned depth)
{
    void *p = depth == 0 ? malloc(1000) : allocate(depth - 1);

    __asm__ volatile("" : : : "memory");
    return hide(p);
}

static int
hold(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info;
    (void)size;
    (void)arg;
    is_locked = 1;
    while (!may_unlock) {
        sleep_ms(1);
    }
    return 1;
}

static void *
hold_linker(void *arg)
{
    dl_iterate_phdr(hold, NULL);
    return arg;
}

static void
child(void)
{
    for (unsigned i = 0; i < 300; i++) {
        free(allocate(i % 7 + 10));
    }
    exit(0);
}

/* 20 s are not a matter of load. */
static void
await(pid_t pid)
{
    int status;

    for (int i = 0; i < 2000; i++) {
        pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended == pid) {
            CHECK(status == 0, "status %x", (unsigned)status);
            return;
        }
        sleep_ms(10);
    }
    kill(pid, SIGKILL);
    CHECK(!"hangs", "child %d", (int)pid);
}

static void
fork_in_handler(int signal)
{
    pid_t pid;

    (void)signal;
    if (forked == FORKS || is_child) {
        return;
    }
    pid = fork();
    if (pid == 0) {
        is_child = 1;
    } else {
        children[forked++] = pid;
    }
}

int
main(int argc, char **argv)
{
    struct itimerval every = {{0, 3000}, {0, 3000}};
    pthread_t thread;
    pid_t pid;

    CHECK(argc == 2);
    for (unsigned i = 0; i < 100; i++) {
        free(allocate(3));
    }
    if (strcmp(argv[1], "linker") == 0) {
        CHECK(pthread_create(&thread, NULL, hold_linker, NULL) == 0);
        while (!is_locked) {
            sleep_ms(1);
        }
        pid = fork();
        if (pid == 0) {
            child();
        }
        await(pid);
        may_unlock = 1;
        pthread_join(thread, NULL);
        return 0;
    }
    signal(SIGALRM, fork_in_handler);
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (forked < FORKS && !is_child) {
        free(allocate(2));
    }
    if (is_child) {
        child();
    }
    for (int i = 0; i < FORKS; i++) {
        await(children[i]);
    }
    return 0;
}
