/* SPDX-License-Identifier: MIT */
/*
 * Grows, and then makes children in several threads without a pause, while what it grew by is
 * written: by the keeper if it is told to wait for that, and at its exit, during which the children
 * go on. They allocate, grow further than their parent, have children of their own, exit or end at
 * once: learn_forks [wait | known]; `known` prints how many phases earlier runs have taught.
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

enum { BLOCK = 16 << 10, THREADS = 3, CHILD_SECONDS = 50, QUIET_SECONDS = 9, SAVE_SECONDS = 30 };

static int (*ctl)(const char *name, void *out, size_t *out_len, const void *in, size_t in_len);

static int ending; /* atomic: the process exits, or will very soon */

/* A child made while its parent is inside exit finds the C library's lock there taken, for ever. */
static void
leave(void)
{
    if (__atomic_load_n(&ending, __ATOMIC_SEQ_CST)) {
        _exit(0);
    }
    exit(0);
}

/* A caller of its own for each place it is called from. */
static inline __attribute__((always_inline)) void
grow(size_t mib)
{
    for (size_t bytes = 0; bytes < mib << 20; bytes += BLOCK) {
        char *p = malloc(BLOCK);

        CHECK(p != NULL);
        memset(p, 1, BLOCK);
    }
}

static uint64_t
figure(const char *name)
{
    uint64_t count;
    size_t size = sizeof count;

    CHECK(ctl(name, &count, &size, NULL, 0) == 0);
    return count;
}

static uint64_t
saved(void)
{
    return figure("stats.learn_saved");
}

static void
be_child(unsigned kind)
{
    alarm(CHILD_SECONDS); /* one that hangs is ended; this is not handed down */
    free(hide(malloc(100000)));
    if (kind % 8 == 0) {
        grow(64);
        leave();
    }
    if (kind % 4 == 1) {
        int status;
        pid_t grandchild = fork();

        CHECK(grandchild >= 0);
        if (grandchild == 0) {
            alarm(CHILD_SECONDS);
            leave();
        }
        CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0);
    }
    if (kind % 2 == 0) {
        leave();
    }
    _exit(0);
}

static void *
make_children(void *arg)
{
    for (unsigned kind = 0;; kind++) {
        int status;
        pid_t child = fork();

        CHECK(child >= 0, "fork: %s", strerror(errno));
        if (child == 0) {
            be_child(kind);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0, "status 0x%x", status);
    }
    return arg;
}

static void
wait_until_saved(void)
{
    for (unsigned i = 0; i < SAVE_SECONDS * 100; i++) {
        if (saved() > 0) {
            return;
        }
        usleep(10000);
    }
    CHECK(saved() > 0, "in %d s", SAVE_SECONDS);
}

int
main(int argc, char **argv)
{
    void *symbol = dlsym(RTLD_DEFAULT, "tide_ctl");
    const char *what = argc > 1 ? argv[1] : "";
    pthread_t thread;

    CHECK(symbol != NULL);
    memcpy(&ctl, &symbol, sizeof ctl);
    grow(24);
    if (strcmp(what, "known") == 0) {
        printf("%llu\n", (unsigned long long)figure("stats.learn_known"));
        fflush(stdout); /* or children would print it again */
    } else if (strcmp(what, "wait") == 0) {
        sleep(QUIET_SECONDS); /* the keeper writes after ten */
        CHECK(saved() == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&thread, NULL, make_children, NULL) == 0);
    }
    if (strcmp(what, "wait") == 0) {
        wait_until_saved();
    }
    grow(24); /* another caller: there is something to write at the exit */
    usleep(20000);
    __atomic_store_n(&ending, 1, __ATOMIC_SEQ_CST);
    return 0;
}
