/* SPDX-License-Identifier: MIT */
/*
 * The report as one page that needs nothing else: html/ has the page, of which the build makes one
 * text (report_page); this writes it, with what the page shows as JSON in the place for it.
 *
 * The JSON is between this file and html/page.js alone, and made for size: texts stand once and are
 * numbers elsewhere, objects are arrays. doc/report.schema.json is the one for other programs.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/flame.h"
#include "tool/json.h"
#include "tool/page.h"
#include "tool/texts.h"

enum {
    PARTS = 5000, /* of each total: frames with less are a third of a pixel on a wide screen */
};

struct page {
    struct report *report;
    struct json json;
    struct texts texts;
    uint32_t *places; /* of each location: its number in the page + 1, or 0 */
    uint32_t *locations;
    size_t place_count;
    uint32_t *order; /* the sites in the table */
};

static void
put_text_number(struct page *p, const char *text)
{
    json_number(&p->json, NULL, text == NULL ? -1 : (int64_t)texts_add(&p->texts, text));
}

/* ---- Head ------------------------------------------------------------------------------------ */

static void
put_figures(struct page *p, const char *key, const struct profile_figures *figures)
{
    json_open(&p->json, key, '[');
    for (size_t i = 0; i < PROFILE_FIGURE_COUNT; i++) {
        json_number(&p->json, NULL, report_value(figures, i));
    }
    json_close(&p->json, ']');
}

static void
put_head(struct page *p)
{
    static const char *const units[] = {"bytes", "thousandths", "count"};
    struct profile_figures sum = profile_total(p->report->profile);
    const struct profile *profile = p->report->profile;
    struct json *j = &p->json;

    json_text(j, "tide", TIDE_VERSION);
    json_bool(j, "complete", !profile->incomplete);
    json_text(j, "sort", report_figures[p->report->figure].name);
    json_unsigned(j, "site_count", profile->site_count);
    json_open(j, "meta", '{');
    for (size_t i = 0; i < profile->meta_count; i++) {
        json_text(j, profile->meta[i].key, profile->meta[i].value);
    }
    json_close(j, '}');
    json_open(j, "figures", '[');
    for (size_t i = 0; i < PROFILE_FIGURE_COUNT; i++) {
        json_open(j, NULL, '[');
        json_text(j, NULL, report_figures[i].name);
        json_text(j, NULL, units[report_figures[i].unit]);
        json_text(j, NULL, report_figures[i].text);
        json_close(j, ']');
    }
    json_close(j, ']');
    put_figures(p, "total", &sum);
}

static void
put_modules(struct page *p)
{
    const struct report *r = p->report;
    char hex[2 * PROFILE_BUILD_ID_MAX + 1];

    json_open(&p->json, "modules", '[');
    for (size_t i = 0; i < r->profile->module_count; i++) {
        const struct profile_module *m = &r->profile->modules[i];
        json_open(&p->json, NULL, '[');
        json_text(&p->json, NULL, m->path);
        json_text(&p->json, NULL, profile_build_id(m, hex));
        json_text(&p->json, NULL, symbols_source_name(r->symbols.sources[i]));
        json_bool(&p->json, NULL, m->is_main);
        json_close(&p->json, ']');
    }
    json_close(&p->json, ']');
}

/* ---- Sites ----------------------------------------------------------------------------------- */

static double
share(int64_t value, int64_t total)
{
    return total <= 0 ? 0 : fabs((double)value) / (double)total;
}

/* What counts when sites must be left out: the largest part it has of anything one may sort by. */
static double
importance(const struct report *r, const struct profile_figures *sum, const struct profile_site *s)
{
    const int64_t pairs[][2] = {
        {s->figures.live_bytes, sum->live_bytes},
        {s->figures.allocated_bytes, sum->allocated_bytes},
        {s->figures.peak_live_bytes, sum->peak_live_bytes},
        /* Growth and shrinking cancel out in the total: against what is live. */
        {s->figures.growth_bytes, sum->live_bytes},
        {report_value(&s->figures, r->figure), report_value(sum, r->figure)},
    };
    double most = s->frame_count == 0 ? 1 : 0;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        double part = share(pairs[i][0], pairs[i][1]);
        most = part > most ? part : most;
    }
    return most;
}

struct important {
    double importance;
    uint32_t site;
};

static int
compare_importance(const void *a, const void *b)
{
    const struct important *x = a, *y = b;

    if (x->importance != y->importance) {
        return x->importance > y->importance ? -1 : 1;
    }
    return (x->site > y->site) - (x->site < y->site);
}

/* Which sites the table has, and how much the ones left out have of anything. */
static void
choose_sites(struct page *p)
{
    const struct report *r = p->report;
    struct profile_figures sum = profile_total(r->profile);
    size_t count = r->profile->site_count;
    struct important *all = tool_alloc(count * sizeof *all);

    for (uint32_t i = 0; i < count; i++) {
        all[i] = (struct important){importance(r, &sum, &r->profile->sites[i]), i};
    }
    qsort(all, count, sizeof *all, compare_importance);
    p->order = tool_alloc(count * sizeof *p->order);
    for (size_t i = 0; i < r->order_count; i++) {
        p->order[i] = all[i].site;
    }
    json_unsigned(&p->json, "left_out", count - r->order_count);
    json_unsigned(&p->json, "left_out_ppm",
                  r->order_count == count ? 0
                                          : (uint64_t)(all[r->order_count].importance * 1e6) + 1);
    free(all);
}

static void
put_histogram(struct json *j, const int64_t *buckets, size_t count)
{
    while (count > 0 && buckets[count - 1] == 0) {
        count--;
    }
    json_open(j, NULL, '[');
    for (size_t i = 0; i < count; i++) {
        json_number(j, NULL, buckets[i]);
    }
    json_close(j, ']');
}

static void
put_histograms(struct json *j, const char *key, struct profile_site *site)
{
    json_open(j, key, '[');
    for (int h = 0; h < PROFILE_HISTOGRAMS; h++) {
        put_histogram(j, profile_histogram(site, (enum profile_histogram)h),
                      profile_histogram_size((enum profile_histogram)h));
    }
    json_close(j, ']');
}

static uint32_t
place_of(struct page *p, uint32_t location)
{
    if (p->places[location] == 0) {
        p->locations[p->place_count++] = location;
        p->places[location] = (uint32_t)p->place_count;
    }
    return p->places[location] - 1;
}

static void
put_sites(struct page *p)
{
    struct profile_site all = {0};
    struct json *j = &p->json;

    json_open(j, "sites", '[');
    for (size_t i = 0; i < p->report->order_count; i++) {
        struct profile_site *site = &p->report->profile->sites[p->order[i]];
        json_open(j, NULL, '[');
        put_figures(p, NULL, &site->figures);
        put_histograms(j, NULL, site);
        json_unsigned(j, NULL, report_half_life(site));
        json_open(j, NULL, '[');
        for (uint32_t f = 0; f < site->frame_count; f++) {
            json_unsigned(j, NULL, place_of(p, site->frames[f]));
        }
        json_close(j, ']');
        json_close(j, ']');
    }
    json_close(j, ']');
    for (size_t i = 0; i < p->report->profile->site_count; i++) {
        profile_site_add(&all, &p->report->profile->sites[i]);
    }
    put_histograms(j, "lifetimes", &all);
    json_unsigned(j, "half_life", report_half_life(&all));
}

/* Module + 1, offset, and its frames, of four values each. */
static void
put_places(struct page *p)
{
    const struct report *r = p->report;
    struct json *j = &p->json;
    char offset[32];

    json_open(j, "places", '[');
    for (size_t i = 0; i < p->place_count; i++) {
        const struct profile_location *l = &r->profile->locations[p->locations[i]];
        size_t count;
        const struct symbol_frame *frames = report_frames(r, p->locations[i], &count);
        json_open(j, NULL, '[');
        json_unsigned(j, NULL, l->module);
        snprintf(offset, sizeof offset, "0x%" PRIx64, l->offset);
        json_text(j, NULL, offset);
        for (size_t k = 0; k < count; k++) {
            put_text_number(p, frames[k].function);
            put_text_number(p, frames[k].file);
            json_unsigned(j, NULL, frames[k].line);
            json_unsigned(j, NULL, frames[k].inlined);
        }
        json_close(j, ']');
    }
    json_close(j, ']');
}

/* ---- The flame graph ------------------------------------------------------------------------- */

/* The width of a frame in the graph of growth is what grew and what shrank; its colour is the sum
 * of the two. */
enum { LIVE, ALLOCATED, MOVED, GROWTH, DECIDING = GROWTH };

static void
weigh(const struct report *r, const struct profile_site *site, int64_t *values)
{
    int64_t growth = site->figures.growth_bytes;

    (void)r;
    values[LIVE] = site->figures.live_bytes < 0 ? 0 : site->figures.live_bytes;
    values[ALLOCATED] = site->figures.allocated_bytes < 0 ? 0 : site->figures.allocated_bytes;
    values[MOVED] = growth < 0 ? report_difference(0, growth) : growth;
    values[GROWTH] = growth;
}

/* Kind or text, module + 1, sites, values; then its callees, until leave_frame. */
static void
enter_frame(void *context, const struct flame_node *node)
{
    struct page *p = context;
    struct json *j = &p->json;

    json_open(j, node->depth == 0 ? "flame" : NULL, '[');
    if (node->kind != FLAME_FRAME) {
        json_number(j, NULL, -(int64_t)node->kind - 1);
        json_unsigned(j, NULL, 0);
    } else {
        char *name = flame_name(p->report, node);
        const char *text = node->frame->function;
        if (text == NULL) {
            text = tool_pool_text(&p->report->symbols.pool, name, strlen(name));
        }
        put_text_number(p, text);
        json_unsigned(j, NULL, p->report->profile->locations[node->location].module);
        free(name);
    }
    json_unsigned(j, NULL, node->sites);
    for (size_t i = 0; i < FLAME_VALUES; i++) {
        json_number(j, NULL, node->values[i]);
    }
}

static void
leave_frame(void *context, const struct flame_node *node)
{
    struct page *p = context;

    (void)node;
    json_close(&p->json, ']');
}

static void
put_flame(struct page *p)
{
    struct flame_plan plan = {.report = p->report,
                              .weigh = weigh,
                              .deciding = DECIDING,
                              .parts = PARTS,
                              .enter = enter_frame,
                              .leave = leave_frame,
                              .context = p};
    size_t small = flame_walk(&plan);

    json_unsigned(&p->json, "flame_parts", PARTS);
    json_unsigned(&p->json, "flame_small", small);
}

/* ---- Series, statistics, texts --------------------------------------------------------------- */

static void
put_series(struct page *p)
{
    const struct profile *profile = p->report->profile;
    struct json *j = &p->json;

    json_open(j, "series", '[');
    for (size_t i = 0; i < profile->series_count; i++) {
        const struct profile_series *s = &profile->series[i];
        json_open(j, NULL, '[');
        json_text(j, NULL, s->name);
        json_text(j, NULL, s->unit);
        json_unsigned(j, NULL, s->interval_ns);
        json_unsigned(j, NULL, s->time_ns);
        json_open(j, NULL, '[');
        for (uint32_t k = 0; k < s->count; k++) {
            json_number(j, NULL, s->values[k]);
        }
        json_close(j, ']');
        json_close(j, ']');
    }
    json_close(j, ']');
    json_open(j, "statistics", '[');
    for (size_t i = 0; i < profile->stats_count; i++) {
        json_text(j, NULL, profile->stats[i]);
    }
    json_close(j, ']');
}

static void
put_texts(struct page *p)
{
    json_open(&p->json, "texts", '[');
    for (size_t i = 0; i < p->texts.count; i++) {
        json_text(&p->json, NULL, p->texts.texts[i]);
    }
    json_close(&p->json, ']');
}

/* ---- The page -------------------------------------------------------------------------------- */

static void
put_data(struct page *p)
{
    json_open(&p->json, NULL, '{');
    put_head(p);
    put_modules(p);
    choose_sites(p);
    put_sites(p);
    put_places(p);
    put_flame(p);
    put_series(p);
    put_texts(p); /* last: the others number them */
    json_close(&p->json, '}');
}

void
report_html(struct report *r, FILE *out)
{
    static const char mark[] = "@DATA@";
    struct page p = {.report = r, .json = {.out = out, .in_page = true}};
    const char *at;

    if (report_page_bytes == 0) {
        tool_die(TOOL_USAGE, "this tide was built without html: ./configure found no npm, or was "
                             "told to leave it out; --format=svg is always there");
    }
    at = memmem(report_page, report_page_bytes, mark, sizeof mark - 1);
    if (at == NULL) {
        tool_die(TOOL_INPUT, "the page in this tide has no place for data: build it anew");
    }
    p.places = tool_alloc(r->profile->location_count * sizeof *p.places);
    p.locations = tool_alloc(r->profile->location_count * sizeof *p.locations);
    fwrite(report_page, 1, (size_t)(at - report_page), out);
    put_data(&p);
    at += sizeof mark - 1;
    fwrite(at, 1, (size_t)(report_page + report_page_bytes - at), out);
    texts_free(&p.texts);
    free(p.places);
    free(p.locations);
    free(p.order);
}
