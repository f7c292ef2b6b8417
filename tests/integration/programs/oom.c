/* SPDX-License-Identifier: MIT */
/*
 * Allocates until NULL with ENOMEM comes back, frees everything, and does it again: nothing
 * crashes, nothing live is damaged, and as much can be had the second time. Run under a limit.
 * Arguments: threads, and the least number of MiB that must be had.
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>

struct chain {
    struct chain *next;
    size_t size;
};

static size_t
exhaust(size_t size, struct chain **chain)
{
    size_t total = 0;
    for (;;) {
        errno = 0;
        struct chain *c = hide(malloc(size));
        if (c == NULL) {
            CHECK(errno == ENOMEM, "errno %d", errno);
            return total;
        }
        c->next = *chain;
        c->size = size;
        memset(c + 1, 0x6b, size - sizeof *c);
        *chain = c;
        total += size;
        CHECK(total < (size_t)64 << 30, "no limit in force");
    }
}

static void
release(struct chain *chain)
{
    while (chain != NULL) {
        struct chain *next = chain->next;
        const unsigned char *bytes = (const unsigned char *)(chain + 1);
        for (size_t i = 0; i < chain->size - sizeof *chain; i += i < 4096 ? 1 : 509) {
            CHECK(bytes[i] == 0x6b);
        }
        free(chain);
        chain = next;
    }
}

static void *
in_thread(void *arg)
{
    static const size_t sizes[] = {100, 20000};
    for (int i = 0; i < 2; i++) {
        struct chain *chain = NULL;
        exhaust(sizes[i], &chain);
        release(chain);
    }
    return arg;
}

/* Calls which fail must leave things as they were. */
static void
failing_calls(void)
{
    unsigned char *p = NULL;
    struct chain *chain = NULL;
    for (size_t mib = 16; p == NULL && mib > 0; mib /= 2) {
        p = hide(malloc(mib << 20));
    }
    CHECK(p != NULL);
    size_t n = malloc_usable_size(p) < (1 << 20) ? malloc_usable_size(p) : 1 << 20;
    pattern_fill(p, n, 1);
    exhaust(1 << 20, &chain);
    exhaust(4096, &chain);
    for (int i = 0; i < 10; i++) {
        errno = 0;
        CHECK(hide(realloc(p, hide_size((size_t)64 << 30))) == NULL && errno == ENOMEM);
        CHECK_PATTERN(p, n, 1);
        errno = 0;
        CHECK(hide(calloc(1 << 10, 64 << 20)) == NULL && errno == ENOMEM);
        CHECK(hide(aligned_alloc(1 << 21, (size_t)64 << 30)) == NULL && errno == ENOMEM);
        void *q = (void *)(uintptr_t)5;
        CHECK(posix_memalign(&q, 4096, (size_t)64 << 30) == ENOMEM && q == (void *)(uintptr_t)5);
    }
    release(chain);
    CHECK_PATTERN(p, n, 1);
    free(p);
}

int
main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 0;
    size_t least = argc > 2 ? (size_t)atol(argv[2]) << 20 : 0;
    static const size_t sizes[] = {48, 3000, 40000, 1 << 20, 9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t total[2];
        for (int round = 0; round < 2; round++) {
            struct chain *chain = NULL;
            total[round] = exhaust(sizes[i], &chain);
            release(chain);
        }
        CHECK(total[0] >= least, "only %zu bytes of blocks of %zu", total[0], sizes[i]);
        CHECK(total[1] >= total[0] / 10 * 8, "blocks of %zu: %zu bytes at first, then %zu",
              sizes[i], total[0], total[1]);
        fprintf(stderr, "blocks of %zu: %zu MiB, %zu MiB\n", sizes[i], total[0] >> 20,
                total[1] >> 20);
    }
    failing_calls();
    pthread_t t[16];
    int started = 0;
    for (int i = 0; i < threads && i < 16; i++) {
        if (pthread_create(&t[started], NULL, in_thread, NULL) == 0) {
            started++;
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(t[i], NULL);
    }
    char *text = strdup("still alive");
    CHECK(text != NULL);
    puts(text);
    free(text);
    return 0;
}
