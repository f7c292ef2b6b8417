/* SPDX-License-Identifier: MIT */
/*
 * Allocations from a signal handler, at any moment of others, for tool_trace.sh: prints how many
 * there were. As a shared object (with LIBRARY) a malloc that a handler may call: it gives every
 * address once.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#ifdef LIBRARY
static _Alignas(16) char bytes[128 << 20];
static atomic_size_t used;

void *
malloc(size_t size)
{
    size_t room = 16 + (size + 15) / 16 * 16;
    char *block = bytes + atomic_fetch_add(&used, room) + 16;

    memcpy(block - 16, &size, sizeof size);
    return block;
}

void *
calloc(size_t count, size_t size)
{
    return malloc(count * size);
}

void
free(void *block)
{
    (void)block;
}

void *
realloc(void *block, size_t size)
{
    void *to = malloc(size);
    size_t had = 0;

    if (block != NULL) {
        memcpy(&had, (char *)block - 16, sizeof had);
        memcpy(to, block, had < size ? had : size);
    }
    return to;
}

void *
memalign(size_t alignment, size_t size)
{
    char *block = malloc(size + alignment);

    return block + (alignment - (size_t)block % alignment) % alignment;
}

#else
enum { CALLS = 1000000, IN_HANDLER = 2000 };

static volatile sig_atomic_t handled;

static void
on_signal(int number)
{
    (void)number;
    if (handled < IN_HANDLER) {
        void *block = malloc(24);

        __asm__ volatile("" : : "r"(block) : "memory");
        handled++;
    }
}

int
main(void)
{
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    char line[64];

    free(malloc(40)); /* the recorder finds the next malloc before the first signal */
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < CALLS; i++) {
        void *block = malloc(40);

        __asm__ volatile("" : : "r"(block) : "memory");
    }
    setitimer(ITIMER_REAL, &never, NULL);
    snprintf(line, sizeof line, "%d %d\n", CALLS + 1 + handled, handled);
    return fputs(line, stderr) < 0;
}
#endif
