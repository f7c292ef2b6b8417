/* SPDX-License-Identifier: MIT */
/* The forecast of one process in `tide top`: a line above its sites, and a time line of its own. */
#include "tool/outlook.h"
#include "tool/top.h"

static const char *
bytes(const struct outlook *o, const char *name, char *cell)
{
    return report_cell(cell, outlook_figure(o, name), REPORT_BYTES, false);
}

static void
put_forecast(const struct outlook *o, struct top_table *t)
{
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL], d[REPORT_CELL], e[REPORT_CELL];

    if (!outlook_is_ready(o)) {
        top_table_head(t, "tide: no forecast yet, after %d samples",
                       (int)outlook_figure(o, "samples"));
        return;
    }
    top_table_head(t, "tide: in spans %s, forecast %s within %s (%s to %s)",
                   bytes(o, "level_bytes", a), bytes(o, "forecast_bytes", b),
                   report_duration(c, (uint64_t)outlook_figure(o, "horizon_ns")),
                   bytes(o, "lower_bytes", d), bytes(o, "upper_bytes", e));
}

static bool
is_off(const struct outlook *o)
{
    return !outlook_is_ready(o) && o->count == 0;
}

void
top_outlook_head(const struct profile *p, struct top_table *t)
{
    struct outlook o;

    if (outlook_take(&o, p) && !is_off(&o)) {
        put_forecast(&o, t);
    }
    outlook_free(&o);
}

static void
put_line(void *context, const char *text)
{
    struct top_table *t = context;
    struct top_row *row = top_table_add(t);

    row->id = t->row_count;
    snprintf(row->text, sizeof row->text, "%s", text);
}

/* What is kept and made ready, and why: beside the forecast, on which nothing acts. */
static void
put_rules(const struct outlook *o, struct top_table *t)
{
    char a[REPORT_CELL], b[REPORT_CELL];

    top_table_head(t, "error so far %s, the recent-peak rule's %s; nothing acts on it",
                   bytes(o, "error_bytes", a), bytes(o, "rule_error_bytes", b));
    top_table_head(t, "kept free %s: %s", bytes(o, "keep_bytes", a),
                   outlook_reason(o, "keep_reason"));
    top_table_head(t, "made ready %s: %s",
                   report_cell(a,
                               outlook_figure(o, "rise_ready_slice_bytes") +
                                   outlook_figure(o, "rise_ready_block_bytes"),
                               REPORT_BYTES, false),
                   outlook_reason(o, "rise_reason"));
}

void
top_outlook_fill(const struct profile *p, size_t width, size_t height, struct top_table *t)
{
    struct outlook o;

    if (!outlook_take(&o, p) || is_off(&o)) {
        top_table_head(t, "nothing is forecast: TIDE_CONF=predict:on, and a page");
    } else {
        put_forecast(&o, t);
        put_rules(&o, t);
        outlook_chart(&o, width, height, put_line, t);
    }
    outlook_free(&o);
}
