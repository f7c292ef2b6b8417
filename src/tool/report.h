/* SPDX-License-Identifier: MIT */
/*
 * What a report is made of: a profile, names for its places, and which sites in which order. The
 * forms it can have are a table in report.c; a new one is a function here and a line there.
 */
#ifndef TIDE_TOOL_REPORT_H
#define TIDE_TOOL_REPORT_H

#include "tool/symbols.h"

/* figures.def as a table. A figure is its index, in the order of struct profile_figures. */
enum report_unit { REPORT_BYTES, REPORT_BLOCKS, REPORT_COUNT };

struct report_figure {
    const char *name;
    enum report_unit unit;
    const char *text;
};

extern const struct report_figure report_figures[PROFILE_FIGURE_COUNT];

/* By name, or by a short one: live, allocated, growth, peak. SIZE_MAX: no such figure. */
size_t report_figure_index(const char *name);
int64_t report_value(const struct profile_figures *figures, size_t figure);
/* a - b, at the ends of the range where it would leave it. */
int64_t report_difference(int64_t a, int64_t b);

/* ---- Cells: figures in three digits or four and a unit (report_cells.c) ---------------------- */

enum { REPORT_CELL = 16 };

/* Into a buffer of REPORT_CELL bytes; `sign` for changes. */
const char *report_cell(char *text, int64_t value, enum report_unit unit, bool sign);
const char *report_duration(char *text, uint64_t ns);

/*
 * How long half of the blocks live, blocks that still do counted as living at least so long (the
 * estimate of Kaplan and Meier, on buckets): the decade where it falls, or one of these.
 */
enum { REPORT_STAYS = PROFILE_DECADES, REPORT_NO_HALF_LIFE };
size_t report_half_life(struct profile_site *site);
const char *report_half_life_text(size_t half_life);

/* ---- A report -------------------------------------------------------------------------------- */

struct report {
    struct profile *profile;
    struct symbols symbols;
    size_t figure;                /* sorted by, and the weight of collapsed stacks */
    size_t top;                   /* sites shown; 0: all */
    size_t frames;                /* frames shown of each in text; SIZE_MAX: all */
    bool is_diff;                 /* sites have figures before */
    const struct profile *before; /* tide diff: the older profile, for what META says of it */
    uint32_t *order;              /* the sites shown, most first */
    size_t order_count;
};

/* Fills order: sites by the figure (diff: by its change, either way), as many as are shown. */
void report_sort(struct report *r);
/* What the order is by: the figure, or the size of its change. */
int64_t report_weight(const struct report *r, const struct profile_site *site);

typedef void report_writer(struct report *r, FILE *out);
report_writer report_text, report_json, report_collapsed, report_pprof, report_html, report_svg;

struct report_format {
    const char *name;
    report_writer *write;
    size_t top;     /* how many sites when nothing is said; 0: all */
    bool for_diff;  /* can show a difference */
    bool is_binary; /* not for terminals */
};

extern const struct report_format report_formats[];
/* NULL when there is no such format. */
const struct report_format *report_format_named(const char *name);

/* Which frames a site's frame number stands for. */
static inline const struct symbol_frame *
report_frames(const struct report *r, uint32_t location, size_t *count)
{
    *count = r->symbols.first[location + 1] - r->symbols.first[location];
    return &r->symbols.frames[r->symbols.first[location]];
}

/* A line: of which program, process and time the profile is. */
void report_put_head(const struct profile *p, FILE *out);

/* The text without what could steer a terminal or end a line; at most its length. */
void report_put_safe(FILE *out, const char *text);

/* The module of a location, or NULL. */
const struct profile_module *report_module(const struct report *r, uint32_t location);

/* Writes with all checks, and says what it wrote as an exit code. */
int report_write(struct report *r, const struct report_format *format, const char *path);

/* Options that report and diff share; each returns true when it took the option. */
struct report_options {
    const struct report_format *format;
    const char *out;
    struct symbol_options symbols;
    size_t figure, top, frames;
    bool has_figure, has_top;
};

extern const char report_options_help[];
/* Parses all options of the command line; the rest begins at optind. False: --help was given. */
bool report_parse_options(struct report_options *o, int argc, char **argv, bool is_diff);
/* optarg of --match, which only diff has; NULL when not given. */
extern const char *report_match;
void report_apply_options(struct report *r, const struct report_options *o);

#endif
