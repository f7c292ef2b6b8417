/* SPDX-License-Identifier: MIT */
/*
 * Known sites for profile.sh: each function site_* allocates what the table in it says, all from
 * its own line, and nothing else does in earnest.
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

#define SITE __attribute__((noinline, noclone)) static
enum { KEPT = 4000, WAITING = 20000, PASSED = 20000, GROWN = 4000, THREADS = 4 };

static void *kept[KEPT];
static void *waiting[WAITING];
static void *passed[PASSED];
static void *grown[GROWN];

SITE void *
site_small(void)
{
    return hide(malloc(100));
}

SITE void *
site_large(void)
{
    return hide(malloc(200000));
}

SITE void *
site_kept(void)
{
    return hide(malloc(5000));
}

SITE void *
site_waiting(void)
{
    return hide(calloc(2, 1000));
}

SITE void *
site_passed(void)
{
    return hide(malloc(1500));
}

SITE void *
site_grown(void *p, size_t size)
{
    return hide(realloc(p, size));
}

static void *
make_passed(void *arg)
{
    size_t first = (size_t)arg;

    for (size_t i = first; i < PASSED; i += THREADS) {
        passed[i] = site_passed();
    }
    return NULL;
}

SITE size_t
recurse(unsigned depth)
{
    if (depth == 0) {
        free(site_small());
        return 0;
    }
    return recurse(depth - 1) + hide_size(depth);
}

static void
wait_for_file(const char *file)
{
    for (int i = 0; i < 400 && access(file, F_OK) != 0; i++) {
        sleep_ms(25);
    }
    CHECK(access(file, F_OK) == 0);
}

/* Ends when the file is there, by a signal, or twice if nobody asks for it. Idle meanwhile. */
static void
wait_to_be_written(const char *file, int ask)
{
    for (size_t i = 0; i < 300; i++) {
        kept[i] = hide(malloc(100000));
    }
    if (ask) {
        CHECK(raise(SIGRTMIN + 3) == 0);
    } else {
        wait_for_file(file);
        CHECK(unlink(file) == 0);
    }
    wait_for_file(file);
    _exit(0);
}

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    if (argc > 2) {
        wait_to_be_written(argv[2], strcmp(argv[1], "signal") == 0);
    }
    if (argc > 1 && strcmp(argv[1], "many") == 0) { /* hundreds of sites, deep ones */
        for (unsigned i = 0; i < 250 * 1000; i++) {
            (void)recurse(i % 250);
        }
        return 0;
    }
    for (size_t i = 0; i < 500000; i++) {
        free(site_small());
    }
    for (size_t i = 0; i < 2000; i++) {
        free(site_large());
    }
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = site_kept();
    }
    for (size_t i = 0; i < WAITING; i++) {
        waiting[i] = site_waiting();
    }
    sleep_ms(150); /* longer than an interval of the series */
    for (size_t i = 0; i < WAITING; i++) {
        free(waiting[i]);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, make_passed, (void *)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < PASSED; i++) {
        free(passed[i]);
    }
    sleep_ms(150); /* the threads' intervals are over */
    for (size_t size = 500; size <= 32000; size *= 4) {
        for (size_t i = 0; i < GROWN; i++) {
            grown[i] = site_grown(grown[i], size);
        }
    }
    for (int i = 0; i < 2000; i++) {
        (void)recurse(100);
    }
    if (argc > 1) { /* a file to write from within */
        int (*dump)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "tide_profile_dump");

        CHECK(dump != NULL && dump(argv[1]) == 0);
        for (size_t i = 0; i < KEPT; i++) {
            free(kept[i]);
        }
    }
    return 0;
}
