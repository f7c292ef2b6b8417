/* SPDX-License-Identifier: MIT */
/*
 * Threads with the smallest stack there is use every kind of call, cold and warm: the allocator's
 * slow paths may not need much stack. A signal handler on a small alternate stack allocates as
 * well.
 */
#include "check.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>

static void *kept[64];

static void *
all_calls(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    for (size_t n = 1; n < 8 << 20; n = n * 2 + me) {
        char *p = malloc(n);
        CHECK(p != NULL);
        p[n - 1] = 1;
        p = realloc(p, n * 2);
        CHECK(p != NULL);
        free(__atomic_exchange_n(&kept[n % 64], p, __ATOMIC_ACQ_REL));
        p = calloc(1, n);
        CHECK(p != NULL);
        free(p);
        void *q = NULL;
        CHECK(posix_memalign(&q, 4096, n) == 0);
        free(q);
    }
    (void)mallinfo2();
    malloc_trim(0);
    return NULL;
}

static volatile int handled;

static void
handler(int signal_number)
{
    (void)signal_number;
    all_calls((void *)1);
    handled = 1;
}

int
main(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
    for (int round = 0; round < 20; round++) {
        pthread_t t[4];
        for (uintptr_t i = 0; i < 4; i++) {
            CHECK(pthread_create(&t[i], &attributes, all_calls, (void *)(i + 1)) == 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
        }
    }
    static char stack[16384];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    CHECK(sigaltstack(&alternate, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && handled);
    return 0;
}
