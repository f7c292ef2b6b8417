/* SPDX-License-Identifier: MIT */
/*
 * A thread says all the time what the process will need, while children are made, which say so as
 * well and exit; after the process has grown. With `filter` nothing of that: the process grows, and
 * from then on opening a file ends it.
 */
#include "check.h"
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { BLOCKS = 64, BLOCK = 1 << 20, CHILDREN = 60, SECONDS = 60 };

static int (*expect)(size_t bytes, uint64_t within_ns);
static volatile int stop;

static void
fail(const char *what)
{
    fprintf(stderr, "expect_children: %s\n", what);
    _exit(1);
}

static void
grow(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        void *p = malloc(BLOCK);

        if (p == NULL) {
            fail("no memory");
        }
        memset(p, 1, BLOCK);
    }
}

static void *
say_all_the_time(void *arg)
{
    while (!stop) {
        (void)expect(1 << 20, 1000000);
    }
    return arg;
}

static void
make_child(pid_t (*make)(void))
{
    int status;
    pid_t child = make();

    if (child == 0) {
        alarm(SECONDS);
        (void)expect(1 << 20, 1000000);
        free(hide(malloc(100000)));
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fail("a child did not end well");
    }
}

static void
end_at_open(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fail("no filter");
    }
}

int
main(int argc, char **argv)
{
    void *symbol = dlsym(RTLD_DEFAULT, "tide_expect");
    pthread_t thread;

    (void)argv;
    grow();
    if (argc > 1) {
        end_at_open();
        return 0;
    }
    if (symbol == NULL) {
        fail("no tide_expect");
    }
    memcpy(&expect, &symbol, sizeof expect);
    pthread_create(&thread, NULL, say_all_the_time, NULL);
    for (int i = 0; i < CHILDREN; i++) {
        make_child(i % 3 == 0 ? _Fork : fork);
    }
    stop = 1;
    pthread_join(thread, NULL);
    return 0;
}
