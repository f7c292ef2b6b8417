/* SPDX-License-Identifier: MIT */
/*
 * The sampler: what the heap tells of is recorded here; and when a profile is written.
 *
 * A thread that is inside (profile_enter) has its further allocations ignored: they are the
 * unwinder's or the linker's, or those of a signal handler that interrupted it. Frees of samples
 * are put off then (the lock may be held by the very thread that was interrupted) and made up for
 * by whoever takes the lock next, which is before the address can be a sample's again.
 *
 * The probes alloc(ptr, size, weight) and free(ptr) tell of every sample, recorded or not; the
 * weight is the bytes it stands for. realloc is a free and, if the block is still a sample that is
 * followed, an alloc with what it stands for now.
 */
#include "profile/profile.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/bits.h"
#include "base/probe.h"
#include "heap/sample.h"
#include "os/os.h"
#include "profile/live.h"
#include "profile/modules.h"
#include "profile/record.h"
#include "profile/series.h"
#include "profile/stacks.h"
#include "profile/threads.h"

#define PENDING_MAX 64u
#define SECOND_NS 1000000000u
#define PASS_NS 100000000u
#define WAIT_RATE ((size_t)128 << 10) /* from here on many processes have no sample at all */

/* WAITING: on, and nothing made before there is something to record. READY: the tables exist. */
enum {
    STATE_NONE = 0,
    STATE_WAITING = 1,
    STATE_STARTING = 2,
    STATE_READY = 3,
    STATE_FAILED = 4,
};
struct profile_config profile_config = {
    .memory = (size_t)4 << 20,
    .depth = 64,
    .rate = (size_t)512 << 10,
};

static TIDE_TLS bool inside;

static uint32_t state;             /* atomic: enum above */
static bool is_on;                 /* atomic(relaxed): */
static bool is_broken;             /* atomic(relaxed): the tables are not whole in this child */
static bool forks_inside;          /* forking: in a signal handler that interrupted the profile */
static uint64_t lost;              /* atomic(relaxed): */
static void *pending[PENDING_MAX]; /* atomic: frees that were put off; NULL: none */
static uint32_t pending_count;     /* atomic(relaxed): a hint */
static uint32_t dump_asked;        /* atomic: by a signal */
static uint64_t next_bytes;        /* atomic(relaxed): of the clock, when a dump is due */
static uint64_t next_ns;           /* atomic(relaxed): likewise; 0: not begun */
static struct profile_times times; /* const after start */

TIDE_COLD bool
profile_enter(void)
{
    if (inside) {
        return false;
    }
    inside = true;
    __asm__ volatile("" ::: "memory"); /* for signal handlers of this thread */
    return true;
}

TIDE_COLD bool
profile_is_inside(void)
{
    return inside;
}

TIDE_COLD void
profile_leave(void)
{
    __asm__ volatile("" ::: "memory");
    inside = false;
}

TIDE_COLD uint64_t
profile_lost(void)
{
    return atomic_load_relaxed(&lost);
}

TIDE_COLD struct profile_times
profile_times(void)
{
    struct profile_times now = times;

    now.rate = atomic_load_relaxed(&profile_config.rate);
    return now;
}

bool
profile_is_made(void)
{
    return atomic_load_acquire(&state) == STATE_READY && !atomic_load_relaxed(&is_broken);
}

bool
profile_exists(void)
{
    uint32_t now = atomic_load_relaxed(&state);

    return profile_is_made() || now == STATE_WAITING || now == STATE_STARTING;
}

bool
profile_is_on(void)
{
    return atomic_load_relaxed(&is_on);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* The tables; inside. */
static TIDE_COLD bool
make_tables(void)
{
    uint32_t waiting = STATE_WAITING;

    if (atomic_cas_acquire(&state, &waiting, STATE_STARTING)) {
        bool made = sites_init(profile_config.memory) == 0 && modules_init() == 0 &&
                    series_init(times.start_ns) == 0 && threads_init() == 0;

        if (made) {
            stacks_look_at_modules();
        }
        atomic_store_release(&state, made ? STATE_READY : STATE_FAILED);
    }
    return profile_is_made();
}

TIDE_COLD bool
profile_begin(bool with_unwinder)
{
    int saved_errno = errno;

    if (profile_exists() && profile_enter()) {
        if (make_tables() && with_unwinder) {
            stacks_load_unwinder();
        }
        profile_leave();
    }
    errno = saved_errno;
    return profile_is_made();
}

/* ---- samples --------------------------------------------------------------------------------- */

/* One place for each, where its arguments are in registers already: perf takes one. */
static TIDE_COLD void
probe_alloc(const void *p, size_t size, uint64_t bytes)
{
    TIDE_PROBE3(alloc, (uintptr_t)p, size, bytes);
}

static TIDE_COLD void
probe_free(const void *p)
{
    TIDE_PROBE1(free, (uintptr_t)p);
}

/* lock(profile) held. */
static TIDE_COLD void
forget(sample_t *sample, uint64_t now_ns, uint32_t thread)
{
    series_totals_t before = series_totals_locked();

    series_advance_locked(now_ns);
    site_freed_locked(sample, now_ns, thread);
    threads_note_locked(sample->thread, thread, &before);
    live_remove_locked(sample);
}

/* Frees that were put off: by which thread, and when, is not known any more. */
static TIDE_COLD void
make_up_for_pending(void)
{
    if (likely(atomic_load_relaxed(&pending_count) == 0)) {
        return;
    }
    for (uint32_t i = 0; i < PENDING_MAX; i++) {
        void *p = atomic_exchange_acquire(&pending[i], NULL);
        sample_t *sample = p == NULL ? NULL : live_find_locked(p);

        if (p != NULL) {
            atomic_sub_relaxed(&pending_count, 1);
        }
        if (sample != NULL) {
            forget(sample, os_now_ns(), sample->thread);
        }
    }
}

static TIDE_COLD void
put_off(void *p)
{
    for (uint32_t i = 0; i < PENDING_MAX; i++) {
        void *none = NULL;

        if (atomic_cas_release(&pending[i], &none, p)) { /* pairs with make_up_for_pending */
            atomic_add_relaxed(&pending_count, 1);
            return;
        }
    }
    atomic_add_relaxed(&lost, 1); /* it seems to live until its address is a sample's again */
}

static TIDE_COLD void
lock_tables(void)
{
    lock_acquire(&profile_lock);
    make_up_for_pending();
}

/* lock(profile) held. */
static TIDE_COLD bool
record_locked(sample_t *sample, const frame_t *frames, size_t depth, uint64_t hash)
{
    sample_t *stale = live_find_locked((void *)sample->address);
    series_totals_t before;

    if (stale != NULL) { /* its free was not seen */
        forget(stale, sample->born_ns, stale->thread);
    }
    if (sample->site == 0) {
        sample->site = sites_take_locked(frames, depth, hash);
    }
    sample->born_clock = site_totals.allocated_bytes + bytes_of(sample->weight, sample->size);
    if (live_add_locked(sample) != 0) {
        return false;
    }
    series_advance_locked(sample->born_ns);
    before = series_totals_locked();
    site_allocated_locked(sample);
    threads_note_locked(sample->thread, sample->thread, &before);
    return true;
}

static TIDE_COLD void
record(const void *from, void *p, size_t size, double weight)
{
    static const frame_t unknown = 0;
    struct stack *stack = stack_take();
    const frame_t *frames = stack == NULL ? &unknown : stack->frames;
    size_t depth = stack == NULL ? 1 : stack_frames(stack, from);
    uint64_t hash = site_hash(frames, depth);
    sample_t sample = {
        .address = (uintptr_t)p,
        .size = size,
        .weight = weight,
        .born_ns = os_now_ns(),
        .site = sites_find(frames, depth, hash),
    };
    bool recorded;

    lock_tables();
    sample.thread = threads_self_locked();
    recorded = record_locked(&sample, frames, depth, hash);
    lock_release(&profile_lock);
    stack_release(stack);
    if (!recorded) {
        atomic_add_relaxed(&lost, 1);
    }
}

/* ---- the sampler ---------------------------------------------------------------------------- */

static TIDE_COLD bool
dump_is_due(void)
{
    uint64_t at_bytes = atomic_load_relaxed(&next_bytes);
    uint64_t at_ns = atomic_load_relaxed(&next_ns);
    uint64_t bytes = atomic_load_relaxed(&profile_config.every_bytes);
    uint64_t seconds = atomic_load_relaxed(&profile_config.every_seconds);
    uint64_t clock = atomic_load_relaxed(&site_totals.allocated_bytes);
    uint64_t now_ns = seconds == 0 ? 0 : os_now_ns();
    bool due = unlikely(atomic_load_relaxed(&dump_asked) != 0) &&
               atomic_exchange_acquire(&dump_asked, 0) != 0;

    /* Whoever moves the mark writes the profile. */
    if (bytes != 0 && clock >= at_bytes &&
        atomic_cas_acquire(&next_bytes, &at_bytes, clock + bytes)) {
        due |= at_bytes != 0;
    }
    if (seconds != 0 && now_ns >= at_ns &&
        atomic_cas_acquire(&next_ns, &at_ns, now_ns + seconds * SECOND_NS)) {
        due |= at_ns != 0;
    }
    return due;
}

static TIDE_COLD bool
keeper_is_wanted(void)
{
    return profile_config.keeper || profile_config.signal != 0 ||
           atomic_load_relaxed(&profile_config.every_seconds) != 0;
}

static TIDE_COLD void
dump_if_due(void)
{
    if (dump_is_due()) {
        profile_dump_configured();
    }
}

static TIDE_COLD void
on_allocated(void *p, size_t size, double weight)
{
    const void *stack = __builtin_frame_address(0);
    int saved_errno = errno;

    probe_alloc(p, size, bytes_of(weight, size));
    if (lock_is_forking() || !profile_enter()) {
        atomic_add_relaxed(&lost, 1);
        return;
    }
    if (likely(profile_is_made()) || make_tables()) {
        record(stack, p, size, weight);
    } else {
        atomic_add_relaxed(&lost, 1);
    }
    if (keeper_is_wanted() && !profile_has_keeper()) {
        (void)profile_want_keeper();
    }
    profile_leave();
    dump_if_due();
    errno = saved_errno;
}

static TIDE_COLD void
on_freed(void *p)
{
    int saved_errno = errno;
    sample_t *sample;

    probe_free(p);
    if (!profile_is_made()) {
        return;
    }
    if (!profile_enter()) {
        put_off(p);
        return;
    }
    lock_tables();
    sample = live_find_locked(p);
    if (sample != NULL) {
        forget(sample, os_now_ns(), threads_self_locked());
    }
    lock_release(&profile_lock);
    profile_leave();
    errno = saved_errno;
}

/* lock(profile) held. */
static TIDE_COLD void
rename_locked(void *from, void *to, size_t size, double change)
{
    sample_t *sample = live_find_locked(from);
    series_totals_t before = series_totals_locked();
    sample_t moved;
    uint64_t now_ns;

    if (sample == NULL) {
        return;
    }
    now_ns = os_now_ns();
    moved = *sample;
    moved.address = (uintptr_t)to;
    moved.size = size;
    moved.weight *= change;
    series_advance_locked(now_ns);
    site_resized_locked(sample, &moved, now_ns);
    threads_note_locked(sample->thread, threads_self_locked(), &before);
    if (change > 0) {
        probe_alloc(to, size, bytes_of(moved.weight, size));
    }
    if (from == to && change > 0) {
        *sample = moved;
        return;
    }
    live_remove_locked(sample);
    if (change <= 0) {
        return;
    }
    sample = live_find_locked(to);
    if (sample != NULL) {
        forget(sample, now_ns, sample->thread);
    }
    (void)live_add_locked(&moved); /* there is room: one was taken out */
}

static TIDE_COLD void
on_moved(void *from, void *to, size_t size, double change)
{
    int saved_errno = errno;

    probe_free(from);
    if (!profile_is_made()) {
        return;
    }
    if (!profile_enter()) {
        put_off(from);
        return;
    }
    lock_tables();
    rename_locked(from, to, size, change);
    lock_release(&profile_lock);
    profile_leave();
    errno = saved_errno;
}

static const heap_sampler_t sampler = {on_allocated, on_freed, on_moved};

/* ---- start and stop -------------------------------------------------------------------------- */

static TIDE_COLD void
on_signal(int signal)
{
    (void)signal;
    atomic_store_release(&dump_asked, 1); /* pairs with dump_is_due */
    profile_poke_keeper();
}

static TIDE_COLD void
install_signal(void)
{
    struct sigaction action;
    struct sigaction before;
    int number = SIGRTMIN + (int)profile_config.signal;

    if (profile_config.signal == 0 || number > SIGRTMAX || sigaction(number, NULL, &before) != 0 ||
        before.sa_handler != SIG_DFL) {
        return; /* the program's own handler stays */
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

TIDE_COLD int
profile_start(bool at_start)
{
    uint32_t none = STATE_NONE;
    int saved_errno = errno;

    if (atomic_cas_acquire(&state, &none, STATE_STARTING)) {
        times.start_ns = os_now_ns();
        times.start_real_ns = os_real_ns();
        install_signal();
        if (at_start) {
            modules_note_start();
        }
        atomic_store_release(&state, STATE_WAITING); /* pairs with profile_begin */
    }
    if (!at_start || atomic_load_relaxed(&profile_config.rate) < WAIT_RATE) {
        (void)profile_begin(true);
    }
    errno = saved_errno;
    if (!profile_exists()) {
        return ENOMEM;
    }
    atomic_store_relaxed(&is_on, true);
    heap_sample_start(&sampler, atomic_load_relaxed(&profile_config.rate));
    return 0;
}

TIDE_COLD void
profile_stop(void)
{
    if (profile_exists()) {
        atomic_store_relaxed(&is_on, false);
        heap_sample_start(NULL, 0);
    }
}

void
profile_set_rate(size_t rate)
{
    size_t before = atomic_load_relaxed(&profile_config.rate);

    atomic_store_relaxed(&profile_config.rate, rate);
    if (profile_is_on() && rate != before) {
        heap_sample_start(NULL, rate);
    }
}

/* ---- the keeper's pass ----------------------------------------------------------------------- */

TIDE_COLD void
profile_pass(void)
{
    if (!profile_is_made() || !profile_enter()) {
        return;
    }
    if (profile_is_on()) {
        uint64_t resident = os_rss_bytes();
        uint64_t retained = atomic_load_relaxed(&arena_counters.free_dirty_slices) << SLICE_SHIFT;

        lock_tables();
        series_advance_locked(os_now_ns());
        series_memory_locked(resident, retained);
        lock_release(&profile_lock);
    }
    profile_leave();
    dump_if_due();
}

TIDE_COLD struct profile_totals
profile_totals(void)
{
    struct profile_totals totals = {0};

    if (!profile_is_made() || !profile_enter()) {
        return totals;
    }
    lock_tables();
    totals = (struct profile_totals){
        .allocated_bytes = site_totals.allocated_bytes,
        .allocated_blocks = site_totals.allocated_milli,
        .freed_bytes = site_totals.freed_bytes,
        .live_bytes = site_totals.live_bytes < 0 ? 0 : (uint64_t)site_totals.live_bytes,
        .sites = site_totals.sites,
        .lost_samples = profile_lost(),
    };
    lock_release(&profile_lock);
    profile_leave();
    return totals;
}

TIDE_COLD uint64_t
profile_next_pass_ns(void)
{
    uint64_t at_ns = atomic_load_relaxed(&next_ns);
    uint64_t now_ns;

    if (atomic_load_acquire(&dump_asked) != 0) {
        return 1; /* since the last pass */
    }
    if (!profile_is_made() || atomic_load_relaxed(&profile_config.every_seconds) == 0) {
        return 0;
    }
    now_ns = os_now_ns();
    return at_ns > now_ns ? at_ns - now_ns : PASS_NS;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void
profile_prefork(void)
{
    stacks_prefork();
}

void
profile_lock_acquire(void)
{
    /* Or this is a handler, and its thread is at the tables, or waits to be. */
    forks_inside = inside;
    if (!forks_inside) {
        lock_acquire(&profile_lock);
    }
}

static TIDE_COLD void
go_on_in_child(void)
{
    if (atomic_load_relaxed(&state) == STATE_STARTING) { /* by a thread that is no more */
        atomic_store_relaxed(&state, STATE_FAILED);
    }
    if (forks_inside) {
        atomic_store_relaxed(&is_broken, true);
        atomic_store_relaxed(&is_on, false);
    }
    profile_dump_lock = (lock_t){0};
    threads_fork_child();
}

void
profile_postfork(bool in_child)
{
    stacks_postfork(in_child);
    if (in_child) {
        go_on_in_child();
    }
    if (in_child || !forks_inside) {
        lock_release_after_fork(&profile_lock, in_child);
    }
}

void
profile_fork_abrupt(void)
{
    if (profile_lock.word != 0) { /* somebody was changing the tables */
        atomic_store_relaxed(&is_broken, true);
    }
    forks_inside = inside;
    stacks_fork_abrupt();
}
