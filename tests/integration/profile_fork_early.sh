# SPDX-License-Identifier: MIT
# Forks around a program's first sample: a child never waits for a lock that a thread it does not
# have holds, has stacks where it can, and its parent goes on to have them.
# only: tide
# seconds: 120
. "$t_top/tests/tool/lib.sh"
cat >early.h <<'EOF'
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) static void *
leaf(size_t size)
{
    void *p = malloc(size);

    __asm__ volatile("" : : "r"(p) : "memory");
    return p;
}

static void
allocate(int count)
{
    for (int i = 0; i < count; i++) {
        free(leaf(3000000));
    }
}

/* A child that allocates; its status. */
static int
child(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        alarm(20);
        allocate(40);
        exit(0);
    }
    waitpid(pid, &status, 0);
    return status;
}
EOF
# Before the first sample, while another thread has the linker's lock.
cat >linker.c <<'EOF'
#include "early.h"

static volatile int is_locked;

static int
hold(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info, (void)size, (void)arg;
    is_locked = 1;
    usleep(300000);
    return 1;
}

static void *
hold_linker(void *arg)
{
    dl_iterate_phdr(hold, NULL);
    return arg;
}

int
main(void)
{
    pthread_t thread;
    int status;

    pthread_create(&thread, NULL, hold_linker, NULL);
    while (!is_locked) {
    }
    status = child();
    pthread_join(thread, NULL);
    return status != 0;
}
EOF
# Right after the first sample of a program with one thread, whose keeper is just being started.
cat >single.c <<'EOF'
#include "early.h"

int
main(void)
{
    allocate(4);
    return child() != 0;
}
EOF
# So many nanoseconds after the first sample of a thread, while a thread loads the unwinder.
cat >loader.c <<'EOF'
#include "early.h"

static volatile int go;

static void *
work(void *arg)
{
    while (!go) {
    }
    allocate(5);
    return arg;
}

static long
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

int
main(int argc, char **argv)
{
    pthread_t thread;
    long start_ns;
    pid_t pid;

    (void)argc;
    pthread_create(&thread, NULL, work, NULL);
    usleep(2000);
    go = 1;
    start_ns = now_ns();
    while (now_ns() - start_ns < atol(argv[1])) {
    }
    pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pthread_join(thread, NULL);
    allocate(5);
    usleep(20000);
    allocate(100);
    return 0;
}
EOF
for program in linker single loader; do
    $CC -g -O1 -fno-optimize-sibling-calls "$program.c" -o "$program" -pthread
done
# run PROGRAM [ARGUMENT]: with a profile of each process.
run() {
    local program=./$1
    shift
    rm -f ./*.tide
    preloaded TIDE_CONF="profile:true,profile_out:$PWD/%p.tide" "$program" "$@"
}

run linker || fail "the child's status is not 0, or it hung"

without=0
for _ in $(seq 30); do
    run single || fail "a child's status"
    for file in *.tide; do
        "$tide" report -f collapsed --sort=samples "$file" >out 2>err || fail "$file: $(cat err)"
        grep -q 'main;.*leaf ' out || without=$((without + 1))
    done
done
[ "$without" -le 5 ] || fail "$without of 60 profiles have no stacks"

without=0
for ((delay = 0; delay < 400000; delay += 10000)); do
    run loader "$delay" || fail "status"
    "$tide" report -f collapsed --sort=samples ./*.tide >out 2>err || fail "$(cat err)"
    grep -q 'main;.*leaf ' out || without=$((without + 1))
done
[ "$without" -le 3 ] || fail "$without of 40 programs never had stacks after a fork"
