/* SPDX-License-Identifier: MIT */
/*
 * The main thread leaves by pthread_exit, the last thread returns: the process must end with
 * status 0 and run its atexit handlers, although a large process has a background thread.
 * args: small | large
 */
#include "check.h"
#include <pthread.h>

static pthread_t main_thread;

static void *
last(void *block)
{
    pthread_join(main_thread, NULL);
    free(block);
    free(malloc(20 << 20));
    sleep_ms(100);
    return NULL;
}

static void
at_exit(void)
{
    dprintf(1, "exit handler ran\n");
}

static int
child(int large)
{
    pthread_t t;
    size_t size = large ? 64 << 20 : 1000;
    void **list = NULL;
    for (size_t n = 0; n < size; n += 4000) {
        void **p = malloc(4000);
        CHECK(p != NULL);
        memset(p, 1, 4000);
        *p = list;
        list = p;
    }
    sleep_ms(50);
    main_thread = pthread_self();
    CHECK(atexit(at_exit) == 0);
    CHECK(pthread_create(&t, NULL, last, malloc(1 << 20)) == 0);
    pthread_exit(NULL);
}

int
main(int argc, char **argv)
{
    int large = argc > 1 && strcmp(argv[1], "large") == 0;
    int out[2];
    char text[64] = "";
    CHECK(pipe(out) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 1);
        child(large);
    }
    close(out[1]);
    int status = wait_for(pid, 10, "process without main thread");
    CHECK(status == 0, "status 0x%x", status);
    CHECK(read(out[0], text, sizeof text - 1) > 0 && strstr(text, "exit handler ran") != NULL);
    return 0;
}
