/* SPDX-License-Identifier: MIT */
/*
 * See outlook.h. Passes come when there is work; the time is cut into intervals, of which those
 * without a pass are filled in when the next one comes: nobody used anything meanwhile, or there
 * would have been one. After a long sleep that is the whole history, some 2 ms.
 */
#include "keeper/outlook.h"

#include <string.h>

#include "keeper/rise.h"
#include "os/os.h"
#include "predict/shadow.h"
#include "types.h"

#define INTERVAL_NS ((uint64_t)OUTLOOK_INTERVAL_MS * 1000000u)

struct row {
    uint32_t slices[OUTLOOK_SERIES_COUNT];
};

/* lock(outlook) */
static TIDE_SPARSE struct {
    struct shadow shadow;
    struct rise_report rise; /* at the last pass */
    uint64_t peak_bytes;     /* of the interval that is open */
    uint64_t start_ns;
    uint64_t closed; /* intervals, since the start */
    struct row history[OUTLOOK_HISTORY];
} outlook;
static struct outlook_pass last; /* lock(outlook): the last pass */
static lock_t lock;              /* rank outlook */
static bool is_begun;            /* lock(outlook): passes are samples */
static uint32_t has_passed;      /* atomic(relaxed): there is a last pass */
static uint32_t is_known;        /* atomic(relaxed): and a sample */

TIDE_COLD_DATA static const char rise_names[][16] = {
#define RISE_REASON(name, text) #name,
#include "keeper/reasons.def"
};
TIDE_COLD_DATA static const char keep_names[][16] = {
#define KEEP_REASON(name, text) #name,
#include "keeper/reasons.def"
};

TIDE_COLD void
outlook_begin(void)
{
    lock_acquire(&lock);
    is_begun = true;
    lock_release(&lock);
}

TIDE_COLD void
outlook_end(void)
{
    lock_acquire(&lock);
    is_begun = false;
    lock_release(&lock);
}

/* ---- samples --------------------------------------------------------------------------------- */

static uint32_t
slices_of(uint64_t bytes)
{
    return (uint32_t)min_zu((bytes + SLICE_BYTES - 1) >> SLICE_SHIFT, OUTLOOK_UNKNOWN - 1);
}

static TIDE_COLD void
close_interval(uint64_t peak_bytes)
{
    const struct outlook_pass *pass = &last;
    struct row *row = &outlook.history[outlook.closed++ % OUTLOOK_HISTORY];
    struct shadow_sample sample = {
        .peak_bytes = peak_bytes,
        .used_bytes = pass->record.used_bytes,
        .free_bytes = pass->record.retained_bytes,
        .rule_bytes = pass->level_bytes,
        .spare_bytes = pass->spare_bytes,
    };
    struct shadow_view view;

    shadow_observe(&outlook.shadow, &sample);
    view = shadow_look(&outlook.shadow);
    memset(row, 0xff, sizeof *row); /* OUTLOOK_UNKNOWN */
    row->slices[OUTLOOK_level_bytes] = slices_of(peak_bytes);
    if (view.forecast.ready) {
        row->slices[OUTLOOK_forecast_bytes] = slices_of(view.forecast.forecast_bytes);
        row->slices[OUTLOOK_lower_bytes] = slices_of(view.lower_bytes);
        row->slices[OUTLOOK_upper_bytes] = slices_of(view.forecast.upper_bytes);
    }
    row->slices[OUTLOOK_kept_bytes] = slices_of(pass->record.retained_bytes);
    row->slices[OUTLOOK_ready_bytes] =
        slices_of(outlook.rise.ready_slice_bytes + outlook.rise.ready_block_bytes);
}

/* The last interval that is over has what this pass saw; those before it, if there was no pass,
 * what the pass before saw. */
static void
catch_up(const struct outlook_pass *pass)
{
    uint64_t over = (pass->now_ns - outlook.start_ns) / INTERVAL_NS;

    if (over - outlook.closed > OUTLOOK_HISTORY) {
        outlook.closed = over - OUTLOOK_HISTORY;
    }
    while (outlook.closed + 1 < over) {
        close_interval(outlook.peak_bytes);
        outlook.peak_bytes = last.record.used_bytes;
    }
    last = *pass;
    outlook.peak_bytes = max_zu(outlook.peak_bytes, pass->record.peak_bytes);
    if (outlook.closed < over) {
        close_interval(outlook.peak_bytes);
        outlook.peak_bytes = pass->record.used_bytes;
    }
}

static TIDE_COLD void
observe(const struct outlook_pass *pass)
{
    if (atomic_load_relaxed(&is_known) == 0) {
        shadow_init(&outlook.shadow, OUTLOOK_HORIZON);
        outlook.start_ns = pass->now_ns;
        outlook.closed = 0;
        outlook.peak_bytes = 0;
        last = *pass;
        atomic_store_relaxed(&is_known, 1);
    }
    rise_report_locked(&outlook.rise);
    catch_up(pass);
}

TIDE_COLD void
outlook_note_locked(const struct outlook_pass *pass)
{
    lock_acquire(&lock);
    if (is_begun) {
        observe(pass);
    } else {
        last = *pass;
    }
    atomic_store_relaxed(&has_passed, 1);
    lock_release(&lock);
}

TIDE_COLD void
outlook_fork_child(void)
{
    lock = (lock_t){0};
    is_begun = false;
    has_passed = 0;
    is_known = 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum keep_reason
keep_reason(const struct outlook_pass *pass)
{
    uint64_t above = pass->level_bytes - min_zu(pass->level_bytes, pass->record.used_bytes);

    if (!pass->purges) {
        return KEEP_off;
    }
    if (pass->record.retained_bytes == 0) {
        return KEEP_nothing;
    }
    if (above >= pass->spare_bytes) {
        return KEEP_window;
    }
    return pass->grow_bytes == pass->spare_bytes ? KEEP_growth : KEEP_spare;
}

static int64_t
ppm(double part)
{
    return (int64_t)(part * 1e6 + 0.5);
}

static void
take_forecast(struct outlook *out)
{
    struct shadow_view view = shadow_look(&outlook.shadow);

    out->state = view.forecast.ready ? OUTLOOK_READY : OUTLOOK_LEARNING;
    out->interval_ns = (int64_t)INTERVAL_NS;
    out->horizon_ns = (int64_t)INTERVAL_NS * OUTLOOK_HORIZON;
    out->samples = (int64_t)view.forecast.samples;
    out->forecast_bytes = (int64_t)view.forecast.forecast_bytes;
    out->lower_bytes = (int64_t)view.lower_bytes;
    out->upper_bytes = (int64_t)view.forecast.upper_bytes;
    out->scored = (int64_t)view.scored;
    out->error_bytes = (int64_t)view.error_bytes;
    out->within_ppm = ppm(view.within);
    out->covered_ppm = ppm(view.coverage);
    out->rule_error_bytes = (int64_t)view.rule_error_bytes;
    out->rule_covered_ppm = ppm(view.rule_coverage);
    out->model_ns = (int64_t)(view.model_samples * INTERVAL_NS);
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        out->weight_ppm[i] = (uint32_t)ppm(view.forecast.weight[i]);
    }
}

static void
take_models(struct outlook *out)
{
    const struct shadow *s = &outlook.shadow;

#define TAKE_MODEL(name)                                                                           \
    out->model_##name##_kept_bytes = (int64_t)shadow_kept_mean(s, &s->by_##name);                  \
    out->model_##name##_returned_bytes = (int64_t)s->by_##name.returned;                           \
    out->model_##name##_taken_bytes = (int64_t)s->by_##name.taken;                                 \
    out->model_##name##_regretted_bytes = (int64_t)s->by_##name.regretted
    TAKE_MODEL(rule);
    TAKE_MODEL(forecast);
#undef TAKE_MODEL
}

static void
take_rule(struct outlook *out)
{
    out->keep_reason = keep_names[keep_reason(&last)];
    out->level_bytes = (int64_t)last.record.used_bytes;
    out->rule_window_ns = (int64_t)last.window_ms * 1000000;
    out->rule_level_bytes = (int64_t)last.level_bytes;
    out->free_bytes = (int64_t)last.record.retained_bytes;
    out->keep_bytes = (int64_t)last.keep_bytes;
    out->spare_bytes = (int64_t)last.spare_bytes;
}

static void
take_rise(struct outlook *out)
{
    const struct rise_report *rise = &outlook.rise;
    uint64_t now_ns = os_now_ns();

    out->rise_reason = rise_names[rise->reason];
    out->rise_look_age_ns = rise->looked_ns == 0 ? 0 : (int64_t)(now_ns - rise->looked_ns);
    out->rise_lead_ns = (int64_t)rise->lead_ns;
    out->rise_growth_bytes = (int64_t)rise->growth_bytes;
    out->rise_bound_bytes = (int64_t)rise->bound_bytes;
    out->rise_advised_bytes = (int64_t)rise->advised_bytes;
    out->rise_learned_bytes = (int64_t)rise->learned_bytes;
    out->rise_promised_bytes = (int64_t)rise->promised_bytes;
    out->rise_granted_bytes = (int64_t)rise->granted_bytes;
    out->rise_ready_slice_bytes = (int64_t)rise->ready_slice_bytes;
    out->rise_ready_block_bytes = (int64_t)rise->ready_block_bytes;
    out->rise_credit_bytes = rise->credit_bytes;
}

TIDE_COLD void
outlook_look(struct outlook *out)
{
    *out = (struct outlook){.keep_reason = keep_names[KEEP_not_yet],
                            .rise_reason = rise_names[RISE_not_yet]};
    if (atomic_load_relaxed(&has_passed) == 0) {
        return;
    }
    lock_acquire(&lock);
    if (atomic_load_relaxed(&is_known) != 0) {
        take_forecast(out);
        take_models(out);
        take_rise(out);
    }
    take_rule(out);
    lock_release(&lock);
}

TIDE_COLD struct outlook_view
outlook_history(enum outlook_series series, uint32_t values[OUTLOOK_HISTORY])
{
    static const bool shifts[] TIDE_COLD_DATA = {
#define OUTLOOK_SERIES(name, shift, brief) shift,
#include "keeper/outlook.def"
    };
    struct outlook_view view = {.interval_ns = INTERVAL_NS};
    uint64_t ahead = shifts[series] ? OUTLOOK_HORIZON : 0;
    uint64_t first;

    if (atomic_load_relaxed(&is_known) == 0) {
        return view;
    }
    lock_acquire(&lock);
    view.count = (uint32_t)min_zu(outlook.closed, OUTLOOK_HISTORY);
    first = outlook.closed - view.count;
    view.first_ns = outlook.start_ns + (first + 1 + ahead) * INTERVAL_NS;
    for (uint32_t i = 0; i < view.count; i++) {
        values[i] = outlook.history[(first + i) % OUTLOOK_HISTORY].slices[series];
    }
    lock_release(&lock);
    return view;
}
