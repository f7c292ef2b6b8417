/* SPDX-License-Identifier: MIT */
/* See stacks.h. */
#include "profile/stacks.h"

#include <pthread.h>

#include "base/bits.h"
#include "os/os.h"
#include "profile/modules.h"
#include "profile/profile.h"
#include "profile/record.h"
#include "profile/unwind.h"

#define STACKS 32u /* threads that record a sample at the same time */
#define FORK_WAIT_NS 1000000u
#define FORK_WAITS_MAX 200u
#define LOADER_REFUSED_MAX 8u

/* LOST: its locks were held when this child was forked. */
enum { UNWINDER_NONE = 0, UNWINDER_STARTING = 1, UNWINDER_READY = 2, UNWINDER_LOST = 3 };
/* The word of the gate: threads that unwind, and those that fork meanwhile and let nobody else. */
#define GATE_INSIDE 0xffffu
#define GATE_FORK 0x10000u

extern char single_threaded __asm__("__libc_single_threaded") __attribute__((weak));

static TIDE_SPARSE struct stack stacks[STACKS];
static TIDE_TLS bool without_files;

static uint32_t gate;           /* atomic: */
static uint32_t unwinder;       /* atomic: enum above */
static uint32_t loader_runs;    /* atomic: the thread that loads it is there */
static uint32_t loader_refused; /* atomic(relaxed): times that it could not be started */
static bool forks_among_others; /* forking: other threads may be in the linker */

void
profile_without_files(void)
{
    without_files = true;
}

/* ---- room ------------------------------------------------------------------------------------ */

TIDE_COLD struct stack *
stack_take(void)
{
    for (unsigned i = 0; i < STACKS; i++) {
        uint32_t no = 0;

        if (atomic_load_relaxed(&stacks[i].is_taken) == 0 &&
            atomic_cas_acquire(&stacks[i].is_taken, &no, 1)) {
            return &stacks[i];
        }
    }
    return NULL;
}

TIDE_COLD void
stack_release(struct stack *stack)
{
    if (stack != NULL) {
        atomic_store_release(&stack->is_taken, 0); /* pairs with stack_take */
    }
}

/* Those of threads that are no more. */
static TIDE_COLD void
release_all(void)
{
    for (unsigned i = 0; i < STACKS; i++) {
        if (stacks[i].is_taken != 0) {
            stacks[i].is_taken = 0;
        }
    }
}

/* ---- the gate -------------------------------------------------------------------------------- */

static TIDE_COLD bool
gate_enter(void)
{
    uint32_t word = atomic_load_relaxed(&gate);

    if (atomic_load_relaxed(&unwinder) == UNWINDER_LOST) {
        return false;
    }
    do {
        if (word >= GATE_INSIDE) {
            return false;
        }
    } while (!atomic_cas_acquire(&gate, &word, word + 1));
    return true;
}

static TIDE_COLD void
gate_leave(void)
{
    uint32_t word = atomic_load_relaxed(&gate);

    do {
        if ((word & GATE_INSIDE) == 0) { /* a child, forked by a handler that came in between */
            return;
        }
    } while (!atomic_cas_release(&gate, &word, word - 1)); /* pairs with stacks_prefork */
    if (unlikely(word >= GATE_FORK)) {
        os_futex_wake(&gate, INT32_MAX);
    }
}

TIDE_COLD void
stacks_look_at_modules(void)
{
    if (gate_enter()) {
        modules_look();
        gate_leave();
    }
}

/* ---- the unwinder ---------------------------------------------------------------------------- */

TIDE_COLD void
stacks_load_unwinder(void)
{
    uint32_t none = UNWINDER_NONE;

    if (atomic_load_relaxed(&unwinder) == UNWINDER_NONE && gate_enter()) {
        if (atomic_cas_acquire(&unwinder, &none, UNWINDER_STARTING)) {
            unwind_start((enum unwind_how)profile_config.unwinder);
            modules_look();
            atomic_store_release(&unwinder, UNWINDER_READY); /* pairs with want_unwinder */
        }
        gate_leave();
    }
}

/* No other thread can hold the linker's lock and wait for what this one holds. */
static TIDE_COLD bool
is_single_threaded(void)
{
    return &single_threaded != NULL && single_threaded != 0;
}

static TIDE_COLD void *
loader_main(void *arg)
{
    if (profile_enter()) {
        stacks_load_unwinder();
        profile_leave();
    }
    atomic_store_release(&loader_runs, 0); /* who was kept away by a fork is asked again */
    return arg;
}

/*
 * At the first sample the unwinder is loaded: here, if no lock can be in the way, or else by a
 * thread of its own if there are others (the keeper has not the program's files, of which libunwind
 * opens two); in the linker itself, at a later sample. Samples until then have but their caller, or
 * what frame pointers tell.
 */
static TIDE_COLD void
want_unwinder(const void *from)
{
    if (likely(atomic_load_acquire(&unwinder) != UNWINDER_NONE)) {
        return;
    }
    if (os_is_filtered()) { /* frame pointers need no file */
        return;
    }
    if (is_single_threaded()) {
        if (!unwind_is_in_linker(from)) {
            stacks_load_unwinder();
        }
    } else if (atomic_load_relaxed(&loader_refused) < LOADER_REFUSED_MAX &&
               atomic_exchange_acquire(&loader_runs, 1) == 0 &&
               os_thread_start(loader_main, NULL) != 0) {
        atomic_add_relaxed(&loader_refused, 1);
        atomic_store_release(&loader_runs, 0);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static TIDE_COLD size_t
unwind(const void *from, struct stack *stack)
{
    size_t max = min_zu(profile_config.depth, PROFILE_FRAMES_MAX);
    size_t count = unwind_stack(from, stack->addresses, max + STACK_OWN_MAX);

    return modules_frames(stack->addresses, count, stack->frames, max);
}

TIDE_COLD size_t
stack_frames(struct stack *stack, const void *from)
{
    size_t count = 0;
    int cancel_state;

    if (!without_files) {
        want_unwinder(from);
    }
    if (!without_files && gate_enter()) {
        uint32_t version = modules_version();

        /* malloc is no cancellation point, but libunwind's way to test an address is. */
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        count = unwind(from, stack);
        if (unlikely(modules_version() != version)) { /* what was remembered may be of a lost one */
            unwind_forget();
            count = unwind(from, stack);
        }
        gate_leave();
        (void)pthread_setcancelstate(cancel_state, NULL);
    }
    if (count == 0) {
        stack->frames[count++] = frame_make(0, 0); /* allocated by nobody knows whom */
    }
    return count;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void
stacks_prefork(void)
{
    uint32_t word = atomic_load_relaxed(&gate);
    uint32_t own = profile_is_inside() ? 1 : 0;
    unsigned threads = 1;

    while (!atomic_cas_acquire(&gate, &word, word + GATE_FORK)) {
    }
    for (unsigned i = 0; i < FORK_WAITS_MAX; i++) {
        word = atomic_load_acquire(&gate);
        if ((word & GATE_INSIDE) <= own) {
            break;
        }
        os_futex_wait(&gate, word, FORK_WAIT_NS);
    }
    if (!is_single_threaded() && profile_exists()) {
        threads = os_thread_count();
    }
    /* Our own threads are in the linker within the gate only: they call nothing of the program's.
     * One that ends just now counts as another, and the child goes without stacks. */
    forks_among_others = threads == 0 || threads > 1u + profile_has_keeper() +
                                                       (atomic_load_relaxed(&loader_runs) != 0);
}

/* What other threads left behind: they may have been in the unwinder, or anybody's of the program
 * in the linker, whose lock is then nobody's for good. */
static TIDE_COLD void
go_on_in_child(void)
{
    uint32_t own = profile_is_inside() ? 1 : 0;

    if ((atomic_load_relaxed(&gate) & GATE_INSIDE) > own || forks_among_others) {
        atomic_store_relaxed(&unwinder, UNWINDER_LOST);
    }
    release_all();
    atomic_store_relaxed(&gate, 0);
    atomic_store_relaxed(&loader_runs, 0);
}

void
stacks_postfork(bool in_child)
{
    uint32_t word = atomic_load_relaxed(&gate);

    if (in_child) {
        go_on_in_child();
        return;
    }
    while (!atomic_cas_release(&gate, &word, word - GATE_FORK)) {
    }
}

void
stacks_fork_abrupt(void)
{
    forks_among_others = !is_single_threaded();
}
