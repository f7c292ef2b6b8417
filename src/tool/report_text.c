/* SPDX-License-Identifier: MIT */
/* The report for people: what it is of, the sum, and a few lines for each site. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/report.h"
#include "tool/threads.h"

enum { THREADS_SHOWN = 10 };

/* ---- Head ------------------------------------------------------------------------------------ */

void
report_put_head(const struct profile *p, FILE *out)
{
    const char *command = profile_meta(p, "command");
    uint64_t pid = profile_meta_number(p, "pid"), time_ns = profile_meta_number(p, "time_ns");
    time_t seconds = (time_t)(time_ns / 1000000000);
    char text[64];
    struct tm tm;

    if (command == NULL || command[0] == '\0') {
        command = profile_meta(p, "program");
    }
    report_put_safe(out, command != NULL ? command : "(program unknown)");
    if (pid != 0) {
        fprintf(out, ", pid %" PRIu64, pid);
    }
    if (profile_meta_number(p, "profiles") > 1) {
        fprintf(out, ", %" PRIu64 " profiles", profile_meta_number(p, "profiles"));
    }
    if (time_ns != 0 && gmtime_r(&seconds, &tm) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
        fprintf(out, ", %s", text);
    }
    if (profile_meta_number(p, "duration_ns") != 0) {
        fprintf(out, ", over %s", report_duration(text, profile_meta_number(p, "duration_ns")));
    }
    if (profile_meta_number(p, "rate") != 0) {
        int64_t rate = (int64_t)(profile_meta_number(p, "rate") & INT64_MAX);
        fprintf(out, ", a sample every %s", report_cell(text, rate, REPORT_BYTES, false));
    }
    fputc('\n', out);
}

static void
put_total(const struct report *r, FILE *out)
{
    struct profile_figures sum = profile_total(r->profile);
    char live[REPORT_CELL], blocks[REPORT_CELL], allocated[REPORT_CELL],
        allocated_blocks[REPORT_CELL], growth[REPORT_CELL];

    fprintf(out, "%s live in %s blocks (%s within a minute), %s allocated in %s blocks\n",
            report_cell(live, sum.live_bytes, REPORT_BYTES, false),
            report_cell(blocks, sum.live_blocks, REPORT_BLOCKS, false),
            report_cell(growth, sum.growth_bytes, REPORT_BYTES, true),
            report_cell(allocated, sum.allocated_bytes, REPORT_BYTES, false),
            report_cell(allocated_blocks, sum.allocated_blocks, REPORT_BLOCKS, false));
    fprintf(out, "%zu sites, %" PRId64 " samples", r->profile->site_count, sum.samples);
    if (profile_meta_number(r->profile, "lost_samples") > 0) {
        fprintf(out, " (%" PRIu64 " more were lost)",
                profile_meta_number(r->profile, "lost_samples"));
    }
    fprintf(out, "; the %zu with most %s%s:\n", r->order_count, report_figures[r->figure].name,
            r->is_diff ? " gained or lost" : "");
}

/* ---- Sites ----------------------------------------------------------------------------------- */

struct column {
    const char *heading;
    size_t figure;
    bool is_change;
};

enum { COLUMNS_MAX = 8, COLUMN_WIDTH = 10 };

/* The figures of a table, with the one it is sorted by among them. */
static size_t
columns_of(const struct report *r, struct column *columns)
{
    static const char *const plain[][2] = {
        {"live", "live_bytes"},           {"blocks", "live_blocks"},
        {"growth", "growth_bytes"},       {"peak", "peak_live_bytes"},
        {"allocated", "allocated_bytes"}, {"blocks", "allocated_blocks"}};
    static const char *const changes[][2] = {
        {"live", "live_bytes"}, {"allocated", "allocated_bytes"}, {"blocks", "live_blocks"}};
    size_t count = 0;
    bool has_sorted = false;

    for (size_t i = 0; i < (r->is_diff ? 3 : 6); i++) {
        const char *const *c = r->is_diff ? changes[i] : plain[i];
        columns[count++] = (struct column){c[0], report_figure_index(c[1]), false};
        has_sorted |= columns[count - 1].figure == r->figure;
        if (r->is_diff) {
            columns[count] = columns[count - 1];
            columns[count].heading = "change";
            columns[count++].is_change = true;
        }
    }
    if (!has_sorted) {
        columns[count++] = (struct column){report_figures[r->figure].name, r->figure, r->is_diff};
    }
    return count;
}

static void
put_row(const struct report *r, FILE *out, struct profile_site *site, const struct column *columns,
        size_t count)
{
    char text[REPORT_CELL];

    for (size_t i = 0; i < count; i++) {
        int64_t value = report_value(&site->figures, columns[i].figure);
        if (columns[i].is_change) {
            value = report_difference(value, report_value(&site->before, columns[i].figure));
        }
        fprintf(
            out, " %*s", COLUMN_WIDTH,
            report_cell(text, value, report_figures[columns[i].figure].unit, columns[i].is_change));
    }
    fprintf(out, r->is_diff ? "\n" : "  %9s\n", report_half_life_text(report_half_life(site)));
}

static void
put_frame(const struct report *r, FILE *out, uint32_t location, const struct symbol_frame *f)
{
    const struct profile_module *m = report_module(r, location);

    fputs("        ", out);
    if (f->function != NULL) {
        report_put_safe(out, f->function);
    } else if (m == NULL) {
        fprintf(out, "0x%" PRIx64, r->profile->locations[location].offset);
    } else {
        report_put_safe(out, profile_base_name(m->path));
        fprintf(out, "+0x%" PRIx64, r->profile->locations[location].offset);
    }
    if (f->file != NULL) {
        fputs("  ", out);
        report_put_safe(out, f->file);
        if (f->line != 0) {
            fprintf(out, ":%" PRIu32, f->line);
        }
    } else if (f->function != NULL && m != NULL) {
        fputs("  (", out);
        report_put_safe(out, profile_base_name(m->path));
        fputc(')', out);
    } else if (m == NULL) {
        fputs("  (generated code)", out);
    }
    fputs(f->inlined ? "  inlined\n" : "\n", out);
}

static void
put_frames(const struct report *r, FILE *out, const struct profile_site *site)
{
    size_t shown = 0, hidden = 0;

    if (site->frame_count == 0) {
        fputs("        (samples without a stack: the table of sites was full, or none was found)\n",
              out);
    }
    for (uint32_t i = 0; i < site->frame_count; i++) {
        size_t count;
        const struct symbol_frame *frames = report_frames(r, site->frames[i], &count);
        for (size_t k = 0; k < count; k++) {
            if (shown < r->frames) {
                put_frame(r, out, site->frames[i], &frames[k]);
                shown++;
            } else {
                hidden++;
            }
        }
    }
    if (hidden > 0) {
        fprintf(out, "        ... %zu more (--frames=0 shows all)\n", hidden);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* Of one process: threads of different times cannot be compared. */
static void
put_threads(const struct report *r, FILE *out)
{
    size_t count;
    struct thread_summary *threads = threads_of(r->profile, &count);
    char live[REPORT_CELL], allocated[REPORT_CELL], blocks[REPORT_CELL], freed[REPORT_CELL];

    if (count > 1 && !r->is_diff && profile_meta_number(r->profile, "profiles") <= 1) {
        fputs("\nthreads           live allocated/s   blocks/s    freed/s  (of the last minute)\n",
              out);
        for (size_t i = 0; i < count && i < THREADS_SHOWN; i++) {
            const struct thread_summary *t = &threads[i];
            fprintf(out, " %*s", 2 * COLUMN_WIDTH,
                    report_cell(live, t->live_bytes, REPORT_BYTES, false));
            fprintf(out, " %*s", COLUMN_WIDTH,
                    report_cell(allocated, (int64_t)t->allocated_bytes, REPORT_BYTES, false));
            fprintf(out, " %*s", COLUMN_WIDTH,
                    report_cell(blocks, (int64_t)(t->allocations * 1000), REPORT_BLOCKS, false));
            fprintf(out, " %*s  ", COLUMN_WIDTH,
                    report_cell(freed, (int64_t)t->freed_bytes, REPORT_BYTES, false));
            if (t->tid == 0) {
                fputs("all other threads\n", out);
            } else {
                report_put_safe(out, t->name);
                fprintf(out, " (%" PRIu64 ")\n", t->tid);
            }
        }
        if (count > THREADS_SHOWN) {
            fprintf(out, "... %zu threads more\n", count - THREADS_SHOWN);
        }
    }
    free(threads);
}

void
report_text(struct report *r, FILE *out)
{
    struct column columns[COLUMNS_MAX];
    size_t count = columns_of(r, columns);

    if (r->is_diff) {
        fputs("from: ", out);
        report_put_head(r->before, out);
        fputs("to:   ", out);
    }
    report_put_head(r->profile, out);
    if (r->profile->incomplete) {
        fputs("INCOMPLETE: the file is damaged; what follows is true, but not all there was\n",
              out);
    }
    put_total(r, out);
    fputs("\n    ", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, " %*s", COLUMN_WIDTH, columns[i].heading);
    }
    fputs(r->is_diff ? "\n" : "  half-life\n", out);
    for (size_t i = 0; i < r->order_count; i++) {
        struct profile_site *site = &r->profile->sites[r->order[i]];
        fprintf(out, "%4zu", i + 1);
        put_row(r, out, site, columns, count);
        put_frames(r, out, site);
    }
    if (r->order_count < r->profile->site_count) {
        fprintf(out, "... %zu sites more (--top=0 shows all)\n",
                r->profile->site_count - r->order_count);
    }
    put_threads(r, out);
}
