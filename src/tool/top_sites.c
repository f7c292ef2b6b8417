/* SPDX-License-Identifier: MIT */
/*
 * One process: what it answers, and its sites with names. Rates are between two answers. Names are
 * kept from answer to answer, so that each place is looked up once.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/process.h"
#include "tool/top.h"

enum { PATIENCE_NS = 2000000000 /* until a target that does not answer is opened again */ };

enum { LIVE, BLOCKS, GROWTH, RATE, PEAK, ALLOCATED, SAMPLES, COLUMNS };

static const struct top_column columns[COLUMNS] = {
    [LIVE] = {"live_bytes", "LIVE", TOP_BYTES, 6},
    [BLOCKS] = {"live_blocks", "BLOCKS", TOP_BLOCKS, 6},
    [GROWTH] = {"growth_bytes", "GROW/m", TOP_CHANGE, 7},
    [RATE] = {"rate_bytes_per_s", "RATE/s", TOP_BYTES, 6},
    [PEAK] = {"peak_live_bytes", "PEAK", TOP_BYTES, 6},
    [ALLOCATED] = {"allocated_bytes", "ALLOC", TOP_BYTES, 6},
    [SAMPLES] = {"samples", "SMPLS", TOP_NUMBER, 6},
};

/* The names of places that came up in one answer. */
struct names {
    struct names *next;
    struct symbols symbols;
};

/* A place that has a name. */
struct named {
    uint64_t key; /* 0: none */
    const struct symbol_frame *frames;
    size_t count;
};

/* What a site had allocated at an earlier time. */
struct past {
    uint64_t id;
    int64_t allocated;
};

struct top_sites {
    int pid;
    struct symbol_options options;
    struct target target;
    struct process_memory memory;
    char command[256];
    enum page_question question;
    bool is_asked, has_profile;
    uint64_t asked_ns;
    struct profile profile;
    uint64_t *ids;     /* of the profile's sites */
    uint64_t *keys;    /* of its locations */
    int64_t *rates;    /* of its sites; TOP_UNKNOWN */
    struct past *past; /* of the answer before, by id */
    size_t past_count;
    uint64_t past_ns;
    struct named *named; /* open addressing by key */
    size_t named_count, named_size;
    struct names *names;
};

void
top_sites_init_table(struct top_table *t)
{
    *t = (struct top_table){
        .columns = columns, .column_count = COLUMNS, .text_title = "SITE", .sort = LIVE};
}

struct top_sites *
top_sites_new(int pid, const struct symbol_options *options)
{
    struct top_sites *s = tool_alloc(sizeof *s);

    s->pid = pid;
    s->options = *options;
    s->options.quiet = true;
    (void)target_open(&s->target, pid);
    process_command(s->target.directory, s->command, sizeof s->command);
    return s;
}

static void
forget_answer(struct top_sites *s)
{
    profile_free(&s->profile);
    free(s->ids);
    free(s->keys);
    free(s->rates);
    s->ids = s->keys = NULL;
    s->rates = NULL;
}

void
top_sites_free(struct top_sites *s)
{
    while (s->names != NULL) {
        struct names *next = s->names->next;

        symbols_free(&s->names->symbols);
        free(s->names);
        s->names = next;
    }
    if (s->has_profile) {
        forget_answer(s);
    }
    target_close(&s->target);
    free(s->past);
    free(s->named);
    free(s);
}

const char *
top_sites_problem(const struct top_sites *s)
{
    return s->target.problem[0] != '\0' ? s->target.problem : NULL;
}

bool
top_sites_answered(const struct top_sites *s)
{
    return s->has_profile;
}

/* ---- Identity -------------------------------------------------------------------------------- */

static uint64_t
mix(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3u;
    }
    return hash;
}

/* The same in every answer, unlike the index. */
static uint64_t
location_key(const struct profile *p, uint32_t location)
{
    const struct profile_location *l = &p->locations[location];
    uint64_t hash = mix(0xcbf29ce484222325u, &l->offset, sizeof l->offset);

    if (l->module != 0) {
        const struct profile_module *m = &p->modules[l->module - 1];

        hash = mix(hash, m->path, strlen(m->path));
        hash = mix(hash, m->build_id, m->build_id_length);
    }
    return hash != 0 ? hash : 1;
}

static uint64_t
site_id(const struct top_sites *s, const struct profile_site *site)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (uint32_t i = 0; i < site->frame_count; i++) {
        hash = mix(hash, &s->keys[site->frames[i]], sizeof s->keys[0]);
    }
    return hash;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static struct named *
named_slot(const struct top_sites *s, uint64_t key)
{
    size_t i = (size_t)key & (s->named_size - 1);

    while (s->named[i].key != 0 && s->named[i].key != key) {
        i = (i + 1) & (s->named_size - 1);
    }
    return &s->named[i];
}

static void
make_room(struct top_sites *s, size_t more)
{
    struct named *old = s->named;
    size_t old_size = s->named_size, size = old_size == 0 ? 1024 : old_size;

    while (size < 2 * (s->named_count + more)) {
        size *= 2;
    }
    if (size == old_size) {
        return;
    }
    s->named = tool_alloc(size * sizeof *s->named);
    s->named_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].key != 0) {
            *named_slot(s, old[i].key) = old[i];
        }
    }
    free(old);
}

/* Looks up what has no name yet: a profile of these places alone, in the same order. */
static void
name_places(struct top_sites *s)
{
    struct profile *p = &s->profile, part = *p;
    struct names *names = tool_alloc(sizeof *names);
    uint32_t *which = tool_alloc(p->location_count * sizeof *which);

    part.locations = tool_alloc(p->location_count * sizeof *part.locations);
    part.location_count = 0;
    make_room(s, p->location_count);
    for (uint32_t i = 0; i < p->location_count; i++) {
        if (named_slot(s, s->keys[i])->key == 0) {
            which[part.location_count] = i;
            part.locations[part.location_count++] = p->locations[i];
        }
    }
    symbols_resolve(&names->symbols, &part, &s->options);
    for (size_t i = 0; i < part.location_count; i++) {
        struct named *n = named_slot(s, s->keys[which[i]]);
        const struct symbols *found = &names->symbols;

        *n = (struct named){.key = s->keys[which[i]],
                            .frames = &found->frames[found->first[i]],
                            .count = found->first[i + 1] - found->first[i]};
        s->named_count++;
    }
    names->next = s->names;
    s->names = names;
    free(part.locations);
    free(which);
}

static const struct named *
names_of(const struct top_sites *s, uint32_t location)
{
    return named_slot(s, s->keys[location]);
}

/* A frame as text: a function, or a place in a module. */
static void
frame_text(const struct top_sites *s, uint32_t location, const struct symbol_frame *frame,
           char *text, size_t size)
{
    const struct profile_location *l = &s->profile.locations[location];
    size_t used;

    if (frame->function != NULL) {
        used = (size_t)snprintf(text, size, "%s", frame->function);
        if (frame->file != NULL && used < size) {
            snprintf(text + used, size - used, " (%s:%" PRIu32 ")", profile_base_name(frame->file),
                     frame->line);
        }
    } else if (l->module != 0) {
        snprintf(text, size, "%s+0x%" PRIx64,
                 profile_base_name(s->profile.modules[l->module - 1].path), l->offset);
    } else {
        snprintf(text, size, "0x%" PRIx64 " (no module)", l->offset);
    }
}

/* Is the place in the program's own file, and no code that the C++ library's headers left there? */
static bool
is_own(const struct top_sites *s, uint32_t location, const struct symbol_frame *frame)
{
    const struct profile_location *l = &s->profile.locations[location];
    const char *program = profile_meta(&s->profile, "program");
    const char *name = frame->function != NULL ? frame->function : "";
    const char *std = strstr(name, "std::"), *gnu = strstr(name, "__gnu_cxx::");
    size_t length = strcspn(name, "<(");

    return l->module != 0 && program != NULL &&
           strcmp(s->profile.modules[l->module - 1].path, program) == 0 &&
           (std == NULL || (size_t)(std - name) >= length) &&
           (gnu == NULL || (size_t)(gnu - name) >= length) &&
           strncmp(name, "operator new", strlen("operator new")) != 0;
}

/* Functions, innermost first, as many as there is room for: files and lines are in the stack. What
 * comes before the first of the program's own takes half of the room at most. */
static void
site_text(const struct top_sites *s, const struct profile_site *site, struct top_row *row)
{
    size_t size = sizeof row->text, used = 0;
    bool has_own = false;

    snprintf(row->text, size, "(sites for which there was no room)");
    for (uint32_t i = 0; i < site->frame_count; i++) {
        const struct named *n = names_of(s, site->frames[i]);

        for (size_t k = 0; k < n->count; k++) {
            struct symbol_frame frame = {.function = n->frames[k].function};
            bool is_first_own = !has_own && is_own(s, site->frames[i], &frame);
            size_t end = has_own || is_first_own ? size : size / 2;

            if (used + 1 >= end) {
                continue;
            }
            snprintf(row->text + used, end - used, "%s",
                     is_first_own && used + 1 >= size / 2 ? "... < "
                     : used > 0                           ? " < "
                                                          : "");
            used += strlen(row->text + used);
            row->own = is_first_own ? used : row->own;
            has_own |= is_first_own;
            frame_text(s, site->frames[i], &frame, row->text + used, end - used);
            used += strlen(row->text + used);
        }
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

static uint64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
top_sites_ask(struct top_sites *s)
{
    if (s->is_asked && now_ns() - s->asked_ns < PATIENCE_NS) {
        return;
    }
    if (s->is_asked || s->target.state != TARGET_OPEN || !target_refresh(&s->target)) {
        target_close(&s->target); /* it has ended, stopped answering, or made another page */
        s->is_asked = false;
        if (!target_open(&s->target, s->pid)) {
            return;
        }
    }
    s->question = (s->target.head.flags & PAGE_HAS_PROFILE) != 0 ? PAGE_PROFILE : PAGE_STATISTICS;
    s->is_asked = target_ask(&s->target, s->question);
    s->asked_ns = now_ns();
}

static int
compare_past(const void *a, const void *b)
{
    const struct past *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* The sites as they are become the past. */
static void
remember(struct top_sites *s)
{
    free(s->past);
    s->past_count = s->has_profile ? s->profile.site_count : 0;
    s->past_ns = s->has_profile ? profile_meta_number(&s->profile, "time_ns") : 0;
    s->past = tool_alloc(s->past_count * sizeof *s->past);
    for (size_t i = 0; i < s->past_count; i++) {
        s->past[i] = (struct past){s->ids[i], s->profile.sites[i].figures.allocated_bytes};
    }
    qsort(s->past, s->past_count, sizeof *s->past, compare_past);
}

static int64_t
rate_of(const struct top_sites *s, size_t site)
{
    uint64_t time_ns = profile_meta_number(&s->profile, "time_ns");
    struct past key = {.id = s->ids[site]};
    const struct past *past = bsearch(&key, s->past, s->past_count, sizeof *s->past, compare_past);
    int64_t now = s->profile.sites[site].figures.allocated_bytes;

    if (s->past_ns == 0 || time_ns <= s->past_ns) {
        return TOP_UNKNOWN;
    }
    return (int64_t)((double)report_difference(now, past != NULL ? past->allocated : 0) * 1e9 /
                     (double)(time_ns - s->past_ns));
}

static void
take_profile(struct top_sites *s, struct profile *fresh)
{
    remember(s);
    if (s->has_profile) {
        forget_answer(s);
    }
    s->profile = *fresh;
    s->has_profile = true;
    s->keys = tool_alloc(s->profile.location_count * sizeof *s->keys);
    for (uint32_t i = 0; i < s->profile.location_count; i++) {
        s->keys[i] = location_key(&s->profile, i);
    }
    s->ids = tool_alloc(s->profile.site_count * sizeof *s->ids);
    s->rates = tool_alloc(s->profile.site_count * sizeof *s->rates);
    for (size_t i = 0; i < s->profile.site_count; i++) {
        s->ids[i] = site_id(s, &s->profile.sites[i]);
        s->rates[i] = rate_of(s, i);
    }
    name_places(s);
    (void)process_memory(s->target.directory, true, &s->memory);
}

bool
top_sites_poll(struct top_sites *s)
{
    struct profile_problem problem;
    struct profile fresh = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum target_reply reply;

    if (!s->is_asked) {
        return false;
    }
    reply = target_poll(&s->target, s->question, &bytes, &length);
    if (reply != TARGET_ANSWERED) {
        s->is_asked = reply == TARGET_WAIT;
        return false;
    }
    s->is_asked = false;
    if (profile_parse(&fresh, bytes, length, 0, &problem)) {
        s->target.problem[0] = '\0';
        take_profile(s, &fresh);
    } else {
        snprintf(s->target.problem, sizeof s->target.problem, "process %d: its answer: %s", s->pid,
                 problem.text);
        profile_free(&fresh);
    }
    free(bytes);
    return s->target.problem[0] == '\0';
}

/* ---- Showing --------------------------------------------------------------------------------- */

static json_t *
statistics(const struct top_sites *s)
{
    return s->has_profile && s->profile.stats_count > 0 ? json_loads(s->profile.stats[0], 0, NULL)
                                                        : NULL;
}

/* A figure of the statistics as a cell. */
static const char *
figure(json_t *from, const char *name, char *cell)
{
    return report_cell(cell, json_integer_value(json_object_get(from, name)), REPORT_BYTES, false);
}

static void
fill_lanes(json_t *all, struct top_table *t)
{
    json_t *lane;
    size_t i;
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL];

    json_array_foreach(json_object_get(all, "lanes"), i, lane)
    {
        const char *name = json_string_value(json_object_get(lane, "name"));

        top_table_head(
            t, "lane %s: live %s, in spans %s, kept free %s, %" JSON_INTEGER_FORMAT " chunks",
            name != NULL ? name : "?", figure(lane, "allocated_bytes", a),
            figure(lane, "active_bytes", b), figure(lane, "retained_bytes", c),
            json_integer_value(json_object_get(lane, "chunks")));
    }
}

static void
fill_head(const struct top_sites *s, struct top_table *t)
{
    json_t *all = statistics(s);
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL], d[REPORT_CELL];

    top_table_head(t, "%d  %s", s->pid, s->command);
    if (!s->has_profile) {
        return;
    }
    top_table_head(t, "RSS %s, PSS %s, live %s, most in spans %s",
                   report_cell(a, (int64_t)s->memory.resident, REPORT_BYTES, false),
                   report_cell(b, (int64_t)s->memory.share, REPORT_BYTES, false),
                   figure(all, "allocated_bytes", c), figure(all, "peak_active_bytes", d));
    top_table_head(t, "arena: committed %s, kept free %s, given back %s, huge pages %s",
                   figure(all, "committed_bytes", a), figure(all, "retained_bytes", b),
                   figure(all, "purged_bytes", c), figure(all, "huge_bytes", d));
    fill_lanes(all, t);
    top_outlook_head(&s->profile, t);
    if (s->question == PAGE_STATISTICS) {
        top_table_head(t, "no profile, so no sites: `tide run`, or TIDE_CONF=profile:true");
    } else {
        top_table_head(
            t, "%zu sites, a sample every %s, %" PRIu64 " samples lost", s->profile.site_count,
            report_cell(a, (int64_t)profile_meta_number(&s->profile, "rate"), REPORT_BYTES, false),
            profile_meta_number(&s->profile, "lost_samples"));
    }
    json_decref(all);
}

void
top_sites_fill(const struct top_sites *s, struct top_table *t)
{
    top_table_clear(t);
    fill_head(s, t);
    for (size_t i = 0; s->has_profile && i < s->profile.site_count; i++) {
        const struct profile_figures *f = &s->profile.sites[i].figures;
        struct top_row *row = top_table_add(t);

        row->id = s->ids[i];
        row->index = i;
        row->values[LIVE] = f->live_bytes;
        row->values[BLOCKS] = f->live_blocks;
        row->values[GROWTH] = f->growth_bytes;
        row->values[RATE] = s->rates[i];
        row->values[PEAK] = f->peak_live_bytes;
        row->values[ALLOCATED] = f->allocated_bytes;
        row->values[SAMPLES] = f->samples;
        site_text(s, &s->profile.sites[i], row);
    }
}

bool
top_sites_stack(const struct top_sites *s, uint64_t id, struct top_table *out)
{
    struct profile_site *site = NULL;

    top_table_clear(out);
    for (size_t i = 0; s->has_profile && i < s->profile.site_count; i++) {
        if (s->ids[i] == id) {
            site = &s->profile.sites[i];
        }
    }
    if (site == NULL) {
        return false;
    }
    top_table_head(out, "%d  %s", s->pid, s->command);
    top_table_head(out, "half of its blocks live: %s",
                   report_half_life_text(report_half_life(site)));
    for (uint32_t i = 0; i < site->frame_count; i++) {
        const struct named *n = names_of(s, site->frames[i]);

        for (size_t k = 0; k < n->count; k++) {
            struct top_row *row = top_table_add(out);

            row->id = out->row_count;
            frame_text(s, site->frames[i], &n->frames[k], row->text, sizeof row->text);
        }
    }
    return true;
}

void
top_sites_outlook(const struct top_sites *s, size_t width, size_t height, struct top_table *out)
{
    top_table_clear(out);
    top_table_head(out, "%d  %s", s->pid, s->command);
    if (s->has_profile) {
        top_outlook_fill(&s->profile, width, height, out);
    }
}

void
top_sites_json(const struct top_sites *s, struct json *j)
{
    json_number(j, "pid", s->pid);
    json_text(j, "command", s->command);
    json_unsigned(j, "rss_bytes", s->memory.resident);
    json_unsigned(j, "pss_bytes", s->memory.share);
    json_unsigned(j, "time_ns", profile_meta_number(&s->profile, "time_ns"));
    json_bool(j, "profile", s->question == PAGE_PROFILE);
    if (s->profile.stats_count > 0) {
        json_embed(j, "statistics", s->profile.stats[0]);
    }
}

void
top_sites_json_frames(const struct top_sites *s, const struct top_row *row, struct json *j)
{
    const struct profile_site *site = &s->profile.sites[row->index];

    json_open(j, "frames", '[');
    for (uint32_t i = 0; i < site->frame_count; i++) {
        const struct profile_location *l = &s->profile.locations[site->frames[i]];
        const struct named *n = names_of(s, site->frames[i]);

        for (size_t k = 0; k < n->count; k++) {
            json_open_row(j, NULL, '{');
            if (n->frames[k].function != NULL) {
                json_text(j, "function", n->frames[k].function);
            }
            if (n->frames[k].file != NULL) {
                json_text(j, "file", n->frames[k].file);
                json_unsigned(j, "line", n->frames[k].line);
            }
            if (l->module != 0) {
                json_text(j, "module", s->profile.modules[l->module - 1].path);
            }
            json_unsigned(j, "offset", l->offset);
            json_close(j, '}');
        }
    }
    json_close(j, ']');
}
