/* SPDX-License-Identifier: MIT */
/*
 * Signals that come while a profile is written and others are being sampled, with a handler that
 * allocates and frees: it never waits for the thread that it interrupted. (What it may not
 * interrupt is the allocator's own functions.)
 * only: tide
 * conf: profile:true,profile_rate:64
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/time.h>

enum { BLOCKS = 64 };
static void *volatile of_handler[BLOCKS];
static volatile sig_atomic_t handled;

static void
handler(int signal)
{
    int saved_errno = errno;
    unsigned i = (unsigned)handled % BLOCKS;

    (void)signal;
    free(of_handler[i]);
    of_handler[i] = malloc(50 + i * 100);
    CHECK(of_handler[i] != NULL);
    handled++;
    errno = saved_errno;
}

static void *
churn(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;

    for (int i = 0; i < 300000; i++) {
        free(hide(malloc(rnd_below(&state, 2000))));
    }
    return NULL;
}

int
main(void)
{
    int (*dump)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "tide_profile_dump");
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 500}, {0, 500}};
    pthread_t threads[2];
    sigset_t alarm;

    CHECK(dump != NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the threads do not take it */
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    }
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_sigmask(SIG_UNBLOCK, &alarm, NULL); /* a dump allocates nothing itself */
        CHECK(dump("/dev/null") == 0);
        pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    }
    memset(&every, 0, sizeof every);
    setitimer(ITIMER_REAL, &every, NULL);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(handled > 20, "%d signals", (int)handled);
    return 0;
}
