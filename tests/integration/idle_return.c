/* SPDX-License-Identifier: MIT */
/*
 * A burst, then one survivor in 20, or in 3, scattered, then nothing: two seconds later an idle
 * process holds at most 35 % of its peak, or 70. The number of threads which made the burst is the
 * first argument; they sleep (and keep their heaps) while the process idles. The survivors are
 * unharmed and the memory usable again.
 * only: tide
 * args: 1 20 35 | 3 20 35 | 1 3 70
 */
#include "check.h"
#include <pthread.h>

enum { BYTES = 160 << 20, LEAST = 200, MOST = 4000 };
static pthread_barrier_t full, done, resume;
static int threads;
static unsigned survive; /* one block in so many */

static void *
burst(void *arg)
{
    size_t count = (size_t)(BYTES / threads) / ((LEAST + MOST) / 2);
    unsigned char **p = malloc(count * sizeof *p);
    size_t *size = malloc(count * sizeof *size);
    CHECK(p != NULL && size != NULL);
    uint64_t state = (uint64_t)(uintptr_t)arg + 1;
    for (size_t i = 0; i < count; i++) {
        size[i] = LEAST + rnd_below(&state, MOST - LEAST);
        p[i] = malloc(size[i]);
        CHECK(p[i] != NULL);
        pattern_fill(p[i], size[i], i);
    }
    pthread_barrier_wait(&full); /* or the peak would tell how the threads were scheduled */
    for (size_t i = 0; i < count; i++) {
        if (rnd_below(&state, survive) != 0) {
            free(p[i]);
            p[i] = NULL;
        }
    }
    pthread_barrier_wait(&done);
    pthread_barrier_wait(&resume);
    for (size_t i = 0; i < count; i++) {
        if (p[i] != NULL) {
            CHECK_PATTERN(p[i], size[i], i);
        } else {
            p[i] = malloc(size[i]);
            CHECK(p[i] != NULL);
            pattern_fill(p[i], size[i], i);
        }
    }
    pthread_barrier_wait(&full);
    for (size_t i = 0; i < count; i++) {
        CHECK_PATTERN(p[i], size[i], i);
        free(p[i]);
    }
    free(p);
    free(size);
    return NULL;
}

int
main(int argc, char **argv)
{
    threads = argc > 1 ? atoi(argv[1]) : 1;
    survive = argc > 2 ? (unsigned)atoi(argv[2]) : 20;
    size_t percent = argc > 3 ? (size_t)atoi(argv[3]) : 35;
    pthread_t t[16];
    pthread_barrier_init(&full, NULL, (unsigned)threads);
    pthread_barrier_init(&done, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&resume, NULL, (unsigned)threads + 1);
    for (uintptr_t i = 0; i < (uintptr_t)threads; i++) {
        CHECK(pthread_create(&t[i], NULL, burst, (void *)i) == 0);
    }
    pthread_barrier_wait(&done);
    size_t peak = peak_rss_kib();
    sleep_ms(2000);
    size_t idle = rss_kib();
    fprintf(stderr, "peak %zu KiB, idle %zu KiB, %.2f\n", peak, idle, (double)idle / (double)peak);
    CHECK(idle * 100 <= peak * percent, "peak %zu KiB, 2 s later %zu KiB", peak, idle);
    pthread_barrier_wait(&resume);
    for (int i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
    }
    CHECK(peak_rss_kib() < peak * 11 / 10 + 4096, "first peak %zu KiB, second %zu KiB", peak,
          peak_rss_kib());
    return 0;
}
