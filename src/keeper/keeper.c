/* SPDX-License-Identifier: MIT */
/*
 * The keeper's thread and pass. One pass at a time (pass_lock). The thread sleeps for an interval
 * while there is memory that may have to go back, and without end when there is none; slow paths
 * wake it then (heap_poke_keeper).
 *
 * Pooled spans that nobody touched for a window are cooled (holes purged); orphaned heaps are
 * dissolved after a window; free slices go by the advice of predict/peak. For how long the window
 * is, with forecasts, see predict/patience.
 */
#include "keeper/keeper.h"

#include <errno.h>

#include "heap/heap.h"
#include "heap/transfer.h"
#include "keeper/huge.h"
#include "keeper/learn.h"
#include "keeper/outlook.h"
#include "keeper/promise.h"
#include "keeper/rise.h"
#include "os/memfile.h"
#include "os/os.h"
#include "page/page.h"
#include "predict/patience.h"
#include "profile/profile.h"
#include "profile/record.h"

#define SLICE_ROUND(bytes) ((bytes) & ~(SLICE_BYTES - 1))
#define HOLE_QUOTA_BYTES ((size_t)256 << 20) /* per pass: bounds its time to some 100 ms */
#define FREE_QUOTA_BYTES ((size_t)1 << 30)
#define THRESHOLD_BYTES ((size_t)16 << 20) /* where nobody says otherwise; as in options.def */
#define PREDICT_THRESHOLD_BYTES ((size_t)2 << 20)
#define EXIT_TRIES 50u
#define EXIT_WAIT_NS ((uint64_t)1000000)
#define QUIET_PASSES_MAX 3u /* passes without work before the thread sleeps without end */

enum keeper_thread { THREAD_NONE = 0, THREAD_STARTING = 1, THREAD_RUNNING = 2, THREAD_REFUSED = 3 };

struct keeper_config keeper_config = {
    .background = true,
    .purge = true,
    .hole_purge = true,
    .interval_ms = 100,
    .window_ms = 1000,
    .threshold_bytes = THRESHOLD_BYTES,
    .spare_bytes = (size_t)1 << 20,
};
struct keeper_counters keeper_counters;

static lock_t pass_lock;
static struct patience patience;   /* lock(pass) */
static uint64_t last_pass_ms;      /* atomic(relaxed) */
static uint64_t last_purged_tick;  /* lock(pass) */
static uint64_t last_purged_level; /* lock(pass): used bytes when memory was last released */
static uint64_t seen_work;         /* lock(pass): slices allocated and freed at the last pass */
static uint64_t seen_clean;        /* lock(pass): slices taken without pages until then */
static uint64_t seen_readied;      /* lock(pass): bytes made ready that were used until then */
static uint32_t thread_state;      /* atomic: enum keeper_thread */
static uint32_t stop_asked;        /* atomic: the thread is to return */
static uint32_t wake_word;         /* atomic: futex; 1 while the thread sleeps without end */
static uint32_t look_word;         /* atomic: futex; 1 while it sleeps until the next pass */

static uint64_t work_at_fork; /* init in a child: slices_moved() of its parent */

/* Slices taken and given so far: what the arena has been asked to do. */
static uint64_t
slices_moved(void)
{
    return atomic_load_relaxed(&arena_counters.slices_allocated) +
           atomic_load_relaxed(&arena_counters.slices_freed);
}

static uint64_t
bytes_given_back(void)
{
    return atomic_load_relaxed(&arena_counters.purged_bytes) +
           atomic_load_relaxed(&arena_counters.hole_purged_bytes);
}

static uint64_t
now_ms(void)
{
    return os_now_ns() / 1000000u;
}

static struct tide_record
observe(uint64_t at_ms)
{
    struct arena_counters *c = &arena_counters;
    size_t used = atomic_load_relaxed(&c->used_slices);
    size_t top = atomic_load_relaxed(&c->used_peak);
    uint64_t clean = atomic_load_relaxed(&c->clean_taken);
    uint64_t readied = atomic_load_relaxed(&rise_counters.used_bytes);
    struct tide_record record;

    atomic_store_relaxed(&c->used_peak, used); /* a peak lost to a race shows up in `used` */
    record = (struct tide_record){
        .now_ms = at_ms,
        .used_bytes = (uint64_t)used << SLICE_SHIFT,
        .peak_bytes = (uint64_t)max_zu(top, used) << SLICE_SHIFT,
        .retained_bytes = (uint64_t)atomic_load_relaxed(&c->free_dirty_slices) << SLICE_SHIFT,
        .faulted_bytes = (clean - seen_clean) << SLICE_SHIFT,
        .readied_bytes = readied - seen_readied,
    };
    seen_clean = clean;
    seen_readied = readied;
    return record;
}

static uint32_t
interval_ms(void)
{
    return atomic_load_relaxed(&keeper_config.interval_ms);
}

static uint32_t
window_ms(void)
{
    return atomic_load_relaxed(&keeper_config.window_ms);
}

/* Ticks are intervals; a window is so many. */
static uint32_t
ticks_of(uint64_t window)
{
    uint32_t interval = interval_ms();

    return (uint32_t)(window / (interval == 0 ? 1 : interval));
}

static void
score(const struct tide_record *record, uint32_t tick)
{
    bool recent = last_purged_tick != 0 && tick - last_purged_tick <= ticks_of(window_ms());

    if (recent && record->peak_bytes > last_purged_level) {
        counter_add(&keeper_counters.regretted, 1);
        last_purged_tick = 0;
    }
}

static size_t
release_free(const struct tide_advice *advice, const struct tide_record *record, uint32_t tick)
{
    size_t want = SLICE_ROUND(min_zu(advice->release_bytes, FREE_QUOTA_BYTES));
    size_t done;

    if (want == 0) {
        return 0;
    }
    counter_add(&keeper_counters.advised, 1);
    counter_add(&keeper_counters.tried, 1);
    done = arena_purge_free(promise_leaves(want), tick + 1);
    rise_purged_locked(done);
    if (done > 0) {
        counter_add(&keeper_counters.applied, 1);
        last_purged_tick = tick;
        last_purged_level = record->peak_bytes + advice->keep_bytes;
    }
    return done;
}

/* What the pass saw and decides, for whoever asks. */
static void
note(const struct tide_record *record, const struct peak_params *params, uint64_t level,
     uint64_t keep_bytes)
{
    struct outlook_pass pass = {
        .now_ns = os_now_ns(),
        .record = *record,
        .level_bytes = level,
        .window_ms = params->window_ms,
        .spare_bytes = params->spare_bytes,
        .grow_bytes = rise_keeps_bytes(),
        .keep_bytes = keep_bytes,
        .purges = atomic_load_relaxed(&keeper_config.purge),
    };

    outlook_note_locked(&pass);
}

static bool
purges_holes(void)
{
    return atomic_load_relaxed(&keeper_config.purge) &&
           atomic_load_relaxed(&keeper_config.hole_purge) && promise_guaranteed_bytes() == 0 &&
           os_has(OS_FEATURE_DONTNEED);
}

/* Are there spans that are not cooled yet? A window after their last change they are to be. */
static bool
holes_to_come(void)
{
    return purges_holes() && pool_is_warm();
}

/* One pass; true when there may be more to do soon. lock(pass) held. */
TIDE_COLD static bool
pass_locked(void)
{
    bool learned = rise_is_able(); /* to give back too early costs page faults the less */
    struct peak_params params = {
        .spare_bytes = max_zu(atomic_load_relaxed(&keeper_config.spare_bytes), rise_keeps_bytes()),
    };
    uint64_t at_ms = now_ms();
    uint32_t tick = atomic_add_relaxed(&arena_tick, 1);
    uint32_t old;
    struct tide_record record = observe(at_ms);
    struct tide_advice advice;
    const struct peak_state *peak;
    uint64_t work = slices_moved();
    size_t done = 0;
    bool waits; /* in heaps and between them: it becomes old */

    atomic_store_relaxed(&last_pass_ms, at_ms);
    counter_add(&keeper_counters.passes, 1);
    (void)huge_is_dear(); /* or no more */
    score(&record, tick);
    patience_observe(&patience, window_ms(), params.spare_bytes, &record);
    params.window_ms = patience_window(&patience, window_ms(), learned);
    old = tick - ticks_of(params.window_ms);
    peak = patience_peak(&patience, learned);
    advice = peak_advise(peak, &params, &record);
    note(&record, &params, peak_level(peak), advice.keep_bytes);
    waits = transfer_send_home(old);
    waits |= heap_let_go_spares(SPARE_NEEDED);
    if (atomic_load_relaxed(&keeper_config.purge)) {
        counter_add(&keeper_counters.orphans_dissolved, heap_dissolve_orphans(old));
        if (purges_holes()) {
            done += heap_purge_holes(old, HOLE_QUOTA_BYTES);
        }
        waits |= holes_to_come();
        done += release_free(&advice, &record, tick);
    }
    if (work != seen_work || done > 0 || waits || rise_holds()) {
        seen_work = work;
        return true;
    }
    return peak_level(peak) > record.used_bytes && record.retained_bytes > params.spare_bytes;
}

/* The sooner of two times to wait; 0 is for ever. */
static uint64_t
sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The exchange orders the store before the looks: who asks or works after them sees the word. True
 * when it was somebody in this process, or their work, and not the time or a reader of the page. */
static bool
sleep_until_woken(void)
{
    bool by_work;

    (void)atomic_exchange_acq_rel(&wake_word, 1);
    if (atomic_load_acquire(&stop_asked) == 0 && slices_moved() == seen_work && !holes_to_come()) {
        uint64_t timeout_ns = sooner(profile_next_pass_ns(), page_next_pass_ns());

        timeout_ns = sooner(timeout_ns, learn_next_pass_ns());
        uint32_t *bell = page_bell();

        if (bell == NULL) {
            os_futex_wait(&wake_word, 1, timeout_ns);
        } else {
            os_futex_wait_or_bell(&wake_word, 1, bell, timeout_ns);
        }
    }
    by_work =
        atomic_load_relaxed(&wake_word) == 0 || slices_moved() != seen_work || holes_to_come();
    atomic_store_relaxed(&wake_word, 0);
    return by_work;
}

/* See rise_look_locked. */
static uint64_t
look_at_rise(void)
{
    uint64_t nap_ns;

    lock_acquire(&pass_lock);
    nap_ns = rise_look_locked();
    lock_release(&pass_lock);
    return nap_ns;
}

/* Until something runs low; true: something does. The word comes before the look at the marks: who
 * runs low after it sees the word. */
static bool
wait_for_low(uint64_t timeout_ns)
{
    (void)atomic_exchange_acq_rel(&look_word, 1);
    atomic_fence_seq_cst(); /* pairs with heap_poke_rise */
    if (!arena_runs_low()) {
        os_futex_wait(&look_word, 1, timeout_ns);
    }
    return atomic_exchange_acq_rel(&look_word, 0) == 0 || arena_runs_low();
}

/* Until the next pass is due. */
static void
sleep_interval(void)
{
    static uint32_t never;
    uint64_t end_ns = os_now_ns() + (uint64_t)interval_ms() * 1000000u;
    uint64_t nap_ns = keeper_config.predict ? look_at_rise() : 0;
    uint64_t now_ns = os_now_ns();

    while (now_ns < end_ns && atomic_load_relaxed(&stop_asked) == 0) {
        bool look = true;

        if (nap_ns > 0) {
            os_futex_wait(&never, 0, min_zu(nap_ns, end_ns - now_ns));
        } else {
            look = wait_for_low(end_ns - now_ns);
        }
        nap_ns = look && keeper_config.predict ? look_at_rise() : 0;
        now_ns = os_now_ns();
    }
}

/* Forecasts begin earlier, but not in tools that end at once (1.4 MiB: perl, curl); and not where
 * somebody said how early. */
static size_t
threshold_bytes(void)
{
    size_t bytes = keeper_config.threshold_bytes;

    return keeper_config.predict && bytes == THRESHOLD_BYTES ? PREDICT_THRESHOLD_BYTES : bytes;
}

static void
wait_at_exit(void)
{
    static uint32_t never;

    os_futex_wait(&never, 0, EXIT_WAIT_NS);
}

/* At the exit nothing is worth waiting for long: a signal handler that ends the process may have
 * interrupted who holds the lock. */
static bool
acquire_pass(bool at_exit)
{
    if (!at_exit) {
        lock_acquire(&pass_lock);
        return true;
    }
    for (unsigned i = 0; i < EXIT_TRIES; i++) {
        if (lock_try_acquire(&pass_lock)) {
            return true;
        }
        wait_at_exit();
    }
    return false;
}

/* At the exit the thread may be at it: the process is not to end in the middle. */
static void
await_saving(void)
{
    for (unsigned i = 0; i < EXIT_TRIES && learn_is_saving(); i++) {
        wait_at_exit();
    }
}

/* Writes what was learned, if it is time. (slow) */
static void
save_learned(bool at_exit)
{
    bool is_due;
    bool changed;

    if (!learn_is_on()) {
        return;
    }
    if (at_exit) {
        await_saving();
    }
    if (!acquire_pass(at_exit)) {
        learn_note_failure();
        return;
    }
    is_due = learn_is_due_locked(os_now_ns(), at_exit);
    lock_release(&pass_lock);
    if (!is_due || !learn_save_begin()) {
        return;
    }
    changed = acquire_pass(at_exit);
    if (changed) {
        learn_save_locked();
        lock_release(&pass_lock);
    }
    learn_save_end(changed);
}

TIDE_COLD void
keeper_learn(const char *directory)
{
    uint64_t expected = keeper_config.predict ? learn_begin(directory) : 0;

    arena_expect(expected);
    if (expected >= threshold_bytes()) {
        (void)keeper_start();
    }
}

TIDE_COLD int
keeper_expect(size_t bytes, uint64_t within_ns)
{
    if (!keeper_config.predict || !keeper_start()) {
        return ENOTSUP;
    }
    promise_expect(os_now_ns(), bytes, within_ns);
    heap_poke_rise();
    return 0;
}

TIDE_COLD void
keeper_at_exit(void)
{
    save_learned(true);
}

TIDE_COLD static void *
keeper_thread_main(void *arg)
{
    uint32_t quiet = 0;

    os_name_thread("tide-keeper");
    if ((page_is_wanted() || keeper_config.predict) && memfile_own_table()) {
        profile_without_files();
        rise_begin(); /* it opens files, all the time: not among the program's */
        if (keeper_config.predict) {
            (void)look_at_rise(); /* what earlier runs had grew at once */
        }
        if (page_is_wanted()) {
            page_begin();
            if (keeper_config.predict) {
                outlook_begin();
            }
        }
    }
    atomic_store_release(&thread_state, THREAD_RUNNING);
    while (atomic_exchange_acquire(&stop_asked, 0) == 0) {
        bool busy;

        lock_acquire(&pass_lock);
        busy = pass_locked();
        lock_release(&pass_lock);
        profile_pass();
        page_pass();
        save_learned(false);
        quiet = busy ? 0 : quiet + 1;
        if (quiet <= QUIET_PASSES_MAX + ticks_of(window_ms())) {
            sleep_interval();
        } else if (sleep_until_woken()) {
            quiet = 0;
        }
    }
    page_end();
    outlook_end();
    lock_acquire(&pass_lock);
    rise_drop_locked();
    rise_end();
    lock_release(&pass_lock);
    atomic_store_release(&thread_state, THREAD_NONE);
    return arg;
}

/* The last thread with a heap ends. The C library ends the process when its last thread does, and
 * ours must not be that one for ever; it is started again when there is work. */
void
heap_last_thread_gone(void)
{
    uint32_t state = atomic_load_relaxed(&thread_state);

    if (state == THREAD_RUNNING || state == THREAD_STARTING) {
        atomic_store_release(&stop_asked, 1);
        (void)atomic_exchange_acq_rel(&wake_word, 0);
        os_futex_wake(&wake_word, 1);
        heap_poke_rise();
    }
}

TIDE_COLD static void
start_thread(void)
{
    uint32_t none = THREAD_NONE;
    uint32_t starting = THREAD_STARTING;
    bool entered;

    if (!atomic_cas_acquire(&thread_state, &none, THREAD_STARTING)) {
        return;
    }
    counter_add(&keeper_counters.thread_starts, 1);
    atomic_store_relaxed(&stop_asked, 0);
    entered = profile_enter(); /* what libc allocates for it is not the program's */
    if (os_thread_start(keeper_thread_main, NULL) == 0) { /* from here on forks count it */
        (void)atomic_cas_release(&thread_state, &starting, THREAD_RUNNING);
    } else {
        atomic_store_relaxed(&thread_state, THREAD_REFUSED);
    }
    if (entered) {
        profile_leave();
    }
}

/* The pass on an allocating thread's slow path, when there is no thread to do it. */
TIDE_COLD static void
pass_in_passing(void)
{
    uint64_t since = now_ms() - atomic_load_relaxed(&last_pass_ms);

    if (since >= interval_ms() && lock_try_acquire(&pass_lock)) {
        (void)pass_locked();
        lock_release(&pass_lock);
    }
}

void
heap_wake_keeper(void)
{
    if (unlikely(atomic_load_relaxed(&wake_word) != 0)) {
        atomic_store_relaxed(&wake_word, 0);
        os_futex_wake(&wake_word, 1);
    }
}

void
heap_poke_keeper(void)
{
    uint32_t state = atomic_load_relaxed(&thread_state);

    if (likely(state == THREAD_RUNNING)) {
        heap_wake_keeper();
        return;
    }
    if (state == THREAD_STARTING || lock_is_forking()) {
        return;
    }
    if (atomic_load_relaxed(&arena_counters.used_highest) << SLICE_SHIFT < threshold_bytes() ||
        (slices_moved() - work_at_fork) << SLICE_SHIFT < threshold_bytes()) {
        return;
    }
    /* The last thread with a heap ends, and frees what is its own without one: a thread started now
     * would be the last, and the process would never end. */
    if (state == THREAD_NONE && keeper_config.background &&
        atomic_load_relaxed(&heap_live_count) > 0) {
        start_thread();
    } else {
        pass_in_passing();
    }
}

void
heap_poke_rise(void)
{
    atomic_fence_seq_cst(); /* pairs with wait_for_low */
    if (atomic_load_relaxed(&look_word) != 0 && atomic_exchange_acq_rel(&look_word, 0) != 0) {
        (void)atomic_add_relaxed(&rise_counters.woken, 1);
        os_futex_wake(&look_word, 1);
    }
}

void
profile_poke_keeper(void)
{
    if (atomic_exchange_acq_rel(&wake_word, 0) != 0) {
        os_futex_wake(&wake_word, 1);
    }
}

bool
keeper_start(void)
{
    uint32_t state;

    if (!keeper_config.background) {
        return false;
    }
    if (atomic_load_relaxed(&thread_state) == THREAD_NONE) {
        start_thread();
    } else {
        profile_poke_keeper();
    }
    state = atomic_load_relaxed(&thread_state);
    return state == THREAD_STARTING || state == THREAD_RUNNING;
}

bool
profile_want_keeper(void)
{
    return keeper_start();
}

bool
profile_has_keeper(void)
{
    return keeper_is_running();
}

bool
keeper_is_running(void)
{
    return atomic_load_relaxed(&thread_state) == THREAD_RUNNING;
}

TIDE_COLD size_t
keeper_trim(void)
{
    uint64_t before = bytes_given_back();
    uint32_t tick;

    lock_acquire(&pass_lock);
    tick = atomic_add_relaxed(&arena_tick, 1);
    if (heap_self() != &heap_empty) {
        heap_self()->trim_epoch = atomic_add_relaxed(&heap_trim_epoch, 1);
        heap_let_go_all(heap_self());
    } else {
        atomic_add_relaxed(&heap_trim_epoch, 1);
    }
    heap_dissolve_orphans(tick + 1);
    (void)transfer_send_home(tick + 1);
    (void)heap_let_go_spares(0);
    rise_drop_locked();
    if (promise_guaranteed_bytes() == 0) {
        (void)heap_purge_holes(tick + 1, SIZE_MAX);
    }
    rise_purged_locked(arena_purge_free(promise_leaves(SIZE_MAX), tick + 1));
    lock_release(&pass_lock);
    return (size_t)(bytes_given_back() - before);
}

void
keeper_prefork(void)
{
    rise_note_fork();
    lock_acquire(&pass_lock);
    promise_prefork();
}

void
keeper_postfork(bool in_child)
{
    promise_postfork(in_child);
    lock_release_after_fork(&pass_lock, in_child);
    if (!in_child) {
        return;
    }
    wake_word = 0;
    look_word = 0;
    rise_end();
    huge_fork_child();
    learn_fork_child();
    outlook_fork_child();
    stop_asked = 0;
    thread_state = THREAD_NONE;
    /* A child that only wants to exec or to write a snapshot gets no thread: it has to work. */
    work_at_fork = slices_moved();
}
