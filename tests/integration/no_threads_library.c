/* SPDX-License-Identifier: MIT */
/*
 * Threads made by clone directly, without the threads library's knowledge, which share the
 * caller's thread pointer and run while the parent waits (as vfork does), and a child process of
 * clone without SIGCHLD: both may allocate.
 */
#include "check.h"
#include <sched.h>
#include <sys/mman.h>

static int
child(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        void *p = malloc((size_t)i * 10);
        if (p == NULL) {
            _exit(1);
        }
        memset(p, 1, (size_t)i * 10);
        free(p);
    }
    free(arg);
    _exit(0);
}

int
main(void)
{
    static const int flags[] = {SIGCHLD, CLONE_VM | CLONE_VFORK | SIGCHLD, CLONE_FILES | SIGCHLD};
    size_t stack_size = 1 << 18;
    char *stack =
        mmap(NULL, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        void *block = malloc(500);
        pid_t pid = clone(child, stack + stack_size, flags[i], block);
        CHECK(pid > 0);
        CHECK(wait_for(pid, 10, "clone") == 0, "flags %x", (unsigned)flags[i]);
        if ((flags[i] & CLONE_VM) == 0) {
            free(block);
        }
        free(malloc(100000));
    }
    return 0;
}
