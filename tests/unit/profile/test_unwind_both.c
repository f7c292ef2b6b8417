/* SPDX-License-Identifier: MIT */
/* profile/unwind where both libunwind and libgcc_s are there: a thread's first stacks are libgcc's,
 * those after them libunwind's, and they are the same, or one site would be two. */
#include <pthread.h>
#include <signal.h>

#include "../unit.h"

#include "profile/modules.h"
#include "profile/unwind.h"

#define DEPTH 20u
#define STACKS 200u /* of more than DEPTH frames: enough for libunwind's turn */
enum { MAX = 64 };

struct taken {
    uintptr_t addresses[MAX];
    size_t count;
};

static struct taken stacks[STACKS];

static TIDE_NOINLINE void
deep(unsigned depth, struct taken *to)
{
    if (depth > 0) {
        deep(depth - 1, to);
    } else {
        to->count = unwind_stack(__builtin_frame_address(0), to->addresses, MAX);
    }
    __asm__ volatile("" ::: "memory");
}

/* The frames from the test's own on. */
static size_t
outer(const struct taken *stack, const uintptr_t **from)
{
    size_t i = 0;

    while (i < stack->count && stack->addresses[i] - (uintptr_t)&deep >= 256) {
        i++;
    }
    *from = &stack->addresses[i];
    return stack->count - i;
}

static void *
compare(void *arg)
{
    const uintptr_t *first;
    size_t count;

    for (size_t i = 0; i < STACKS; i++) {
        deep(DEPTH, &stacks[i]);
    }
    count = outer(&stacks[0], &first);
    assert_true(count > DEPTH);
    for (size_t i = 1; i < STACKS; i++) {
        const uintptr_t *frames;

        assert_int_equal(outer(&stacks[i], &frames), count);
        assert_memory_equal(frames, first, count * sizeof *frames);
    }
    return arg;
}

static void
test_main_thread(void **state)
{
    (void)state;
    compare(NULL);
}

static void
test_another_thread(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, compare, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
on_signal(int number)
{
    (void)number;
    compare(NULL);
}

static void *
raise_it(void *arg)
{
    assert_int_equal(raise(SIGUSR1), 0);
    return arg;
}

/* In a handler, of a thread that has its libgcc turn still before it. */
static void
test_in_a_handler(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t thread;

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, raise_it, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_main_thread),
        cmocka_unit_test(test_another_thread),
        cmocka_unit_test(test_in_a_handler),
    };

#ifdef TIDE_SANITIZED
    return 77; /* libunwind does not know the frames of their runtimes */
#endif
    if (modules_init() != 0) {
        return 1;
    }
    modules_look();
    unwind_start(UNWIND_AUTO);
    if (strcmp(unwind_name(), "libunwind") != 0) {
        return 77; /* not installed */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
