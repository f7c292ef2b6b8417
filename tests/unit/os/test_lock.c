/* SPDX-License-Identifier: MIT */
/* os/lock: one holder at a time, nobody sleeps for ever, and forks of every kind. */
#include "../unit.h"

#include "os/lock.h"
#include "tidemalloc.h"

/* --- exclusion -------------------------------------------------------------------------------- */

#define ADDS 20000u

static lock_t lock;
static uint64_t guarded; /* lock */

static void *
add_under_lock(void *arg)
{
    for (uint32_t i = 0; i < ADDS; i++) {
        lock_acquire(&lock);
        guarded++;
        lock_release(&lock);
    }
    return arg;
}

static void
test_one_holder_at_a_time(void **state)
{
    pthread_t threads[4];

    (void)state;
    guarded = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_under_lock, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(guarded, 4 * ADDS);
    assert_int_equal(lock.word, 0);
}

static void
test_try_takes_a_free_lock_only(void **state)
{
    lock_t own = {0};

    (void)state;
    assert_true(lock_try_acquire(&own));
    assert_int_equal(own.word, 1);
    assert_false(lock_try_acquire(&own));
    lock_release(&own);
    assert_int_equal(own.word, 0);
    assert_true(lock_try_acquire(&own));
    lock_release(&own);
}

static uint32_t waiting; /* atomic */
static uint32_t served;  /* atomic */

static void *
wait_for_lock(void *arg)
{
    atomic_add_relaxed(&waiting, 1);
    lock_acquire(&lock);
    atomic_add_relaxed(&served, 1);
    lock_release(&lock);
    return arg;
}

/* Longer than anybody spins: all of them sleep, and all are woken in time. */
static void
test_sleepers_are_woken_one_after_another(void **state)
{
    pthread_t threads[5];
    uint64_t released_ns;

    (void)state;
    waiting = served = 0;
    lock_acquire(&lock);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_lock, NULL), 0);
    }
    while (atomic_load_relaxed(&waiting) < 5 || atomic_load_relaxed(&lock.word) != 2) {
        usleep(100);
    }
    usleep(50000); /* the sleepers' own time limit passes: they must go back to sleep */
    assert_int_equal(atomic_load_relaxed(&served), 0);
    assert_int_equal(atomic_load_relaxed(&lock.word), 2);
    released_ns = os_now_ns();
    lock_release(&lock);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(served, 5);
    assert_int_equal(lock.word, 0);
    assert_true(os_now_ns() - released_ns < 5000000000u);
}

static void
note_self(void *arg)
{
    *(void **)arg = lock_self();
}

static void
test_each_thread_has_its_own_self(void **state)
{
    void *others = NULL;

    (void)state;
    unit_on_thread(note_self, &others);
    assert_non_null(lock_self());
    assert_ptr_equal(lock_self(), lock_self());
    assert_ptr_not_equal(lock_self(), others);
}

/* --- forks ------------------------------------------------------------------------------------ */

static void
take_from_other_thread(void *arg)
{
    *(bool *)arg = lock_try_acquire(&lock);
}

static void
test_the_forking_thread_passes_through_locks(void **state)
{
    bool taken = true;

    (void)state;
    assert_false(lock_is_forking());
    lock_acquire(&lock); /* as the handler before the fork does */
    atomic_store_relaxed(&lock_forking_thread, lock_self());
    assert_true(lock_is_forking());
    lock_acquire(&lock); /* libc allocates between the handler and the clone */
    lock_release(&lock);
    assert_int_equal(lock.word, 1); /* still held against all others */
    atomic_store_relaxed(&lock_forking_thread, NULL);
    unit_on_thread(take_from_other_thread, &taken);
    assert_false(taken);
    lock_release(&lock);
    assert_int_equal(lock.word, 0);
}

struct noise {
    uint32_t stop;
};

static void *
allocate_all_the_time(void *arg)
{
    struct noise *noise = arg;
    struct unit_random r = {(uint64_t)os_tid()};
    void *held[64] = {NULL};

    while (atomic_load_relaxed(&noise->stop) == 0) {
        size_t i = unit_below(&r, 64);
        size_t size = (size_t)1 << (4 + unit_below(&r, 14));

        tide_free(held[i]);
        held[i] = tide_malloc(size);
    }
    for (size_t i = 0; i < 64; i++) {
        tide_free(held[i]);
    }
    return NULL;
}

/* Small and large ones: every lock there is. */
static void
allocate_in_child(void *arg)
{
    (void)arg;
    for (size_t size = 16; size <= (size_t)4 << 20; size *= 2) {
        unsigned char *p = tide_malloc(size);

        require(p != NULL);
        p[0] = p[size - 1] = 1;
        tide_free(p);
    }
    (void)keeper_trim();
}

static void
test_fork_while_others_hold_locks(void **state)
{
    struct noise noise = {0};
    pthread_t threads[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_all_the_time, &noise), 0);
    }
    for (int i = 0; i < 100; i++) {
        unit_child(allocate_in_child, NULL);
    }
    atomic_store_relaxed(&noise.stop, 1);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    allocate_in_child(NULL);
}

static uint32_t holding; /* atomic */

static void *
hold_locks(void *arg)
{
    lock_acquire(&arena_lock);
    lock_acquire(&meta_lock);
    atomic_store_release(&holding, 1);
    while (atomic_load_acquire(&holding) != 2) {
        usleep(100);
    }
    lock_release(&meta_lock);
    lock_release(&arena_lock);
    return arg;
}

/* _Fork runs no handlers: the child has the locks of threads that it does not have. */
static void
test_a_child_of_a_bare_fork_recovers_from_held_locks(void **state)
{
    pthread_t thread;
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(lock_process, getpid());
    assert_int_equal(pthread_create(&thread, NULL, hold_locks, NULL), 0);
    while (atomic_load_acquire(&holding) != 1) {
        usleep(100);
    }
    pid = _Fork();
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(20);
        allocate_in_child(NULL);
        _exit(lock_process == getpid() ? 0 : 1);
    }
    assert_true(pid > 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    atomic_store_release(&holding, 2);
    pthread_join(thread, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(lock_process, getpid());
    allocate_in_child(NULL); /* the parent's locks are as they were */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder_at_a_time),
        cmocka_unit_test(test_try_takes_a_free_lock_only),
        cmocka_unit_test(test_sleepers_are_woken_one_after_another),
        cmocka_unit_test(test_each_thread_has_its_own_self),
        cmocka_unit_test(test_the_forking_thread_passes_through_locks),
        cmocka_unit_test(test_fork_while_others_hold_locks),
        cmocka_unit_test(test_a_child_of_a_bare_fork_recovers_from_held_locks),
    };

    return cmocka_run_group_tests_name("os/lock", tests, unit_setup, NULL);
}
