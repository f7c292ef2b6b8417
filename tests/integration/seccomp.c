/* SPDX-License-Identifier: MIT */
/*
 * Sandboxes in which system calls the allocator would like to make are refused (EPERM, ENOSYS): the
 * process still allocates, grows, frees and idles. The filter is in place before the program starts
 * (the program executes itself under it), except "mprotect", which the dynamic linker needs: it is
 * refused from main on, and running out of memory early is then allowed, a crash is not.
 * args: madvise EPERM | madvise ENOSYS | clone EPERM | clone ENOSYS | mremap EPERM | mprotect EPERM
 * args: membarrier EPERM | rseq ENOSYS | memfd_create EPERM | memfd_create ENOSYS | fcntl EPERM
 * args: futex_waitv ENOSYS | futex_waitv EPERM | everything EPERM
 */
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { END = -1 };
static const struct {
    const char *name;
    int calls[20];
} filters[] = {
    {"madvise", {SYS_madvise, END}},
    {"clone", {SYS_clone, SYS_clone3, END}},
    {"membarrier", {SYS_membarrier, SYS_prctl, END}},
    {"mremap", {SYS_mremap, END}},
    {"mprotect", {SYS_mprotect, SYS_madvise, END}},
    {"rseq", {SYS_rseq, SYS_set_robust_list, END}},
    {"memfd_create", {SYS_memfd_create, END}},
    {"fcntl", {SYS_fcntl, END}},
    {"futex_waitv", {SYS_futex_waitv, END}},
    {"everything",
     {SYS_memfd_create, SYS_futex_waitv, SYS_madvise, SYS_clone, SYS_clone3, SYS_membarrier,
      SYS_prctl, SYS_mremap, SYS_sched_getaffinity, SYS_getrandom, SYS_sysinfo, SYS_process_madvise,
      SYS_mlock, SYS_getcpu, SYS_gettid, END}},
};

static void
install(const int *calls, unsigned answer)
{
    struct sock_filter program[64];
    unsigned short n = 0;
    program[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (; *calls != END; calls++) {
        program[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)*calls, 0, 1);
        program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer);
    }
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog whole = {n, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) {
        SKIP("no seccomp: %s", strerror(errno));
    }
}

static void *
small_work(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        free(hide(malloc((size_t)i % 5000)));
    }
    return arg;
}

/* The answers of failing calls depend on the filter; that every answer given is sound does not. */
static void
work(int may_fail)
{
    enum { COUNT = 30000 };
    static unsigned char *p[COUNT];
    uint64_t state = 3;
    for (int round = 0; round < 3; round++) {
        size_t failures = 0;
        for (size_t i = 0; i < COUNT; i++) {
            size_t n = i % 1000 == 0 ? 2 << 20 : rnd_below(&state, 3000) + 8;
            errno = 0;
            p[i] = hide(malloc(n));
            if (p[i] == NULL) {
                CHECK(may_fail && errno == ENOMEM, "size %zu errno %d", n, errno);
                failures++;
                continue;
            }
            pattern_fill(p[i], n < 3000 ? n : 3000, i);
        }
        CHECK(failures < COUNT / 2 || may_fail);
        for (size_t i = 0; i < COUNT; i++) {
            if (p[i] != NULL && i % 20 != 0) {
                CHECK_PATTERN(p[i], 8, i);
                free(p[i]);
                p[i] = NULL;
            }
        }
        malloc_trim(0);
        sleep_ms(300);
        for (size_t i = 0; i < COUNT; i++) {
            if (p[i] != NULL) {
                CHECK_PATTERN(p[i], 8, i);
                free(p[i]);
            }
        }
    }
    unsigned char *grown = NULL;
    for (size_t n = 1000; n < (size_t)48 << 20; n = n * 2) {
        unsigned char *next = hide(realloc(grown, n));
        if (next == NULL) {
            CHECK(may_fail);
            break;
        }
        grown = next;
        memset(grown, 1, n);
    }
    free(grown);
    unsigned char *zero = hide(calloc(1, 10 << 20));
    CHECK(zero != NULL || may_fail);
    for (size_t i = 0; zero != NULL && i < 10 << 20; i++) {
        CHECK(zero[i] == 0, "byte %zu of calloc", i);
    }
    free(zero);
    pthread_t t;
    if (pthread_create(&t, NULL, small_work, NULL) == 0) {
        pthread_join(t, NULL);
    }
    small_work(NULL);
}

int
main(int argc, char **argv)
{
    CHECK(argc == 3);
    int late = strcmp(argv[1], "mprotect") == 0;
    unsigned answer = strcmp(argv[2], "ENOSYS") == 0   ? ENOSYS
                      : strcmp(argv[2], "EINVAL") == 0 ? EINVAL
                                                       : EPERM;
    if (getenv("TEST_FILTERED") == NULL) {
        size_t i = 0;
        while (strcmp(filters[i].name, argv[1]) != 0) {
            i++;
        }
        install(filters[i].calls, answer);
        setenv("TEST_FILTERED", "1", 1);
        if (!late) {
            execv("/proc/self/exe", argv);
            CHECK(0, "execv: %s", strerror(errno));
        }
    }
    work(late);
    return 0;
}
