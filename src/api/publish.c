/* SPDX-License-Identifier: MIT */
/*
 * The statistics page as the layers below cannot know it: its figures are those of stats.def and
 * the profile's sums, its answers are .tide files.
 */
#include "api/publish.h"

#include <string.h>

#include "api/options.h"
#include "api/stats.h"
#include "keeper/keeper.h"
#include "page/page.h"
#include "profile/profile.h"

static uint32_t may_start; /* atomic: the constructor has run */

static TIDE_COLD size_t
add_figure(struct page_figure *out, size_t count, size_t max, const char *name, uint64_t value)
{
    if (count == max) {
        return count;
    }
    memset(out[count].name, 0, sizeof out[count].name);
    memcpy(out[count].name, name, strlen(name));
    out[count].value = value;
    return count + 1;
}

static TIDE_COLD size_t
figures(struct page_figure *out, size_t max, bool all)
{
    size_t count = stats_take_page(out, max, all);

    if (profile_exists()) {
        struct profile_totals t = profile_totals();

        count = add_figure(out, count, max, "profile_live_bytes", t.live_bytes);
        count = add_figure(out, count, max, "profile_allocated_bytes", t.allocated_bytes);
        count = add_figure(out, count, max, "profile_freed_bytes", t.freed_bytes);
        count = add_figure(out, count, max, "profile_blocks", t.allocated_blocks);
        count = add_figure(out, count, max, "profile_sites", t.sites);
        count = add_figure(out, count, max, "profile_lost_samples", t.lost_samples);
    }
    return count;
}

static TIDE_COLD int
answer(enum page_question question, int fd)
{
    return question == PAGE_PROFILE ? profile_write(fd) : profile_write_statistics(fd);
}

static TIDE_COLD uint32_t
flags(void)
{
    return (profile_exists() ? PAGE_HAS_PROFILE : 0u) | (profile_is_on() ? PAGE_PROFILING : 0u);
}

TIDE_STATIC_ASSERT((int)TIDE_PAGE_OFF == (int)PAGE_NEVER && (int)TIDE_PAGE_ON == (int)PAGE_AT_ONCE,
                   "one order");

void
publish_configure(void)
{
    page_config.when = tide_opt.page;
    page_config.figures = figures;
    page_config.answer = answer;
    page_config.flags = flags;
    profile_config.keeper = page_is_wanted();
}

void
publish_follow(void)
{
    if (tide_opt.page == TIDE_PAGE_ON && atomic_load_relaxed(&may_start) != 0) {
        (void)keeper_start();
    }
}

void
publish_constructor(void)
{
    atomic_store_relaxed(&may_start, 1);
}
