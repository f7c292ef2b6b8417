/* SPDX-License-Identifier: MIT */
/* See policies.h. The figures of the keeper are those of src/keeper/keeper.c and rise.c. */
#include "policies.h"

#include "predict/bank.h"
#include "predict/patience.h"
#include "predict/rise.h"

enum {
    PAGE = 4096,
    LEAD_MS = 12,
    PASS_MS = 100,
    BANK_MS = 10,
    ABLE_FROM = 8, /* looks that made something */
    LOOK_PAGES_MAX = (8 << 20) / PAGE,
    RETAIN_PAGES = (1 << 20) / PAGE, /* span_retain */
    LOOK_FAULTS = 128,               /* pages: 16 slices */
    STEP_PAGES = (2 << 20) / PAGE,
};

#define MIB ((uint64_t)1 << 20)

#define KEEPER .window_ms = 1000, .meets_growth = true, .least_bytes = 2 * MIB

const struct policy policies[] = {
    {.name = "never", .about = "nothing goes back", .window_ms = POLICY_FOR_EVER},
    {.name = "at-once", .about = "all goes back at once", .window_ms = 0},
    {.name = "peak-100ms", .about = "recent-peak rule", .window_ms = 100},
    {.name = "peak-1s", .about = "the same: the baseline", .window_ms = 1000},
    {.name = "peak-10s", .about = "the same", .window_ms = 10000},
    {.name = "bank-100ms",
     .about = "kept is the bank's quantile (0.9) of the next 100 ms",
     .window_ms = 1000,
     .bank_samples = 10},
    {.name = "bank-1s", .about = "of the next second", .window_ms = 1000, .bank_samples = 100},
    {.name = "keeper",
     .about = "predict:on: a learned window, and growth is met, from 2 MiB on",
     KEEPER,
     .from_bytes = 2 * MIB},
    {.name = "keeper-100ms",
     .about = "a window of 100 ms",
     KEEPER,
     .able_window_ms = 100,
     .from_bytes = 2 * MIB},
    {.name = "keeper-500ms",
     .about = "of 500 ms",
     KEEPER,
     .able_window_ms = 500,
     .from_bytes = 2 * MIB},
    {.name = "keeper-1s", .about = "of 1 s", KEEPER, .able_window_ms = 1000, .from_bytes = 2 * MIB},
    {.name = "keeper-16m",
     .about = "the learned one, from 16 MiB on",
     KEEPER,
     .from_bytes = 16 * MIB},
    {.name = "keeper-0", .about = "from the first page on", KEEPER},
    {.name = "keeper-bank",
     .about = "the same, but kept is the bank's quantile (0.75) of the next 160 ms",
     KEEPER,
     .able_window_ms = 100,
     .bank_samples = 16,
     .bank_under = 3},
};
const size_t policy_count = sizeof policies / sizeof policies[0];

/* A run of one policy. */
struct run {
    const struct policy *policy;
    struct pool pool;
    struct patience patience;
    struct peak_state able_peak; /* of able_window_ms */
    struct rise_state rise;
    struct bank bank;
    struct rise_params params;
    struct pool_counts scored; /* as of the last look */
    uint64_t scored_ready;
    uint64_t passed_faults; /* as of the last pass */
    uint64_t passed_used;
    uint64_t top;      /* level, since the last pass */
    uint64_t bank_top; /* since the last sample */
    uint64_t want;     /* pages that should be free and resident */
    uint64_t due_ms;   /* of the next look; 0: none is due */
    uint32_t able;     /* looks */
    uint32_t pass_ms;  /* since the last pass */
    bool begun;
    bool by_bank; /* and no longer by the window's rule */
};

static uint64_t
kept(const struct run *r)
{
    return r->pool.free + r->pool.ready;
}

/* ---- Looks ----------------------------------------------------------------------------------- */

/* Ready pages that were used, and those taken without as far as they could have been ready. */
static void
score(struct run *r)
{
    const struct pool_counts *now = &r->pool.counts, *then = &r->scored;
    uint64_t bound = rise_bound(&r->rise, &r->params);
    uint64_t missed = (now->faults - then->faults) * PAGE;
    uint64_t wasted = now->wasted - then->wasted;
    uint64_t used = r->scored_ready + now->readied - then->readied - wasted - r->pool.ready;

    rise_score(&r->rise, used * PAGE + (missed < bound ? missed : bound), wasted * PAGE);
    r->scored = *now;
    r->scored_ready = r->pool.ready;
}

static void
look(struct run *r, uint64_t now_ms)
{
    uint64_t have;

    score(r);
    rise_observe(&r->rise, &r->params, now_ms * 1000000, r->pool.level * PAGE);
    r->want = rise_advise(&r->rise, &r->params) / PAGE;
    have = kept(r);
    r->due_ms = 0;
    if (have < r->want) {
        uint64_t missing = r->want - have;

        pool_ready(&r->pool, missing < LOOK_PAGES_MAX ? missing : LOOK_PAGES_MAX);
        r->able += r->able < ABLE_FROM;
        r->due_ms = now_ms + LEAD_MS / 4;
    }
}

static bool
is_low(const struct run *r)
{
    return kept(r) < r->want / 2 || r->pool.counts.faults - r->scored.faults >= LOOK_FAULTS;
}

static void
maybe_look(struct run *r, uint64_t now_ms, uint32_t reaction_ms)
{
    uint64_t soonest = now_ms + reaction_ms - 1;

    if (is_low(r) && (r->due_ms == 0 || r->due_ms > soonest)) {
        r->due_ms = soonest;
    }
    if (r->due_ms != 0 && r->due_ms <= now_ms) {
        r->pool.counts.looks++;
        look(r, now_ms);
    }
}

/* ---- Passes ---------------------------------------------------------------------------------- */

/* As much is kept in any case: one step may be too much. */
static uint64_t
spare(const struct run *r)
{
    uint64_t wanted = r->want > 0 ? r->want + STEP_PAGES : 0;

    return r->policy->meets_growth && wanted < RETAIN_PAGES ? RETAIN_PAGES : wanted;
}

static bool
is_able(const struct run *r)
{
    return r->policy->meets_growth && r->able >= ABLE_FROM && r->rise.credit >= 0;
}

static void
keep_by_peak(struct run *r, const struct tide_record *record)
{
    const struct policy *policy = r->policy;
    bool learned = policy->able_window_ms == 0 && is_able(r);
    struct peak_params params = {
        .window_ms = patience_window(&r->patience, policy->window_ms, learned),
        .spare_bytes = spare(r) * PAGE,
    };
    const struct peak_state *peak = patience_peak(&r->patience, learned);

    if (policy->able_window_ms > 0 && is_able(r)) {
        params.window_ms = policy->able_window_ms;
        peak = &r->able_peak;
    }
    pool_keep(&r->pool, peak_advise(peak, &params, record).keep_bytes / PAGE);
}

static void
pass(struct run *r, uint64_t now_ms)
{
    const struct pool_counts *counts = &r->pool.counts;
    uint64_t used = counts->readied - counts->wasted - r->pool.ready;
    struct peak_params able = {.window_ms = r->policy->able_window_ms};
    struct tide_record record = {
        .now_ms = now_ms,
        .used_bytes = r->pool.level * PAGE,
        .peak_bytes = r->top * PAGE,
        .retained_bytes = kept(r) * PAGE,
        .faulted_bytes = (counts->faults - r->passed_faults) * PAGE,
        .readied_bytes = (used - r->passed_used) * PAGE,
    };

    r->passed_faults = counts->faults;
    r->passed_used = used;

    patience_observe(&r->patience, r->policy->window_ms, spare(r) * PAGE, &record);
    peak_observe(&r->able_peak, &able, &record);
    if (!r->by_bank) {
        keep_by_peak(r, &record);
    }
    r->top = r->pool.level;
    if (r->policy->meets_growth) {
        look(r, now_ms);
    }
}

/* What the bank says, from when it may be acted on; before, the window's rule decides. */
static void
keep_by_bank(struct run *r)
{
    struct bank_forecast forecast;
    uint64_t pages, beyond;

    bank_observe(&r->bank, r->bank_top * PAGE);
    r->bank_top = r->pool.level;
    forecast = bank_predict(&r->bank);
    if (forecast.ready) {
        pages = forecast.forecast_bytes / PAGE;
        beyond = pages > r->pool.level ? pages - r->pool.level : 0;
        pool_keep(&r->pool, beyond > spare(r) ? beyond : spare(r));
        r->by_bank = true;
    }
}

static uint32_t
interval_ms(const struct run *r)
{
    uint32_t window = r->policy->window_ms;

    return window > PASS_MS ? PASS_MS : window / PEAK_SLOTS + 1; /* it must not decide itself */
}

static void
manage(struct run *r, uint64_t now_ms, uint32_t reaction_ms)
{
    if (r->policy->window_ms == POLICY_FOR_EVER) {
        return;
    }
    if (r->policy->meets_growth) {
        maybe_look(r, now_ms, reaction_ms);
    }
    if (r->policy->bank_samples > 0 && now_ms % BANK_MS == 0) {
        keep_by_bank(r);
    }
    if (++r->pass_ms >= interval_ms(r)) {
        pass(r, now_ms);
        r->pass_ms = 0;
    }
}

struct pool_counts
policy_run(const struct policy *policy, const uint64_t *levels, size_t count, uint32_t reaction_ms)
{
    struct run r = {.policy = policy};
    struct bank_params bank = {.horizon = policy->bank_samples,
                               .under_cost = policy->bank_under,
                               .over_cost = policy->bank_under > 0 ? 1 : 0};

    patience_init(&r.patience);
    peak_init(&r.able_peak);
    rise_init(&r.rise);
    bank_init(&r.bank, &bank);
    r.params = (struct rise_params){.lead_ns = (uint64_t)LEAD_MS * 1000000,
                                    .least_bytes = policy->least_bytes};
    for (size_t i = 0; i < count; i++) {
        pool_need(&r.pool, levels[i]);
        r.top = levels[i] > r.top ? levels[i] : r.top;
        r.bank_top = levels[i] > r.bank_top ? levels[i] : r.bank_top;
        r.begun = r.begun || levels[i] * PAGE >= policy->from_bytes;
        if (r.begun) {
            manage(&r, i + 1, reaction_ms);
        }
        pool_pass(&r.pool);
    }
    return r.pool.counts;
}
