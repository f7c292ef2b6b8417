/* SPDX-License-Identifier: MIT */
/*
 * malloc and free before main and after it: pre-init array, constructors of every priority, atexit
 * and on_exit handlers, destructors; blocks from early are resized and freed late.
 */
#include "check.h"
#include <malloc.h>

static unsigned char *early[8];
static int stages;

static void
stage(int n)
{
    free(NULL);
    early[n] = malloc(1000);
    CHECK(early[n] != NULL);
    pattern_fill(early[n], 1000, (uint64_t)n);
    void *other = calloc(10, 10000);
    CHECK(other != NULL);
    other = realloc(other, 300000);
    CHECK(other != NULL);
    free(other);
    stages++;
}

static void
pre_init(int argc, char **argv, char **envp)
{
    (void)argc, (void)argv, (void)envp;
    stage(0);
}
__attribute__((section(".preinit_array"), used)) static void (*pre_init_entry)(int, char **,
                                                                               char **) = pre_init;

static __attribute__((constructor(101))) void
first_constructor(void)
{
    stage(1);
}

static __attribute__((constructor)) void
plain_constructor(void)
{
    stage(2);
}

static void
check_and_free(int n)
{
    early[n] = realloc(early[n], 20000);
    CHECK(early[n] != NULL);
    CHECK_PATTERN(early[n], 1000, (uint64_t)n);
    free(early[n]);
}

static __attribute__((destructor(101))) void
last_destructor(void)
{
    check_and_free(0);
    void *p = memalign(4096, 100000);
    CHECK(p != NULL);
    memset(p, 1, 100000);
    free(p);
}

static __attribute__((destructor)) void
plain_destructor(void)
{
    check_and_free(1);
}

static void
at_exit(void)
{
    check_and_free(2);
}

static void
on_exit_handler(int status, void *block)
{
    (void)status;
    free(block);
    free(malloc(1 << 20));
}

int
main(void)
{
    CHECK(stages == 3, "%d stages before main", stages);
    CHECK(atexit(at_exit) == 0);
    CHECK(on_exit(on_exit_handler, malloc(500)) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_PATTERN(early[i], 1000, (uint64_t)i);
    }
    return 0;
}
