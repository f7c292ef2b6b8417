/* SPDX-License-Identifier: MIT */
/*
 * A multithreaded parent forks again and again while its threads allocate. Each child verifies,
 * resizes and frees blocks of the parent (its own and those of threads which do not exist in the
 * child), allocates everything anew, starts threads, and forks a grandchild. The parent's memory
 * is unharmed.
 */
#include "check.h"
#include <pthread.h>

enum { THREADS = 8, SHARED = 4000, FORKS = 24 };

static struct {
    unsigned char *p;
    size_t size;
    uint64_t tag;
} shared[SHARED];
static volatile int stop;

static void
shared_fill(size_t from, size_t to, uint64_t seed)
{
    for (size_t i = from; i < to; i++) {
        shared[i].size = rnd_below(&seed, i % 200 == 0 ? 300000 : 3000);
        shared[i].tag = seed;
        shared[i].p = malloc(shared[i].size);
        CHECK(shared[i].p != NULL);
        pattern_fill(shared[i].p, shared[i].size, seed);
    }
}

static void *
worker(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    shared_fill(me * (SHARED / THREADS), (me + 1) * (SHARED / THREADS), me + 1);
    __atomic_add_fetch(&stop, 1, __ATOMIC_RELEASE);
    enum { SLOTS = 200 };
    unsigned char *slot[SLOTS] = {NULL};
    size_t size[SLOTS] = {0};
    uint64_t state = me * 77 + 1;
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) < 1000) {
        size_t k = rnd_below(&state, SLOTS);
        if (slot[k] != NULL) {
            CHECK_PATTERN(slot[k], size[k], me);
            free(slot[k]);
        }
        size[k] = rnd_below(&state, (size_t)1 << rnd_below(&state, 17));
        slot[k] = malloc(size[k]);
        CHECK(slot[k] != NULL);
        pattern_fill(slot[k], size[k], me);
    }
    for (int k = 0; k < SLOTS; k++) {
        free(slot[k]);
    }
    return NULL;
}

static void *
child_thread(void *arg)
{
    uint64_t state = (uint64_t)(uintptr_t)arg + 5;
    for (int i = 0; i < 300; i++) {
        size_t n = rnd_below(&state, 50000);
        unsigned char *p = malloc(n);
        CHECK(p != NULL);
        pattern_fill(p, n, state);
        CHECK_PATTERN(p, n, state);
        free(p);
    }
    return NULL;
}

static void
child_work(int depth, int number)
{
    alarm(20);
    for (size_t i = (size_t)number % 3; i < SHARED; i += 3) {
        CHECK_PATTERN(shared[i].p, shared[i].size, shared[i].tag);
        if (i % 2 == 0) {
            free(shared[i].p);
        } else {
            size_t kept = shared[i].size < 500 ? shared[i].size : 500;
            shared[i].p = realloc(shared[i].p, 500);
            CHECK(shared[i].p != NULL);
            CHECK_PATTERN(shared[i].p, kept, shared[i].tag);
            free(shared[i].p);
        }
    }
    for (size_t i = (size_t)number % 3; i < SHARED; i += 3) {
        shared[i].p = NULL;
    }
    for (size_t i = (size_t)number % 3; i < SHARED; i += 3) {
        shared_fill(i, i + 1, i + 1);
    }
    pthread_t t[2];
    for (uintptr_t i = 0; i < 2; i++) {
        CHECK(pthread_create(&t[i], NULL, child_thread, (void *)i) == 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
    }
    if (depth == 0) {
        pid_t grandchild = fork();
        CHECK(grandchild >= 0);
        if (grandchild == 0) {
            child_work(1, number);
            _exit(0);
        }
        int status = wait_for(grandchild, 15, "grandchild");
        CHECK(status == 0, "grandchild's status 0x%x", status);
    }
    for (size_t i = 0; i < SHARED; i++) {
        CHECK_PATTERN(shared[i].p, shared[i].size, shared[i].tag);
        free(shared[i].p);
    }
}

int
main(void)
{
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&t[i], NULL, worker, (void *)i) == 0);
    }
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) < THREADS) {
        sleep_ms(1);
    }
    for (int n = 0; n < FORKS; n++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            child_work(n % 10 == 0 ? 0 : 1, n);
            exit(0);
        }
        int status = wait_for(child, 25, "child");
        CHECK(status == 0, "child %d's status 0x%x", n, status);
    }
    __atomic_store_n(&stop, 1000, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    for (size_t i = 0; i < SHARED; i++) {
        CHECK_PATTERN(shared[i].p, shared[i].size, shared[i].tag);
        free(shared[i].p);
    }
    return 0;
}
