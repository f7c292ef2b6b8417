/* SPDX-License-Identifier: MIT */
/*
 * `tide why`: what the resident bytes of a process are there for. The kernel says how many there
 * are and what is mapped (smaps), the library what its own are (statistics), its profile who holds
 * them. The parts add up to what the kernel counts: what changed between the two looks, and what
 * cannot be told apart, are parts of their own.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tool/json.h"
#include "tool/outlook.h"
#include "tool/process.h"
#include "tool/report.h"
#include "tool/request.h"

enum { PARTS_MAX = 24, CLASSES_SHOWN = 5, PINS = 3, FRAMES_SHOWN = 4, WHY = 200 };

static const struct option long_options[] = {
    REQUEST_JSON,
    REQUEST_OPTIONS,
    {"debug-dir", required_argument, NULL, 'd'},
    {"no-symbols", no_argument, NULL, 'n'},
    {NULL, 0, NULL, 0},
};

struct part {
    const char *name;
    int64_t bytes;
    char why[WHY];
};

/* A size class, and the sites whose live blocks are of it: they keep its spans from going back. */
struct pinned {
    int64_t block_bytes, spans, pooled, resident, live, holes;
    const struct profile_site *pins[PINS]; /* by live bytes, most first */
};

struct why {
    struct profile profile;
    struct symbols symbols;
    struct outlook outlook;
    struct process_parts process;
    struct part parts[PARTS_MAX];
    size_t part_count;
    struct pinned *classes; /* by holes, most first */
    size_t class_count;
    bool has_sites;
};

/* ---- Parts ----------------------------------------------------------------------------------- */

static void TIDE_PRINTF(4, 5)
    add_part(struct why *w, const char *name, int64_t bytes, const char *why, ...)
{
    struct part *part = &w->parts[w->part_count];
    va_list arguments;

    if (bytes == 0 || w->part_count == PARTS_MAX) {
        return;
    }
    *part = (struct part){.name = name, .bytes = bytes};
    va_start(arguments, why);
    vsnprintf(part->why, sizeof part->why, why, arguments);
    va_end(arguments);
    w->part_count++;
}

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
statistic(const struct why *w, const char *name)
{
    return outlook_statistic(&w->outlook, name);
}

/* What there are of live blocks and of holes between them, by the classes. */
static void
add_spans(struct why *w)
{
    int64_t live = 0, holes = 0;

    for (size_t i = 0; i < w->class_count; i++) {
        live += w->classes[i].live;
        holes += w->classes[i].holes;
    }
    add_part(w, "live_large", statistic(w, "resident_large_bytes"),
             "live: %" PRId64 " large blocks the program holds", statistic(w, "large_blocks"));
    add_part(w, "live_small", live,
             "live: small blocks the program holds, or its threads have at hand");
    add_part(w, "holes", holes, "holes: in spans that live blocks of the same size class pin");
}

/* Free slices with pages: by whom they are wanted. The rule's figures are of its last pass. */
static void
add_free(struct why *w)
{
    const struct outlook *o = &w->outlook;
    int64_t rest = statistic(w, "resident_free_bytes");
    int64_t ready = least(rest, outlook_figure(o, "rise_ready_slice_bytes"));
    int64_t keep = least(rest - ready, outlook_figure(o, "keep_bytes"));
    int64_t waiting = statistic(w, "resident_waiting_bytes");
    int64_t blocks = least(waiting, outlook_figure(o, "rise_ready_block_bytes"));
    const char *reason = outlook_word(o, "keep_reason");
    char a[REPORT_CELL], b[REPORT_CELL];

    add_part(w, "ready", ready + blocks,
             "pre-committed: growth of %s within %s is to find its pages there",
             report_cell(a, outlook_figure(o, "rise_growth_bytes"), REPORT_BYTES, false),
             report_duration(b, (uint64_t)outlook_figure(o, "rise_lead_ns")));
    if (strcmp(reason, "window") == 0) {
        add_part(w, "kept_window", keep,
                 "retained by the recent-peak rule: %s were in spans within the last %s",
                 report_cell(a, outlook_figure(o, "rule_level_bytes"), REPORT_BYTES, false),
                 report_duration(b, (uint64_t)outlook_figure(o, "rule_window_ns")));
    } else if (strcmp(reason, "growth") == 0) {
        add_part(w, "kept_growth", keep,
                 "retained for growth, which %s of free memory are kept for",
                 report_cell(a, outlook_figure(o, "spare_bytes"), REPORT_BYTES, false));
    } else if (strcmp(reason, "spare") == 0) {
        add_part(w, "kept_spare", keep, "retained: up to %s are never worth giving back",
                 report_cell(a, outlook_figure(o, "spare_bytes"), REPORT_BYTES, false));
    } else {
        keep = 0;
    }
    rest -= ready + keep;
    if (strcmp(reason, "off") == 0) {
        add_part(w, "kept_off", rest, "free: nothing goes back, purge is off");
    } else {
        add_part(w, "going", rest, "free: freed since the last pass, or on its way back");
    }
    add_part(w, "waiting", waiting - blocks,
             "large blocks freed, that threads keep for the next of their size");
}

static void
add_process(struct why *w)
{
    const struct process_parts *m = &w->process;
    int64_t ours = statistic(w, "resident_bytes"), anonymous = (int64_t)m->anonymous - ours;

    add_part(w, "metadata", statistic(w, "resident_metadata_bytes"),
             "tidemalloc: span records, heaps and tables");
    add_part(w, "profile", (int64_t)m->profile, "tidemalloc: its profile");
    add_part(w, "library", (int64_t)m->library, "tidemalloc: its code and data");
    add_part(w, "files", (int64_t)m->files, "not tidemalloc's: files, code and data of programs");
    add_part(w, "shared", (int64_t)m->shared, "not tidemalloc's: shared memory");
    add_part(w, "stack", (int64_t)m->stack, "not tidemalloc's: the first thread's stack");
    add_part(w, "brk", (int64_t)m->brk, "not tidemalloc's: the C library's own heap");
    add_part(
        w, "anonymous", anonymous > 0 ? anonymous : 0,
        "not told apart: other anonymous memory (stacks, data, mappings of the program's own%s)",
        m->profile == 0 && w->has_sites ? ", tidemalloc's profile" : "");
    add_part(w, "changed", anonymous < 0 ? anonymous : 0,
             "changed between the look of the kernel and that of tidemalloc");
}

/* ---- Classes --------------------------------------------------------------------------------- */

static int
compare_pinned(const void *a, const void *b)
{
    const struct pinned *x = a, *y = b;

    if (x->holes != y->holes) {
        return x->holes > y->holes ? -1 : 1;
    }
    return (x->block_bytes > y->block_bytes) - (x->block_bytes < y->block_bytes);
}

/* Into the best of its class, in order. */
static void
add_pin(struct pinned *p, const struct profile_site *site)
{
    for (size_t i = 0; i < PINS; i++) {
        if (p->pins[i] == NULL || p->pins[i]->figures.live_bytes < site->figures.live_bytes) {
            memmove(&p->pins[i + 1], &p->pins[i], (PINS - 1 - i) * sizeof p->pins[0]);
            p->pins[i] = site;
            return;
        }
    }
}

/* By the mean of its live blocks: a profile has no more. */
static void
place_site(struct why *w, const struct profile_site *site)
{
    const struct profile_figures *f = &site->figures;
    double size = f->live_blocks > 0 ? (double)f->live_bytes * 1000 / (double)f->live_blocks : 0;
    struct pinned *best = NULL;

    for (size_t i = 0; i < w->class_count; i++) {
        struct pinned *p = &w->classes[i];

        if ((double)p->block_bytes >= size &&
            (best == NULL || p->block_bytes < best->block_bytes)) {
            best = p;
        }
    }
    if (best != NULL && size > 0) {
        add_pin(best, site);
    }
}

static int64_t
member(json_t *from, const char *name)
{
    return json_integer_value(json_object_get(from, name));
}

static void
take_classes(struct why *w)
{
    json_t *all = json_object_get(w->outlook.statistics, "classes"), *one;
    size_t i;

    w->classes = tool_alloc(json_array_size(all) * sizeof *w->classes);
    json_array_foreach(all, i, one)
    {
        struct pinned *p = &w->classes[w->class_count++];

        *p = (struct pinned){.block_bytes = member(one, "block_bytes"),
                             .spans = member(one, "spans"),
                             .pooled = member(one, "spans_pooled"),
                             .resident = member(one, "resident_bytes")};
        if (__builtin_mul_overflow(member(one, "used"), p->block_bytes, &p->live)) {
            p->live = p->resident; /* it lies */
        }
        p->live = least(p->live, p->resident);
        p->holes = p->resident - p->live;
    }
    for (size_t s = 0; s < w->profile.site_count; s++) {
        place_site(w, &w->profile.sites[s]);
    }
    qsort(w->classes, w->class_count, sizeof *w->classes, compare_pinned);
}

/* Functions of a site, innermost first. */
static void
put_site(const struct why *w, const struct profile_site *site, char *text, size_t size)
{
    size_t used = 0, shown = 0;

    snprintf(text, size, "(no stack)");
    for (uint32_t i = 0; i < site->frame_count; i++) {
        uint32_t location = site->frames[i];
        const struct profile_location *l = &w->profile.locations[location];

        for (size_t f = w->symbols.first[location];
             f < w->symbols.first[location + 1] && shown < FRAMES_SHOWN && used < size; f++) {
            const char *function = w->symbols.frames[f].function;
            const char *before = shown++ > 0 ? " < " : "";

            if (function != NULL) {
                used += (size_t)snprintf(text + used, size - used, "%s%s", before, function);
            } else {
                used += (size_t)snprintf(
                    text + used, size - used, "%s%s+0x%" PRIx64, before,
                    l->module != 0 ? profile_base_name(w->profile.modules[l->module - 1].path) : "",
                    l->offset);
            }
        }
    }
}

/* ---- Forms ----------------------------------------------------------------------------------- */

static void
put_json_class(const struct why *w, const struct pinned *p, struct json *j)
{
    char text[512];

    json_open(j, NULL, '{');
    json_number(j, "block_bytes", p->block_bytes);
    json_number(j, "spans", p->spans);
    json_number(j, "spans_pooled", p->pooled);
    json_number(j, "resident_bytes", p->resident);
    json_number(j, "live_bytes", p->live);
    json_number(j, "hole_bytes", p->holes);
    json_open(j, "sites", '[');
    for (size_t i = 0; i < PINS && p->pins[i] != NULL; i++) {
        put_site(w, p->pins[i], text, sizeof text);
        json_open_row(j, NULL, '{');
        json_text(j, "site", text);
        json_number(j, "live_bytes", p->pins[i]->figures.live_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void
put_json(const struct why *w, FILE *out)
{
    const char *program = profile_meta(&w->profile, "program");
    struct json j = {.out = out};

    json_open(&j, NULL, '{');
    json_number(&j, "version", 1);
    json_text(&j, "program", program != NULL ? program : "");
    json_unsigned(&j, "pid", profile_meta_number(&w->profile, "pid"));
    json_unsigned(&j, "time_ns", profile_meta_number(&w->profile, "time_ns"));
    json_unsigned(&j, "resident_bytes", w->process.total);
    json_bool(&j, "profile", w->has_sites);
    json_open(&j, "parts", '[');
    for (size_t i = 0; i < w->part_count; i++) {
        json_open_row(&j, NULL, '{');
        json_text(&j, "part", w->parts[i].name);
        json_number(&j, "bytes", w->parts[i].bytes);
        json_text(&j, "why", w->parts[i].why);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_open(&j, "classes", '[');
    for (size_t i = 0; i < w->class_count; i++) {
        put_json_class(w, &w->classes[i], &j);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', out);
}

static void
put_text_class(const struct why *w, const struct pinned *p, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL], text[512];

    fprintf(out, "  %10s of %s in %" PRId64 " spans of %" PRId64 " byte blocks\n",
            report_cell(a, p->holes, REPORT_BYTES, false),
            report_cell(b, p->resident, REPORT_BYTES, false), p->spans, p->block_bytes);
    for (size_t i = 0; i < PINS && p->pins[i] != NULL; i++) {
        put_site(w, p->pins[i], text, sizeof text);
        fprintf(out, "  %10s pinned by %s live of ", "",
                report_cell(a, p->pins[i]->figures.live_bytes, REPORT_BYTES, false));
        report_put_safe(out, text);
        fputc('\n', out);
    }
}

static void
put_text(const struct why *w, FILE *out)
{
    char a[REPORT_CELL];

    report_put_head(&w->profile, out);
    fprintf(out, "\n  %10s resident, of which\n\n",
            report_cell(a, (int64_t)w->process.total, REPORT_BYTES, false));
    for (size_t i = 0; i < w->part_count; i++) {
        const struct part *part = &w->parts[i];

        fprintf(out, "  %10s %5.1f %%  %s\n", report_cell(a, part->bytes, REPORT_BYTES, false),
                100.0 * (double)part->bytes / (double)w->process.total, part->why);
    }
    fputs("\nholes, by size class\n", out);
    for (size_t i = 0; i < w->class_count && i < CLASSES_SHOWN && w->classes[i].holes > 0; i++) {
        put_text_class(w, &w->classes[i], out);
    }
    fputs(w->has_sites ? "sites are those whose live blocks are of the class by their mean size\n"
                       : "no profile, so no sites that pin them: `tide run`, or "
                         "TIDE_CONF=profile:true\n",
          out);
}

/* ---------------------------------------------------------------------------------------------- */

/* The kernel's look comes right after the library's answer. */
static void
take(struct why *w, const struct request *r, const struct symbol_options *options)
{
    struct target target;
    int pid = r->pid;

    target_profile(&target, pid, PAGE_PROFILE, r->timeout_s, &w->profile);
    if (!process_parts(target.directory, &w->process)) {
        tool_die(TOOL_INPUT,
                 "process %d: /proc/%d/smaps cannot be read: it has ended, or run tide as its user "
                 "or as root",
                 pid, pid);
    }
    w->has_sites = (target.head.flags & PAGE_HAS_PROFILE) != 0;
    target_close(&target);
    if (!outlook_take(&w->outlook, &w->profile)) {
        tool_die(TOOL_INPUT, "process %d: there are no statistics in its answer", pid);
    }
    if (json_object_get(w->outlook.statistics, "resident_metadata_bytes") == NULL) {
        tool_die(TOOL_INPUT,
                 "process %d: its library does not tell what is resident: use the tide that came "
                 "with it",
                 pid);
    }
    symbols_resolve(&w->symbols, &w->profile, options);
    take_classes(w);
    add_spans(w);
    add_free(w);
    add_process(w);
}

static int
explain(const struct request *r, const struct symbol_options *options)
{
    struct why w = {0};
    FILE *out;

    take(&w, r, options);
    out = tool_output(r->out);
    if (r->as_json) {
        put_json(&w, out);
    } else {
        put_text(&w, out);
    }
    tool_output_done(out, r->out);
    free(w.classes);
    outlook_free(&w.outlook);
    symbols_free(&w.symbols);
    profile_free(&w.profile);
    return TOOL_OK;
}

static int
run_why(int argc, char **argv)
{
    struct symbol_options symbols = {.quiet = true};
    struct request r = {.timeout_s = TARGET_TIMEOUT_S};
    int option;

    while ((option = tool_option(argc, argv, REQUEST_LETTERS, long_options)) != -1) {
        if (option == 'd') {
            symbols.debug_dir = optarg;
        } else if (option == 'n') {
            symbols.none = true;
        } else if (!request_take(&r, option)) {
            return tool_help();
        }
    }
    request_take_word(&r, argc, argv, "PID");
    if (r.pid == 0) {
        tool_misused("'%s' is no process id", r.word);
    }
    return explain(&r, &symbols);
}

const struct tool_command tool_why = {
    "why",
    "what the resident bytes of a process are there for",
    "Usage: tide why [OPTION]... PID\n"
    "\n"
    "Explains the resident bytes of a running process, down to the last: what is live, what is\n"
    "retained or pre-committed and by which rule's figures, what is holes between live blocks\n"
    "and which call sites pin them (if it keeps a profile), metadata, and what is not\n"
    "tidemalloc's. What cannot be told apart is said to be so. Why free memory is made ready\n"
    "for growth is only known with TIDE_CONF=predict:on.\n"
    "\n"
    "      --json            as JSON\n"
    "  -o, --output=FILE     write to the file\n"
    "      --timeout=S       wait at most so many seconds for the process (10)\n"
    "      --debug-dir=DIR   look for debug information in DIR/.build-id, too\n"
    "      --no-symbols      show modules and offsets\n"
    "  -h, --help            this text\n",
    run_why,
};
