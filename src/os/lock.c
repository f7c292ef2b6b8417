/* SPDX-License-Identifier: MIT */
/*
 * The futex mutex's slow side. A waiter spins for about a microsecond (critical sections here are
 * tens of nanoseconds; a sleep and wake costs two orders more), then sleeps with a timeout, so
 * that a child of _Fork, whose lock holder does not exist, notices and recovers.
 */
#include "os/lock.h"

#include "os/os.h"

#define SPIN_ROUNDS 100
#define RESET_WAITS 8u
#define WAIT_NS 20000000ull /* long enough to never matter, short enough for _Fork's child */

void *lock_forking_thread;
int lock_process;
void (*lock_reset_all)(void);

static TIDE_TLS char lock_self_byte;

void *
lock_self(void)
{
    return &lock_self_byte;
}

bool
lock_is_forking(void)
{
    return atomic_load_relaxed(&lock_forking_thread) == lock_self();
}

void
lock_acquire_slow(lock_t *lock)
{
    if (lock_is_forking()) {
        return;
    }
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        if (atomic_load_relaxed(&lock->word) == 0 && lock_try_acquire(lock)) {
            return;
        }
        cpu_relax();
    }
    /* From here the word is 2 whoever holds it, so that every release wakes one waiter. */
    for (unsigned waits = 1; atomic_exchange_acquire(&lock->word, 2) != 0; waits++) {
        os_futex_wait(&lock->word, 2, WAIT_NS);
        /* No holder keeps a lock this long: it is one that this process does not have. */
        if (waits % RESET_WAITS == 0 && lock_process != 0 && os_pid() != lock_process &&
            lock_reset_all != NULL) {
            lock_reset_all();
        }
    }
}

void
lock_wake(lock_t *lock)
{
    os_futex_wake(&lock->word, 1);
}
