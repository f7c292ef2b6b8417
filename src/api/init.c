/* SPDX-License-Identifier: MIT */
/*
 * Start and end. The first allocation anywhere initialises everything: nothing here depends on a
 * constructor having run, since ld.so, libc and other libraries allocate before ours does. What
 * can wait for the constructor (fork handlers, the thread-exit hook) does.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "api/foreign.h"
#include "api/fork.h"
#include "api/option_table.h"
#include "api/profiling.h"
#include "api/publish.h"
#include "api/stats.h"
#include "base/fmt.h"
#include "heap/heap.h"
#include "heap/report.h"
#include "keeper/keeper.h"
#include "os/code.h"
#include "os/os.h"

enum { INIT_NONE = 0, INIT_DONE = 1, INIT_FAILED = 2 };

static lock_t init_lock;
static uint32_t init_state; /* atomic */

static void
configure(void)
{
    report_aborts = tide_opt.abort;
    keeper_config.background = tide_opt.background;
    keeper_config.threshold_bytes = tide_opt.keeper_threshold;
    keeper_config.predict = tide_opt.predict == TIDE_PREDICT_ON;
    profiling_configure();
    publish_configure();
    options_apply_runtime();
}

void
options_apply_runtime(void)
{
    atomic_store_relaxed(&report_aborts, option_load(abort));
    atomic_store_relaxed(&keeper_config.purge, option_load(purge) != TIDE_PURGE_OFF);
    atomic_store_relaxed(&keeper_config.hole_purge, option_load(hole_purge));
    atomic_store_relaxed(&keeper_config.interval_ms, option_load(keeper_interval_ms));
    atomic_store_relaxed(&keeper_config.window_ms, option_load(purge_window_ms));
    atomic_store_relaxed(&keeper_config.spare_bytes, option_load(span_retain));
    profiling_apply_runtime();
}

void
options_follow(void)
{
    profiling_follow(false);
}

TIDE_COLD static void
say_hello(void)
{
    char text[512];
    struct fmt f;

    fmt_init_fd(&f, STDERR_FILENO, text, sizeof text);
    fmt_str(&f, "tidemalloc: process ");
    fmt_u64(&f, (uint64_t)os_pid());
    fmt_str(&f, ": features ");
    stats_write_features_json(&f);
    fmt_str(&f, " options {");
    options_write_changed(&f);
    fmt_str(&f, "}\n");
    fmt_flush(&f);
}

TIDE_NOINLINE static int
init_locked(void)
{
    bool huge = true;
    size_t huge_from;

    os_init();
    options_init();
    stats_at_start();
    heap_guard_init((uintptr_t)os_random() | 1);
    if (space_init(tide_opt.reserve) != 0) {
        return ENOMEM;
    }
    huge_from = tide_opt.huge_threshold;
    if (tide_opt.huge_pages == TIDE_HUGE_NEVER || !os_has(OS_FEATURE_THP)) {
        huge = false;
    } else if (tide_opt.huge_pages == TIDE_HUGE_ALWAYS) {
        huge_from = 0;
    }
    arena_init(huge_from, huge);
    configure();
    foreign_init();
    fork_init();
    if (tide_opt.verbose) {
        say_hello();
    }
    return 0;
}

int
tide_init_once(void)
{
    uint32_t state = atomic_load_acquire(&init_state);
    int saved_errno = errno;

    if (likely(state == INIT_DONE)) {
        return 0;
    }
    lock_acquire(&init_lock);
    state = atomic_load_relaxed(&init_state);
    if (state == INIT_NONE) {
        state = init_locked() == 0 ? INIT_DONE : INIT_FAILED;
        atomic_store_release(&init_state, state); /* pairs with the load above */
    }
    lock_release(&init_lock);
    if (state == INIT_DONE) {
        profiling_follow(false);
        publish_follow();
    }
    errno = saved_errno;
    return state == INIT_DONE ? 0 : ENOMEM;
}

/* A program with raised privileges writes to no directory that somebody names. */
static void
follow_learn(void)
{
    if (tide_opt.learn[0] != '\0' && !options_is_secure()) {
        keeper_learn(tide_opt.learn);
    }
}

__attribute__((constructor)) static void
tide_constructor(int argc, char **argv)
{
    heap_threads_init();
    fork_register();
    os_note_static_tls();
    os_note_arguments(argc > 0 ? argv : NULL);
    /* Who asks for help, statistics or a damaged option's message gets them even if the program
     * never allocates. */
    if (options_environment() != NULL) {
        (void)tide_init_once();
    }
    profiling_constructor();
    publish_constructor();
    if (atomic_load_acquire(&init_state) == INIT_DONE) {
        profiling_follow(true);
        publish_follow();
        follow_learn();
    }
}

__attribute__((destructor)) static void
tide_destructor(void)
{
    if (atomic_load_relaxed(&init_state) == INIT_DONE) {
        keeper_at_exit();
        profiling_at_exit();
        stats_at_exit();
    }
}
