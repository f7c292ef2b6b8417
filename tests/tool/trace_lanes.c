/* SPDX-License-Identifier: MIT */
/*
 * Waves of short-lived blocks, among them such that stay, of one size and from one return address;
 * only the height of the stack tells them apart. In the end the short ones are gone, and nothing
 * happens for a while.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAVES = 40, WAVE = 8000, QUIET_WAVES = 2, KEPT_EVERY = 75, SIZE = 64 };

static void *passing[WAVE], *kept[WAVES * WAVE / KEPT_EVERY];
static size_t kept_count;

static __attribute__((noinline)) void *
take(void)
{
    char *block = malloc(SIZE);

    if (block == NULL) {
        exit(1);
    }
    return memset(block, 1, SIZE);
}

static __attribute__((noinline)) void
pass(size_t turn)
{
    char line[256];

    __asm__ volatile("" : : "r"(line) : "memory");
    passing[turn] = take();
}

static __attribute__((noinline)) void
stay(void)
{
    kept[kept_count++] = take();
    __asm__ volatile("" : : : "memory");
}

int
main(void)
{
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 300000000};

    for (size_t wave = 0; wave < WAVES; wave++) {
        for (size_t turn = 0; turn < WAVE; turn++) {
            pass(turn);
            if (wave >= QUIET_WAVES && turn % KEPT_EVERY == KEPT_EVERY - 1) {
                stay();
            }
        }
        for (size_t turn = 0; turn < WAVE; turn++) {
            free(passing[turn]);
        }
    }
    nanosleep(&pause, NULL);
    while (kept_count > 0) {
        free(kept[--kept_count]);
    }
    return 0;
}
