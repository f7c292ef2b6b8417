/* SPDX-License-Identifier: MIT */
/*
 * Frame of a death test: a heap with live blocks in it, the illegal act, then (only reached with
 * TIDE_CONF=abort:false) proof that the heap still works and that nothing live was touched.
 *
 * A test defines act() and includes this file. note() prints the pointer which the report must
 * name.
 */
#ifndef TIDE_TESTS_DEATH_H
#define TIDE_TESTS_DEATH_H

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SMALL = 64, MEDIUM = 20 * 1024, LARGE = 1 << 20, HUGE = 96 << 20 };

static void act(void);

/* The compiler must not know where a pointer came from: it would warn, or optimise the act. */
static void *
hide(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static __attribute__((unused)) void *
obtain(size_t size)
{
    unsigned char *p = hide(malloc(size));
    if (p == NULL) {
        puts("no memory");
        exit(2);
    }
    memset(p, 0x5a, size < 65536 ? size : 65536);
    return p;
}

static __attribute__((unused)) void
note(const void *p)
{
    printf("ptr %p\n", p);
    fflush(stdout);
}

/* A function which only some C libraries declare, or which has a C++ name. */
static __attribute__((unused)) void *
look_up(const char *name)
{
    void *f = dlsym(RTLD_DEFAULT, name);
    if (f == NULL) {
        printf("missing %s\n", name);
        exit(3);
    }
    return f;
}

static __attribute__((unused)) void *
free_it(void *p)
{
    free(p);
    return NULL;
}

static __attribute__((unused)) void
free_in_thread(void *p)
{
    pthread_t t;
    if (pthread_create(&t, NULL, free_it, p) != 0 || pthread_join(t, NULL) != 0) {
        exit(2);
    }
}

/* Hands out many blocks of one size, so that a freed block of that size comes round again. */
enum { DRAIN_MAX = 20000 };
static unsigned char *drained[DRAIN_MAX];
static size_t drained_count, drained_size;

static __attribute__((unused)) void
drain(size_t size, size_t count)
{
    drained_size = size;
    for (drained_count = 0; drained_count < count && drained_count < DRAIN_MAX; drained_count++) {
        unsigned char *p = hide(malloc(size));
        if (p == NULL) {
            exit(2);
        }
        memset(p, (int)(drained_count & 0xff), size);
        memcpy(p, &drained_count, sizeof drained_count);
        drained[drained_count] = p;
    }
}

static void
drain_verify(void)
{
    for (size_t i = 0; i < drained_count; i++) {
        size_t id;
        memcpy(&id, drained[i], sizeof id);
        if (id != i) {
            printf("block %zu was handed out twice (also as %zu)\n", i, id);
            exit(1);
        }
        for (size_t k = sizeof id; k < drained_size; k++) {
            if (drained[i][k] != (unsigned char)i) {
                printf("block %zu damaged at byte %zu\n", i, k);
                exit(1);
            }
        }
        free(drained[i]);
    }
}

enum { LIVE = 1500 };
static struct {
    unsigned char *p;
    size_t size;
} live[LIVE];

static size_t
live_size(size_t i)
{
    static const size_t sizes[] = {16, 64, 64, 64, 100, 250, 1000, 3000, MEDIUM, 70000};
    return sizes[i % (sizeof sizes / sizeof sizes[0])];
}

static void
live_fill(size_t i)
{
    live[i].size = live_size(i);
    live[i].p = hide(malloc(live[i].size));
    if (live[i].p == NULL) {
        exit(2);
    }
    memset(live[i].p, (int)(i * 7 + 1) & 0xff, live[i].size);
}

static void
live_check(size_t i)
{
    for (size_t k = 0; k < live[i].size; k++) {
        if (live[i].p[k] != (unsigned char)(i * 7 + 1)) {
            printf("live block %zu (%zu bytes) damaged at byte %zu\n", i, live[i].size, k);
            exit(1);
        }
    }
}

int
main(void)
{
    for (size_t i = 0; i < LIVE; i++) {
        live_fill(i);
    }
    for (size_t i = 0; i < LIVE; i += 3) {
        free(live[i].p);
        live_fill(i);
    }
    fflush(stdout);
    act();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < LIVE; i++) {
            live_check(i);
            if (i % 2 == (size_t)round % 2) {
                free(live[i].p);
                live_fill(i);
            }
        }
    }
    drain_verify();
    for (size_t i = 0; i < LIVE; i++) {
        live_check(i);
        free(live[i].p);
    }
    free(malloc(LARGE));
    puts("survived");
    return 0;
}

#endif
