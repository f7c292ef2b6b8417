/* SPDX-License-Identifier: MIT */
/*
 * The report for programs; doc/report.schema.json describes it. The schema's number changes when
 * something is taken away or means something else; what is added leaves it as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "tool/json.h"
#include "tool/report.h"
#include "tool/threads.h"

enum { SCHEMA_VERSION = 1 };

static void
put_figure(struct json *j, size_t figure, int64_t value)
{
    if (report_figures[figure].unit == REPORT_BLOCKS) {
        json_thousandths(j, report_figures[figure].name, value);
    } else {
        json_number(j, report_figures[figure].name, value);
    }
}

static void
put_figures(struct json *j, const struct profile_figures *figures)
{
    for (size_t i = 0; i < PROFILE_FIGURE_COUNT; i++) {
        put_figure(j, i, report_value(figures, i));
    }
}

static void
put_before(struct json *j, const struct report *r, const struct profile_figures *before)
{
    if (r->is_diff) {
        json_open_row(j, "before", '{');
        put_figures(j, before);
        json_close(j, '}');
    }
}

static void
put_histogram(struct json *j, const char *key, struct profile_site *site,
              enum profile_histogram which)
{
    const int64_t *buckets = profile_histogram(site, which);
    size_t count = profile_histogram_size(which);

    while (count > 0 && buckets[count - 1] == 0) {
        count--;
    }
    json_open_row(j, key, '[');
    for (size_t i = 0; i < count; i++) {
        json_thousandths(j, NULL, buckets[i]);
    }
    json_close(j, ']');
}

static void
put_frame(struct json *j, const struct report *r, uint32_t location, const struct symbol_frame *f)
{
    const struct profile_module *m = report_module(r, location);
    char hex[2 * PROFILE_BUILD_ID_MAX + 1];

    json_open_row(j, NULL, '{');
    if (f->function != NULL) {
        json_text(j, "function", f->function);
    }
    if (f->file != NULL) {
        json_text(j, "file", f->file);
    }
    if (f->line != 0) {
        json_unsigned(j, "line", f->line);
    }
    if (f->inlined) {
        json_bool(j, "inlined", true);
    }
    if (m != NULL) {
        json_text(j, "module", m->path);
        if (m->build_id_length > 0) {
            json_text(j, "build_id", profile_build_id(m, hex));
        }
    }
    json_unsigned(j, "offset", r->profile->locations[location].offset);
    json_close(j, '}');
}

/*
 * The frames of every location, written once: a location is in many stacks, and with them a report
 * of 35,000 sites takes 1.2 s and not 5.
 */
struct fragments {
    char *text;
    size_t length;
    size_t *at; /* location i is text[at[i]] to text[at[i + 1]] */
};

enum { FRAME_DEPTH = 4 };

static void
write_fragments(struct fragments *f, const struct report *r)
{
    struct json j = {.out = open_memstream(&f->text, &f->length), .depth = FRAME_DEPTH};
    size_t count = r->profile->location_count;

    if (j.out == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    f->at = tool_alloc((count + 1) * sizeof *f->at);
    for (uint32_t i = 0; i < count; i++) {
        size_t frame_count;
        const struct symbol_frame *frames = report_frames(r, i, &frame_count);
        f->at[i] = (size_t)ftell(j.out);
        j.started = false;
        for (size_t k = 0; k < frame_count; k++) {
            put_frame(&j, r, i, &frames[k]);
        }
    }
    f->at[count] = (size_t)ftell(j.out);
    if (fclose(j.out) != 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
}

static void
put_site(struct json *j, const struct report *r, const struct fragments *f,
         struct profile_site *site)
{
    json_open(j, NULL, '{');
    put_figures(j, &site->figures);
    put_before(j, r, &site->before);
    if (!r->is_diff) {
        json_open(j, "lifetime", '{');
        put_histogram(j, "time", site, PROFILE_LIFETIME_NS);
        put_histogram(j, "bytes", site, PROFILE_LIFETIME_BYTES);
        put_histogram(j, "age", site, PROFILE_AGE_NS);
        json_close(j, '}');
        put_histogram(j, "sizes", site, PROFILE_SIZES);
    }
    if (site->frame_count == 0) {
        json_bool(j, "overflow", true);
    }
    json_open(j, "frames", '[');
    for (uint32_t i = 0; i < site->frame_count; i++) {
        uint32_t location = site->frames[i];
        json_again(j, f->text + f->at[location], f->at[location + 1] - f->at[location]);
    }
    json_close(j, ']');
    json_close(j, '}');
}

/* The bounds of buckets: all but the last one are below them (sizes: up to them). */
static void
put_bounds(struct json *j)
{
    uint64_t bound = 1000;

    json_open(j, "buckets", '{');
    json_open_row(j, "time_ns_below", '[');
    for (size_t i = 0; i < PROFILE_DECADES - 1; i++, bound *= 10) {
        json_unsigned(j, NULL, bound);
    }
    json_close(j, ']');
    json_open_row(j, "bytes_below", '[');
    bound = 1000;
    for (size_t i = 0; i < PROFILE_DECADES - 1; i++, bound *= 10) {
        json_unsigned(j, NULL, bound);
    }
    json_close(j, ']');
    json_open_row(j, "size_up_to", '[');
    for (size_t i = 0; i < PROFILE_SIZE_BUCKETS - 1; i++) {
        json_unsigned(j, NULL, (uint64_t)16 << i);
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void
put_modules(struct json *j, const struct report *r)
{
    char hex[2 * PROFILE_BUILD_ID_MAX + 1];

    json_open(j, "modules", '[');
    for (size_t i = 0; i < r->profile->module_count; i++) {
        const struct profile_module *m = &r->profile->modules[i];
        json_open_row(j, NULL, '{');
        json_text(j, "module", m->path);
        if (m->build_id_length > 0) {
            json_text(j, "build_id", profile_build_id(m, hex));
        }
        json_unsigned(j, "start", m->start);
        json_unsigned(j, "size", m->size);
        json_unsigned(j, "offset", m->file_offset);
        json_text(j, "symbols", symbols_source_name(r->symbols.sources[i]));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
put_series(struct json *j, const struct profile *p)
{
    json_open(j, "series", '[');
    for (size_t i = 0; i < p->series_count; i++) {
        const struct profile_series *s = &p->series[i];
        json_open(j, NULL, '{');
        json_text(j, "name", s->name);
        json_text(j, "unit", s->unit);
        json_unsigned(j, "interval_ns", s->interval_ns);
        json_unsigned(j, "time_ns", s->time_ns);
        json_open_row(j, "values", '[');
        for (uint32_t k = 0; k < s->count; k++) {
            json_number(j, NULL, s->values[k]);
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
put_threads(struct json *j, struct profile *p)
{
    size_t count;
    struct thread_summary *threads = threads_of(p, &count);

    json_open(j, "threads", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(j, NULL, '{');
        json_text(j, "name", threads[i].name);
        json_unsigned(j, "tid", threads[i].tid);
        json_number(j, "live_bytes", threads[i].live_bytes);
        json_number(j, "allocated_bytes_rate", (int64_t)threads[i].allocated_bytes);
        json_number(j, "allocations_rate", (int64_t)threads[i].allocations);
        json_number(j, "freed_bytes_rate", (int64_t)threads[i].freed_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
    free(threads);
}

static void
put_meta(struct json *j, const struct profile *p)
{
    static const char *const numbers[] = {"pid",  "start_ns", "time_ns",     "duration_ns",
                                          "rate", "profiles", "lost_samples"};

    for (size_t i = 0; i < p->meta_count; i++) {
        bool is_number = false;
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            is_number |= strcmp(p->meta[i].key, numbers[n]) == 0;
        }
        if (is_number) {
            json_unsigned(j, p->meta[i].key, profile_meta_number(p, p->meta[i].key));
        } else {
            json_text(j, p->meta[i].key, p->meta[i].value);
        }
    }
}

void
report_json(struct report *r, FILE *out)
{
    struct json j = {.out = out};
    struct fragments f;
    struct profile_figures sum = profile_total(r->profile), before = {0};

    for (size_t i = 0; i < r->profile->site_count; i++) {
        profile_figures_add(&before, &r->profile->sites[i].before);
    }
    json_open(&j, NULL, '{');
    json_unsigned(&j, "schema", SCHEMA_VERSION);
    json_text(&j, "kind", r->is_diff ? "diff" : "report");
    json_text(&j, "tide", TIDE_VERSION);
    json_bool(&j, "complete", !r->profile->incomplete);
    json_open(&j, "profile", '{');
    put_meta(&j, r->profile);
    json_close(&j, '}');
    if (r->is_diff) {
        json_open(&j, "profile_before", '{');
        put_meta(&j, r->before);
        json_close(&j, '}');
    }
    json_open(&j, "total", '{');
    put_figures(&j, &sum);
    put_before(&j, r, &before);
    json_unsigned(&j, "sites", r->profile->site_count);
    json_close(&j, '}');
    put_bounds(&j);
    put_modules(&j, r);
    write_fragments(&f, r);
    json_open(&j, "sites", '[');
    for (size_t i = 0; i < r->order_count; i++) {
        put_site(&j, r, &f, &r->profile->sites[r->order[i]]);
    }
    json_close(&j, ']');
    put_series(&j, r->profile);
    put_threads(&j, r->profile);
    json_open(&j, "statistics", '[');
    for (size_t i = 0; i < r->profile->stats_count; i++) {
        json_embed(&j, NULL, r->profile->stats[i]);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', out);
    free(f.text);
    free(f.at);
}
