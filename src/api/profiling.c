/* SPDX-License-Identifier: MIT */
/*
 * tide_profile_start(), _stop(), _dump(), and the option `profile`, which they set. Sampling begins
 * in the constructor at the earliest: before that the dynamic linker cannot load an unwinder.
 */
#include "api/profiling.h"

#include <errno.h>

#include "api/forecasting.h"
#include "api/options.h"
#include "api/stats.h"
#include "heap/heap.h"
#include "profile/profile.h"
#include "tidemalloc.h"

static uint32_t may_start; /* atomic: the constructor has run */

static TIDE_COLD void
write_statistics(fmt_t *out)
{
    struct tide_stats stats;

    stats_take(&stats);
    stats_write_json(&stats, out);
}

void
profiling_configure(void)
{
    profile_config.memory = tide_opt.profile_memory;
    profile_config.depth = tide_opt.profile_depth;
    profile_config.unwinder = tide_opt.profile_unwind; /* enum tide_unwind is enum unwind_how */
    profile_config.signal = tide_opt.profile_signal;
    profile_config.out = tide_opt.profile_out;
    profile_config.secure = options_is_secure();
    profile_config.statistics = write_statistics;
    profile_config.series = forecasting_write_series;
}

void
profiling_apply_runtime(void)
{
    profile_set_rate(option_load(profile_rate));
    atomic_store_relaxed(&profile_config.every_bytes, option_load(profile_every_bytes));
    atomic_store_relaxed(&profile_config.every_seconds, option_load(profile_every_seconds));
}

void
profiling_follow(bool at_start)
{
    bool wanted = option_load(profile);

    if (atomic_load_relaxed(&may_start) == 0 || wanted == profile_is_on()) {
        return;
    }
    if (wanted) {
        (void)profile_start(at_start);
    } else {
        profile_stop();
    }
}

void
profiling_constructor(void)
{
    atomic_store_relaxed(&may_start, 1);
}

void
profiling_at_exit(void)
{
    if (profile_exists() || profile_is_on()) { /* or it failed, and says so */
        profile_dump_configured();
    }
}

TIDE_EXPORT int
tide_profile_start(void)
{
    if (tide_init_once() != 0) {
        return ENOMEM;
    }
    atomic_store_relaxed(&tide_opt.profile, true);
    return profile_start(false);
}

TIDE_EXPORT void
tide_profile_stop(void)
{
    atomic_store_relaxed(&tide_opt.profile, false);
    profile_stop();
}

TIDE_EXPORT int
tide_profile_dump(const char *file)
{
    int saved_errno = errno;
    int error = file == NULL ? EINVAL : profile_dump(file);

    errno = saved_errno;
    return error;
}
