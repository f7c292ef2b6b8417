/* SPDX-License-Identifier: MIT */
/*
 * 64 threads allocate (and hand blocks to each other) while four of them also fork without pause.
 * Each child allocates, frees what was handed over, and leaves; some children fork again.
 * Everything ends in bounded time: no lock may be left held in a child.
 * seconds: 90
 */
#include "check.h"
#include <pthread.h>

enum { THREADS = 64, FORKERS = 4, MAILBOXES = 512, FORKS = 40 };
static void *mailbox[MAILBOXES];
static volatile int stop;

static void
churn(uint64_t *state, int steps)
{
    for (int i = 0; i < steps; i++) {
        size_t n = rnd_below(state, (size_t)1 << (4 + rnd_below(state, 14)));
        unsigned char *p = malloc(n + 1);
        CHECK(p != NULL);
        p[0] = 1;
        p[n] = 2;
        void **box = &mailbox[rnd_below(state, MAILBOXES)];
        free(__atomic_exchange_n(box, p, __ATOMIC_ACQ_REL));
    }
}

static void *
worker(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg * 31 + 1;
    while (!stop) {
        churn(&state, 100);
    }
    return NULL;
}

static void *
in_child(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    churn(&state, 300);
    return NULL;
}

static void
child_work(uint64_t state, int depth)
{
    alarm(30);
    churn(&state, 500);
    if (state % 4 == 0) {
        pthread_t t;
        CHECK(pthread_create(&t, NULL, in_child, NULL) == 0);
        pthread_join(t, NULL);
    }
    if (depth == 0 && state % 3 == 0) {
        pid_t grandchild = fork();
        CHECK(grandchild >= 0);
        if (grandchild == 0) {
            child_work(state + 1, 1);
            _exit(0);
        }
        CHECK(wait_for(grandchild, 25, "grandchild") == 0);
    }
    for (int i = 0; i < MAILBOXES; i++) {
        free(mailbox[i]);
    }
}

static void *
forker(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg * 97 + 3;
    for (int n = 0; n < FORKS; n++) {
        churn(&state, 50);
        pid_t child = fork();
        CHECK(child >= 0, "fork: %s", strerror(errno));
        if (child == 0) {
            child_work(rnd(&state), 0);
            _exit(0);
        }
        int status = wait_for(child, 40, "child");
        CHECK(status == 0, "child's status 0x%x", status);
    }
    return NULL;
}

int
main(void)
{
    pthread_t t[THREADS], f[FORKERS];
    for (uintptr_t i = 0; i < THREADS - FORKERS; i++) {
        CHECK(pthread_create(&t[i], NULL, worker, (void *)i) == 0);
    }
    for (uintptr_t i = 0; i < FORKERS; i++) {
        CHECK(pthread_create(&f[i], NULL, forker, (void *)i) == 0);
    }
    for (int i = 0; i < FORKERS; i++) {
        pthread_join(f[i], NULL);
    }
    stop = 1;
    for (int i = 0; i < THREADS - FORKERS; i++) {
        pthread_join(t[i], NULL);
    }
    return 0;
}
