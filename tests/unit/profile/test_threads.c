/* SPDX-License-Identifier: MIT */
/*
 * profile/threads: each thread's figures are its own, all of them sum up to the process's whatever
 * threads come and go, and those for whom there is no room are counted together.
 */
#include "../unit.h"

#include <sys/prctl.h>

#include "os/os.h"
#include "profile/sites.h"
#include "profile/threads.h"

#define START ((uint64_t)5000000000)
#define TENTH ((uint64_t)100000000)

static uint64_t now_ns = START;
static uint32_t is_known; /* futex: the guest has its number */
static uint32_t is_over;  /* futex: guests that stay may go */

static int
set_up(void **state)
{
    (void)state;
    return series_init(START) != 0 || threads_init() != 0;
}

/* As profile.c does it. */
static void
allocate(uint32_t owner, uint64_t bytes, uint64_t blocks)
{
    series_totals_t before = series_totals_locked();

    series_advance_locked(now_ns);
    site_totals.allocated_bytes += bytes;
    site_totals.allocated_milli += blocks * 1000;
    site_totals.live_bytes += (int64_t)bytes;
    threads_note_locked(owner, owner, &before);
}

static void
release(uint32_t owner, uint32_t actor, uint64_t bytes)
{
    series_totals_t before = series_totals_locked();

    series_advance_locked(now_ns);
    site_totals.freed_bytes += bytes;
    site_totals.live_bytes -= (int64_t)bytes;
    threads_note_locked(owner, actor, &before);
}

static void
advance(uint64_t ns)
{
    now_ns += ns;
    series_advance_locked(now_ns);
    threads_follow_locked();
}

/* The latest value of the thread's, or of the series without a name for the sum of all. */
static int64_t
latest(int tid, enum series_figure figure)
{
    int64_t sum = 0;

    for (unsigned i = 0; i <= THREADS_MAX; i++) {
        struct thread_view view;

        if (threads_view_locked(i, &view) && (tid < 0 || view.tid == tid)) {
            uint32_t count = series_view_locked(view.series, SERIES_FINE).count;

            require_gt(count, 0);
            sum += series_value_locked(view.series, SERIES_FINE, figure, count - 1);
        }
    }
    return sum;
}

static void
check_sum(void)
{
    uint32_t last = series_view_locked(&series_process, SERIES_FINE).count - 1;

    for (unsigned figure = 0; figure < SERIES_THREAD_FIGURES; figure++) {
        assert_int_equal(
            latest(-1, (enum series_figure)figure),
            series_value_locked(&series_process, SERIES_FINE, (enum series_figure)figure, last));
    }
}

static const char *
name_of(int tid)
{
    struct thread_view view;

    for (unsigned i = 0; i <= THREADS_MAX; i++) {
        if (threads_view_locked(i, &view) && view.tid == tid) {
            return view.name;
        }
    }
    return NULL;
}

struct guest {
    uint32_t number;
    int tid;
    bool stays;
};

static void *
guest_runs(void *arg)
{
    struct guest *guest = arg;

    prctl(PR_SET_NAME, "guest", 0, 0, 0);
    guest->number = threads_self_locked(); /* one thread at a time: nobody needs the lock */
    guest->tid = os_tid();
    if (guest->stays) {
        atomic_store_release(&is_known, 1);
        os_futex_wake(&is_known, 1);
        while (atomic_load_acquire(&is_over) == 0) {
            os_futex_wait(&is_over, 0, 0);
        }
    }
    return NULL;
}

static void
visit(struct guest *guest)
{
    pthread_t thread;

    require_eq(pthread_create(&thread, NULL, guest_runs, guest), 0);
    require_eq(pthread_join(thread, NULL), 0);
}

static void
test_owner_and_actor(void **state)
{
    uint32_t self = threads_self_locked();
    struct guest guest = {0};

    (void)state;
    visit(&guest);
    require(self != 0 && guest.number != 0 && self != guest.number);
    assert_string_equal(name_of(guest.tid), "guest");
    allocate(self, 1000, 10);
    allocate(guest.number, 500, 1);
    release(guest.number, self, 200); /* what the other allocated */
    advance(TENTH);
    assert_int_equal(latest(os_tid(), SERIES_LIVE_BYTES), 1000);
    assert_int_equal(latest(os_tid(), SERIES_ALLOCATED_RATE), 10000);
    assert_int_equal(latest(os_tid(), SERIES_ALLOCATIONS_RATE), 100);
    assert_int_equal(latest(os_tid(), SERIES_FREED_RATE), 2000);
    assert_int_equal(latest(guest.tid, SERIES_LIVE_BYTES), 300);
    assert_int_equal(latest(guest.tid, SERIES_FREED_RATE), 0);
    check_sum();
    prctl(PR_SET_NAME, "renamed", 0, 0, 0);
    assert_int_equal(threads_self_locked(), self);
    assert_string_equal(name_of(os_tid()), "renamed");
}

static void
test_ended_threads_make_room(void **state)
{
    uint32_t self = threads_self_locked();
    struct guest busiest = {0}, guest = {0};

    (void)state;
    visit(&busiest);
    allocate(busiest.number, 1000000, 1);
    for (unsigned i = 0; i < 3 * THREADS_MAX; i++) {
        visit(&guest);
        require(guest.number > busiest.number);
        allocate(guest.number, 100 + i, 1);
        allocate(self, 10, 1);
        if (i % 4 == 0) { /* in the middle of an interval: nothing of it is lost */
            advance(TENTH);
            check_sum();
        }
    }
    require(name_of(busiest.tid) != NULL); /* who allocated more stays longer */
    require(name_of(os_tid()) != NULL);
    require(name_of(0) != NULL);
    release(guest.number - THREADS_MAX - 40, self, 100); /* of one that is among the others */
    advance(TENTH);
    check_sum();
    release(busiest.number, guest.number, 1000000);
    advance(3 * TENTH);
    check_sum();
}

static void
test_living_threads_stay(void **state)
{
    struct guest guests[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    struct guest late = {0};

    (void)state;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        guests[i] = (struct guest){.stays = true};
        atomic_store_relaxed(&is_known, 0);
        require_eq(pthread_create(&threads[i], NULL, guest_runs, &guests[i]), 0);
        while (atomic_load_acquire(&is_known) == 0) {
            os_futex_wait(&is_known, 0, 0);
        }
        allocate(guests[i].number, 1, 1);
    }
    visit(&late); /* all others live */
    require(name_of(late.tid) == NULL);
    allocate(late.number, 700, 1);
    advance(TENTH);
    assert_int_equal(latest(guests[0].tid, SERIES_ALLOCATED_RATE), 10);
    require(latest(0, SERIES_ALLOCATED_RATE) >= 7000);
    check_sum();
    atomic_store_release(&is_over, 1);
    os_futex_wake(&is_over, INT32_MAX);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        require_eq(pthread_join(threads[i], NULL), 0);
    }
    visit(&late); /* another thread */
    require(name_of(late.tid) != NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner_and_actor),
        cmocka_unit_test(test_ended_threads_make_room),
        cmocka_unit_test(test_living_threads_stay),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
