/* SPDX-License-Identifier: MIT */
/* `tide report`, and what it shares with `tide diff`: options, the order of sites, the output. */
#include "tool/report.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Figures --------------------------------------------------------------------------------- */

#define BYTES REPORT_BYTES
#define BLOCKS REPORT_BLOCKS
#define COUNT REPORT_COUNT
const struct report_figure report_figures[PROFILE_FIGURE_COUNT] = {
#define PROFILE_FIGURE(name, unit, text) {#name, unit, text},
#include "profile/figures.def"
#undef PROFILE_FIGURE
};
#undef BYTES
#undef BLOCKS
#undef COUNT

size_t
report_figure_index(const char *name)
{
    static const char *const endings[] = {"", "_bytes", "_live_bytes"};
    char wanted[64];

    for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++) {
        snprintf(wanted, sizeof wanted, "%.40s%s", name, endings[e]);
        for (size_t i = 0; i < PROFILE_FIGURE_COUNT; i++) {
            if (strcmp(report_figures[i].name, wanted) == 0) {
                return i;
            }
        }
    }
    return SIZE_MAX;
}

int64_t
report_value(const struct profile_figures *figures, size_t figure)
{
    int64_t values[PROFILE_FIGURE_COUNT];

    memcpy(values, figures, sizeof values);
    return values[figure];
}

/* ---- Order ----------------------------------------------------------------------------------- */

int64_t
report_difference(int64_t a, int64_t b)
{
    int64_t d;

    return __builtin_sub_overflow(a, b, &d) ? (a < 0 ? INT64_MIN : INT64_MAX) : d;
}

int64_t
report_weight(const struct report *r, const struct profile_site *site)
{
    int64_t value = report_value(&site->figures, r->figure);

    if (r->is_diff) {
        value = report_difference(value, report_value(&site->before, r->figure));
        value = value == INT64_MIN ? INT64_MAX : value < 0 ? -value : value;
    }
    return value;
}

static int
compare_order(const void *a, const void *b, void *report)
{
    const struct report *r = report;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int64_t wx = report_weight(r, &r->profile->sites[x]);
    int64_t wy = report_weight(r, &r->profile->sites[y]);

    /* A program that has ended has freed everything: what it allocated is then of interest. */
    if (wx == wy) {
        wx = r->profile->sites[x].figures.allocated_bytes;
        wy = r->profile->sites[y].figures.allocated_bytes;
    }
    if (wx != wy) {
        return wx > wy ? -1 : 1;
    }
    return (x > y) - (x < y);
}

void
report_sort(struct report *r)
{
    size_t count = r->profile->site_count;

    free(r->order);
    r->order = tool_alloc(count * sizeof *r->order);
    for (uint32_t i = 0; i < count; i++) {
        r->order[i] = i;
    }
    qsort_r(r->order, count, sizeof *r->order, compare_order, r);
    r->order_count = r->top == 0 || r->top > count ? count : r->top;
}

/* ---- Output ---------------------------------------------------------------------------------- */

const struct report_format report_formats[] = {
    {"text", report_text, 20, true, false},
    {"json", report_json, 0, true, false},
    {"collapsed", report_collapsed, 0, true, false},
    {"pprof", report_pprof, 0, false, true},
    {"html", report_html, 5000, false, false},
    {"svg", report_svg, 0, false, false},
    {NULL, NULL, 0, false, false},
};

const struct report_format *
report_format_named(const char *name)
{
    const struct report_format *f = report_formats;

    while (f->name != NULL && strcmp(f->name, name) != 0) {
        f++;
    }
    return f->name == NULL ? NULL : f;
}

void
report_put_safe(FILE *out, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, out);
    }
}

const struct profile_module *
report_module(const struct report *r, uint32_t location)
{
    uint32_t module = r->profile->locations[location].module;

    return module == 0 ? NULL : &r->profile->modules[module - 1];
}

int
report_write(struct report *r, const struct report_format *format, const char *path)
{
    FILE *out;

    if (format->is_binary && (path == NULL || strcmp(path, "-") == 0) && isatty(STDOUT_FILENO)) {
        tool_misused("--format=%s is not for a terminal: use -o FILE", format->name);
    }
    report_sort(r);
    out = tool_output(path);
    format->write(r, out);
    tool_output_done(out, path);
    free(r->order);
    r->order = NULL;
    return r->profile->site_count == 0 ? TOOL_NOT_SO : TOOL_OK;
}

/* ---- Options --------------------------------------------------------------------------------- */

const char report_options_help[] =
    "  -s, --sort=FIGURE     order, and the weight of stacks (collapsed, svg): live (the "
    "default),\n"
    "                        allocated, growth, peak, or any figure of the JSON report\n"
    "  -n, --top=N           so many sites (text: 20, html: 5000, the others: all); 0: all\n"
    "      --frames=N        so many frames of each site in text (8); 0: all\n"
    "      --json            the same as --format=json\n"
    "  -o, --output=FILE     write there, not to standard output\n"
    "      --debug-dir=DIR   look for DIR/.build-id/xx/yyy[.debug] before /usr/lib/debug\n"
    "      --no-symbols      modules and offsets instead of names\n"
    "  -h, --help            this text\n";

const char *report_match;

enum { OPTION_FRAMES = 256, OPTION_JSON, OPTION_DEBUG_DIR, OPTION_NO_SYMBOLS, OPTION_MATCH };

static const struct option long_options[] = {
    {"sort", required_argument, NULL, 's'},
    {"top", required_argument, NULL, 'n'},
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {"frames", required_argument, NULL, OPTION_FRAMES},
    {"json", no_argument, NULL, OPTION_JSON},
    {"debug-dir", required_argument, NULL, OPTION_DEBUG_DIR},
    {"no-symbols", no_argument, NULL, OPTION_NO_SYMBOLS},
    {"match", required_argument, NULL, OPTION_MATCH},
    {NULL, 0, NULL, 0},
};

static void
take_format(struct report_options *o, const char *name, bool is_diff)
{
    o->format = report_format_named(name);
    if (o->format == NULL) {
        tool_misused(
            "there is no format '%s'; there are text, json, collapsed, pprof, html and svg", name);
    }
    if (is_diff && !o->format->for_diff) {
        tool_misused("a difference has no format '%s'; there are text, json and collapsed, and "
                     "`go tool pprof -diff_base` takes two reports of pprof's",
                     name);
    }
}

static void
take_figure(struct report_options *o, const char *name)
{
    o->figure = report_figure_index(name);
    o->has_figure = true;
    if (o->figure == SIZE_MAX) {
        tool_misused("there is no figure '%s'; there are live, allocated, growth, peak, "
                     "live_blocks, allocated_blocks, samples and the others of the JSON report",
                     name);
    }
}

/* False for --help. */
static bool
take_option(struct report_options *o, int option, bool is_diff)
{
    switch (option) {
    case 's':
        take_figure(o, optarg);
        break;
    case 'n':
        o->top = tool_number("--top", optarg, 0, UINT32_MAX);
        o->has_top = true;
        break;
    case OPTION_FRAMES:
        o->frames = tool_number("--frames", optarg, 0, UINT32_MAX);
        o->frames = o->frames == 0 ? SIZE_MAX : o->frames;
        break;
    case 'f':
        take_format(o, optarg, is_diff);
        break;
    case OPTION_JSON:
        take_format(o, "json", is_diff);
        break;
    case 'o':
        o->out = optarg;
        break;
    case OPTION_DEBUG_DIR:
        o->symbols.debug_dir = optarg;
        break;
    case OPTION_NO_SYMBOLS:
        o->symbols.none = true;
        break;
    case OPTION_MATCH:
        if (!is_diff) {
            tool_misused("--match is for tide diff");
        }
        report_match = optarg;
        break;
    default: /* --help */
        return false;
    }
    return true;
}

bool
report_parse_options(struct report_options *o, int argc, char **argv, bool is_diff)
{
    int option;

    *o = (struct report_options){
        .format = &report_formats[0], .figure = report_figure_index("live"), .frames = 8};
    while ((option = tool_option(argc, argv, "s:n:f:o:h", long_options)) != -1) {
        if (!take_option(o, option, is_diff)) {
            return false;
        }
    }
    return true;
}

void
report_apply_options(struct report *r, const struct report_options *o)
{
    struct profile_figures total = profile_total(r->profile);

    r->figure = o->figure;
    if (!o->has_figure && !r->is_diff && total.live_bytes == 0 && total.allocated_bytes > 0) {
        r->figure = report_figure_index("allocated");
        tool_warn("nothing of it is live: shown is what was allocated (--sort=FIGURE)");
    }
    r->frames = o->frames;
    r->top = o->has_top ? o->top : o->format->top;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int
run(int argc, char **argv)
{
    struct report_options o;
    struct profile p;
    struct report r = {.profile = &p};
    const char *file;
    int status, written;

    if (!report_parse_options(&o, argc, argv, false)) {
        printf("%s%s", tool_now->help, report_options_help);
        return TOOL_OK;
    }
    if (optind + 1 != argc) {
        tool_misused(optind == argc ? "a FILE is needed"
                                    : "one FILE is needed; `tide merge` makes one of several");
    }
    file = argv[optind];
    status = profile_read(&p, file);
    symbols_resolve(&r.symbols, &p, &o.symbols);
    report_apply_options(&r, &o);
    written = report_write(&r, o.format, o.out);
    if (written == TOOL_NOT_SO) {
        tool_warn("%s: no samples: the program allocated too little to be sampled; a smaller "
                  "profile_rate would see more",
                  file);
    }
    symbols_free(&r.symbols);
    profile_free(&p);
    return status != TOOL_OK ? status : written;
}

const struct tool_command tool_report = {
    "report",
    "which call sites hold memory, as text, HTML, SVG, JSON or pprof",
    "Usage: tide report [OPTION]... FILE\n"
    "\n"
    "Shows the call sites of a profile (FILE.tide, or - for standard input).\n"
    "\n"
    "  -f, --format=FORMAT   text, json, pprof, collapsed, html or svg\n",
    run,
};
