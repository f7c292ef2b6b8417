/* SPDX-License-Identifier: MIT */
/*
 * Programs count their threads. A small process has exactly one; a large one may have the
 * background thread (named, all signals blocked), except with background:false; the child of a
 * large process starts with one thread.
 * only: tide
 * args: small | large | off
 */
#include "check.h"
#include <dirent.h>
#include <sched.h>

static void *
grow(size_t bytes)
{
    unsigned char **list = NULL;
    for (size_t n = 0; n < bytes; n += 4000) {
        unsigned char **p = malloc(4000);
        CHECK(p != NULL);
        memset(p, 1, 4000);
        *p = (unsigned char *)list;
        list = p;
    }
    return list;
}

static void
release(void *list)
{
    while (list != NULL) {
        void *next = *(void **)list;
        free(list);
        list = next;
    }
}

static void
check_background_thread(void)
{
    DIR *d = opendir("/proc/self/task");
    CHECK(d != NULL);
    struct dirent *e;
    int found = 0;
    while ((e = readdir(d)) != NULL) {
        char path[300], name[64] = "";
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid()) {
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        CHECK(f != NULL && fgets(name, sizeof name, f) != NULL);
        fclose(f);
        CHECK(strcmp(name, "tide-keeper\n") == 0, "a thread named %s", name);
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        f = fopen(path, "r");
        char line[256];
        unsigned long long blocked = 0;
        while (fgets(line, sizeof line, f) != NULL) {
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(f);
        /* Everything that can be blocked: 1..31 but KILL and STOP, and the real-time signals. */
        const unsigned long long must =
            0x7fffffffull & ~(1ull << (SIGKILL - 1)) & ~(1ull << (SIGSTOP - 1));
        CHECK((blocked & must) == must, "blocked signals %llx", blocked);
        found++;
    }
    closedir(d);
    CHECK(found == 1, "%d background threads", found);
}

int
main(int argc, char **argv)
{
    CHECK(argc == 2);
    if (strcmp(argv[1], "off") == 0 && getenv("TIDE_CONF") == NULL) {
        setenv("TIDE_CONF", "background:false", 1);
        execv("/proc/self/exe", argv);
    }
    if (strcmp(argv[1], "small") == 0) {
        for (int i = 0; i < 10; i++) {
            release(grow(4 << 20));
            CHECK(thread_count() == 1, "%d threads", thread_count());
            sleep_ms(50);
        }
        CHECK(unshare(CLONE_NEWUSER) == 0 || errno != EINVAL,
              "unshare(CLONE_NEWUSER) sees threads");
        return 0;
    }
    void *list = grow((size_t)96 << 20);
    for (int i = 0; i < 10; i++) {
        release(grow(8 << 20));
        sleep_ms(50);
    }
    if (strcmp(argv[1], "off") == 0) {
        CHECK(thread_count() == 1, "%d threads with background:false", thread_count());
    } else {
        check_background_thread();
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(thread_count() == 1, "%d threads in a new child", thread_count());
        release(list);
        if (strcmp(argv[1], "large") == 0) {
            /* A child gets its thread when it has grown beyond what it inherited. */
            list = grow((size_t)200 << 20);
            sleep_ms(300);
            release(list);
            check_background_thread();
        }
        _exit(0);
    }
    int status = wait_for(child, 20, "child");
    CHECK(status == 0, "child's status 0x%x", status);
    release(list);
    return 0;
}
