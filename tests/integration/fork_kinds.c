/* SPDX-License-Identifier: MIT */
/*
 * vfork and exec, posix_spawn, system, popen, and _Fork (which runs no handlers), from a small
 * process and from one which is large enough to have a background thread.
 * args: small | large
 */
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>

extern char **environ;

static char *const arguments[] = {(char *)"/bin/true", NULL};

static pid_t
vfork_and_exec(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(9);
    }
    return child;
}

static void
spawn_all(void)
{
    for (int i = 0; i < 40; i++) {
        pid_t child = vfork_and_exec();
        CHECK(child >= 0);
        CHECK(wait_for(child, 10, "vfork child") == 0);
        CHECK(posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) == 0);
        CHECK(wait_for(child, 10, "spawned child") == 0);
        free(malloc((size_t)i * 10000));
    }
    CHECK(system("true") == 0);
    FILE *f = popen("echo some words", "r");
    char text[100] = "";
    CHECK(f != NULL && fgets(text, sizeof text, f) != NULL && strcmp(text, "some words\n") == 0);
    CHECK(pclose(f) == 0);
}

/* The child of _Fork in a process whose other threads are not in the allocator. */
static void
raw_fork(void **blocks, int count)
{
    for (int i = 0; i < 20; i++) {
        pid_t child = _Fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(10);
            for (int k = 0; k < count; k++) {
                CHECK(*(int *)blocks[k] == k);
                free(blocks[k]);
            }
            for (int k = 0; k < count; k++) {
                CHECK((blocks[k] = malloc(2000)) != NULL);
                memset(blocks[k], 1, 2000);
            }
            malloc_trim(0);
            _exit(0);
        }
        int status = wait_for(child, 10, "_Fork child");
        CHECK(status == 0, "status 0x%x", status);
    }
}

int
main(int argc, char **argv)
{
    int large = argc > 1 && strcmp(argv[1], "large") == 0;
    int count = large ? 30000 : 1000;
    void **blocks = malloc((size_t)count * sizeof *blocks);
    CHECK(blocks != NULL);
    for (int k = 0; k < count; k++) {
        CHECK((blocks[k] = malloc(3000)) != NULL);
        memset(blocks[k], 0, 3000);
        *(int *)blocks[k] = k;
    }
    spawn_all();
    sleep_ms(200);
    raw_fork(blocks, count);
    for (int k = 0; k < count; k++) {
        CHECK(*(int *)blocks[k] == k);
        free(blocks[k]);
    }
    spawn_all();
    return 0;
}
