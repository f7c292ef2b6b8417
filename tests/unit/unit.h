/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of the core share: checks that also work in forked children and in other
 * threads, a seeded generator, children with a time limit, actors (threads that do what they are
 * told, one thing at a time, so that scenarios with several heaps are deterministic), faults.
 *
 * Nothing here allocates from the library under test on behalf of a test.
 */
#ifndef TIDE_TESTS_UNIT_UNIT_H
#define TIDE_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/arena.h"
#include "heap/heap.h"
#include "keeper/keeper.h"
#include "os/os.h"

/* The thread sanitizer cannot start threads in a child of a process with several, and takes the
 * last destructors of a thread for races. */
#if defined(__SANITIZE_THREAD__)
#define UNIT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNIT_TSAN 1
#endif
#endif
#ifndef UNIT_TSAN
#define UNIT_TSAN 0
#endif

#define UNIT_FAILED 101 /* exit code of a child whose check failed */

/* --- checks ----------------------------------------------------------------------------------- */

static TIDE_UNUSED pid_t unit_pid;  /* of the process that runs cmocka; its main thread may jump */
static TIDE_UNUSED int unit_actors; /* alive: they use the stack of the test */

/* cmocka leaves a failed test by longjmp: only its own thread may do that. */
static TIDE_UNUSED void
unit_fail(const char *file, int line, const char *text, unsigned long long a, unsigned long long b,
          bool values)
{
    if (values) {
        dprintf(STDERR_FILENO, "%s:%d: %s: %llu (0x%llx) and %llu (0x%llx)\n", file, line, text, a,
                a, b, b);
    } else {
        dprintf(STDERR_FILENO, "%s:%d: not so: %s\n", file, line, text);
    }
    if (unit_pid != 0 && (unit_pid != getpid() || os_tid() != os_pid() || unit_actors > 0)) {
        _exit(UNIT_FAILED);
    }
    _fail(file, line);
}

#define require(e)                                                                                 \
    do {                                                                                           \
        if (!(e)) {                                                                                \
            unit_fail(__FILE__, __LINE__, #e, 0, 0, false);                                        \
        }                                                                                          \
    } while (0)

#define require_relation(a, relation, b)                                                           \
    do {                                                                                           \
        unsigned long long unit_a = (unsigned long long)(a);                                       \
        unsigned long long unit_b = (unsigned long long)(b);                                       \
        if (!(unit_a relation unit_b)) {                                                           \
            unit_fail(__FILE__, __LINE__, #a " " #relation " " #b, unit_a, unit_b, true);          \
        }                                                                                          \
    } while (0)

#define require_eq(a, b) require_relation(a, ==, b)
#define require_le(a, b) require_relation(a, <=, b)
#define require_ge(a, b) require_relation(a, >=, b)
#define require_gt(a, b) require_relation(a, >, b)

/* The compiler shall not know where the pointer comes from. */
static TIDE_UNUSED void *
unit_hide(const void *p)
{
    uintptr_t at = (uintptr_t)p;

    __asm__ volatile("" : "+r"(at) : : "memory");
    return (void *)at;
}

static TIDE_UNUSED bool
unit_is_filled(const void *p, unsigned char value, size_t size)
{
    const unsigned char *bytes = p;

    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* --- numbers ---------------------------------------------------------------------------------- */

struct unit_random {
    uint64_t state;
};

static TIDE_UNUSED uint64_t
unit_next(struct unit_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 … n - 1 */
static TIDE_UNUSED size_t
unit_below(struct unit_random *r, size_t n)
{
    return (size_t)(unit_next(r) % n);
}

/* --- set-up ----------------------------------------------------------------------------------- */

/* Initialises the library and takes everything out of it that would act by itself: the keeper
 * (thread and passes) and huge pages. Tests call what they want to happen. */
static TIDE_UNUSED int
unit_setup(void **state)
{
    (void)state;
    unit_pid = getpid();
    alarm(120); /* a test that hangs ends */
    if (tide_init_once() != 0) {
        return -1;
    }
    keeper_config.background = false;
    keeper_config.threshold_bytes = SIZE_MAX;
    arena_init(SIZE_MAX, false);
    return 0;
}

/* A tick later than every stamp so far: nothing is too young for it. */
static TIDE_UNUSED uint32_t
unit_now_tick(void)
{
    return atomic_load_relaxed(&arena_tick) + 1;
}

/* --- heaps ------------------------------------------------------------------------------------ */

/* The heap that owns a span; NULL: nobody. */
static TIDE_UNUSED heap_t *
unit_owner(const span_t *span)
{
    heap_t *heap = heap_first();

    while (heap != NULL && heap->key != OWNER_KEY(span_owner(span))) {
        heap = heap->next;
    }
    return heap;
}

static TIDE_UNUSED enum span_state
unit_state(const span_t *span)
{
    return remote_state(atomic_load_acquire(&span->remote));
}

/* --- children --------------------------------------------------------------------------------- */

/* Runs it in a forked child; the wait status. The child is killed after `seconds`. */
static TIDE_UNUSED int
unit_child_status(void (*run)(void *), void *arg, unsigned seconds)
{
    int status = 0;
    pid_t pid;

    if (unit_pid == 0) {
        unit_pid = getpid();
    }
    pid = fork();
    require(pid >= 0);
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(seconds);
        run(arg);
        _exit(0);
    }
    /* Its alarm comes to nothing when only threads with all signals blocked are left. */
    for (unsigned us = 50, waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited += us) {
        if (waited / 1000000 > seconds + 5) {
            kill(pid, SIGKILL);
        }
        us = us < 2000 ? us + us / 2 : us;
        usleep(us);
    }
    return status;
}

static TIDE_UNUSED void
unit_child(void (*run)(void *), void *arg)
{
    int status = unit_child_status(run, arg, 60);

    if (WIFSIGNALED(status)) {
        dprintf(STDERR_FILENO, "the child was ended by signal %d%s\n", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? " (time is up)" : "");
    }
    require_eq(status, 0);
}

/* --- actors ----------------------------------------------------------------------------------- */

struct unit_actor {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void (*run)(void *); /* NULL: idle */
    void *arg;
    bool over;
};

static TIDE_UNUSED void *
unit_actor_main(void *arg)
{
    struct unit_actor *actor = arg;

    pthread_mutex_lock(&actor->mutex);
    for (;;) {
        while (actor->run == NULL && !actor->over) {
            pthread_cond_wait(&actor->changed, &actor->mutex);
        }
        if (actor->run == NULL) {
            break;
        }
        actor->run(actor->arg);
        actor->run = NULL;
        pthread_cond_broadcast(&actor->changed);
    }
    pthread_mutex_unlock(&actor->mutex);
    return NULL;
}

/* 0 or pthread_create's error. */
static TIDE_UNUSED int
unit_actor_start(struct unit_actor *actor)
{
    int error;

    pthread_mutex_init(&actor->mutex, NULL);
    pthread_cond_init(&actor->changed, NULL);
    actor->run = NULL;
    actor->over = false;
    error = pthread_create(&actor->thread, NULL, unit_actor_main, actor);
    unit_actors += error == 0;
    return error;
}

/* The actor runs it; returns when done. */
static TIDE_UNUSED void
unit_actor_do(struct unit_actor *actor, void (*run)(void *), void *arg)
{
    pthread_mutex_lock(&actor->mutex);
    actor->run = run;
    actor->arg = arg;
    pthread_cond_broadcast(&actor->changed);
    while (actor->run != NULL) {
        pthread_cond_wait(&actor->changed, &actor->mutex);
    }
    pthread_mutex_unlock(&actor->mutex);
}

static TIDE_UNUSED void
unit_actor_end(struct unit_actor *actor)
{
    pthread_mutex_lock(&actor->mutex);
    actor->over = true;
    pthread_cond_broadcast(&actor->changed);
    pthread_mutex_unlock(&actor->mutex);
    pthread_join(actor->thread, NULL);
    unit_actors--;
}

/* One thread, from start to end. */
static TIDE_UNUSED void
unit_on_thread(void (*run)(void *), void *arg)
{
    struct unit_actor actor;

    require_eq(unit_actor_start(&actor), 0);
    unit_actor_do(&actor, run, arg);
    unit_actor_end(&actor);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* Which calls of the os layer fail: those named (NULL: all), from the nth on, `times` of them. */
static TIDE_UNUSED struct unit_faults {
    const char *call;
    int error;
    uint32_t nth; /* 1: the first */
    uint32_t times;
    uint32_t seen;   /* atomic: calls that were named */
    uint32_t failed; /* atomic: of them */
} unit_faults;

static TIDE_UNUSED int
unit_fault_hook(const char *call)
{
    uint32_t n;

    if (unit_faults.call != NULL && strcmp(unit_faults.call, call) != 0) {
        return 0;
    }
    n = atomic_add_relaxed(&unit_faults.seen, 1);
    if (n < unit_faults.nth || n - unit_faults.nth >= unit_faults.times) {
        return 0;
    }
    atomic_add_relaxed(&unit_faults.failed, 1);
    return unit_faults.error;
}

static TIDE_UNUSED void
unit_faults_begin(const char *call, int error, uint32_t nth, uint32_t times)
{
    unit_faults = (struct unit_faults){call, error, nth, times, 0, 0};
    atomic_store_relaxed(&os_fault_hook, unit_fault_hook);
}

/* How many calls failed. */
static TIDE_UNUSED uint32_t
unit_faults_end(void)
{
    atomic_store_relaxed(&os_fault_hook, NULL);
    return atomic_load_relaxed(&unit_faults.failed);
}

#endif
