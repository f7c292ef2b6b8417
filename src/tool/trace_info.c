/* SPDX-License-Identifier: MIT */
/* `tide trace --info`: what a trace has, as text or JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/json.h"
#include "tool/report.h"
#include "tool/trace.h"

enum { SIZE_BUCKETS = 49, CODES = TRACE_OPERATIONS };

struct tally {
    uint64_t blocks, bytes, freed_bytes;
    uint64_t caller; /* return address; 0: of those that found no room */
};

struct info {
    struct trace t;
    struct trace_blocks blocks;
    uint64_t records[CODES]; /* by operation */
    uint64_t operators, ops;
    uint64_t duration_ns, allocated_bytes;
    uint64_t live_bytes, peak_bytes, peak_blocks, peak_ns;
    struct tally sizes[SIZE_BUCKETS]; /* [i]: up to 2^i bytes */
    struct tally *sites;              /* by number, then by caller, most bytes first */
    size_t site_count;
    /* Names for the sites that are shown. */
    struct profile profile;
    struct symbols symbols;
    uint32_t *locations;
    size_t shown;
};

/* ---- Counting -------------------------------------------------------------------------------- */

static void
count_allocation(struct info *i, const struct trace_event *e)
{
    unsigned bucket = e->size <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(e->size - 1);
    struct tally *size = &i->sizes[bucket < SIZE_BUCKETS ? bucket : SIZE_BUCKETS - 1];
    struct tally *site = &i->sites[e->site];

    size->blocks++;
    size->bytes += e->size;
    site->blocks++;
    site->bytes += e->size;
    i->allocated_bytes += e->size;
}

static void
count(struct info *i, const struct trace_event *e)
{
    struct trace_change c = trace_blocks_apply(&i->blocks, e);

    i->records[e->operation]++;
    i->operators += e->is_operator;
    i->ops += e->operation != TRACE_REALLOC_BEGIN;
    i->duration_ns = e->time_ns > i->duration_ns ? e->time_ns : i->duration_ns;
    i->live_bytes -= c.before.size + c.lost.size;
    i->sites[c.before.site].freed_bytes += c.before.size;
    i->sites[c.lost.site].freed_bytes += c.lost.size;
    if (c.now != NULL) {
        i->live_bytes += c.now->size;
        count_allocation(i, e);
    }
    if (e->operation == TRACE_REALLOC_BEGIN) {
        /* Its end says what became of the block; until then it is there. */
        return;
    }
    if (i->live_bytes > i->peak_bytes) {
        i->peak_bytes = i->live_bytes;
        i->peak_blocks = i->blocks.count;
        i->peak_ns = e->time_ns;
    }
}

static int
compare_callers(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;

    return x->caller < y->caller ? -1 : x->caller > y->caller;
}

static int
compare_sites(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;

    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return compare_callers(a, b);
}

/* A caller has a number for each height of the stack. */
static void
join_heights(struct info *i)
{
    size_t last = 0;

    qsort(i->sites, i->site_count, sizeof *i->sites, compare_callers);
    for (size_t s = 1; s < i->site_count; s++) {
        if (i->sites[s].caller != i->sites[last].caller) {
            i->sites[++last] = i->sites[s];
            continue;
        }
        i->sites[last].blocks += i->sites[s].blocks;
        i->sites[last].bytes += i->sites[s].bytes;
        i->sites[last].freed_bytes += i->sites[s].freed_bytes;
    }
    i->site_count = last + 1;
}

static void
count_all(struct info *i)
{
    struct trace_event e;

    i->site_count = i->t.site_count + (i->t.site_count == 0);
    i->sites = tool_alloc(i->site_count * sizeof *i->sites);
    for (size_t s = 0; s < i->site_count; s++) {
        i->sites[s].caller = s < i->t.site_count ? i->t.sites[s].caller : 0;
    }
    trace_blocks_init(&i->blocks, &i->t);
    while (trace_next(&i->t, &e)) {
        count(i, &e);
    }
    join_heights(i);
    qsort(i->sites, i->site_count, sizeof *i->sites, compare_sites);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* The mapping of a caller as the profile's module; the last is the newest. */
static uint32_t
module_of(const struct trace *t, uint64_t caller)
{
    for (size_t m = t->module_count; m-- > 0;) {
        if (t->modules[m].start <= caller && caller < t->modules[m].end) {
            return t->modules[m].path[0] == '/' ? (uint32_t)m + 1 : 0;
        }
    }
    return 0;
}

static void
name_sites(struct info *i, size_t top)
{
    const struct symbol_options options = {.quiet = true};

    for (size_t m = 0; m < i->t.module_count; m++) {
        const struct trace_place *from = &i->t.modules[m];
        struct profile_module *to = profile_add_module(&i->profile);

        to->path = from->path;
        to->build_id = from->build_id;
        to->build_id_length = from->build_id_bytes;
        to->start = from->start;
        to->size = from->end - from->start;
        to->file_offset = from->file_offset;
    }
    while (i->shown < i->site_count && i->shown < top && i->sites[i->shown].blocks > 0) {
        i->shown++;
    }
    i->locations = tool_alloc(i->shown * sizeof *i->locations);
    for (size_t s = 0; s < i->shown; s++) {
        /* The call is before where it returns to. */
        uint64_t call = i->sites[s].caller == 0 ? 0 : i->sites[s].caller - 1;
        uint32_t module = module_of(&i->t, call);

        if (module != 0) {
            call = call - i->t.modules[module - 1].start + i->t.modules[module - 1].file_offset;
        }
        i->locations[s] = profile_add_location(&i->profile, module, call);
    }
    symbols_resolve(&i->symbols, &i->profile, &options);
}

/* The innermost function at the place. */
static const struct symbol_frame *
frame_of(const struct info *i, size_t s)
{
    return &i->symbols.frames[i->symbols.first[i->locations[s]]];
}

static const struct profile_module *
module_at(const struct info *i, size_t s, uint64_t *offset)
{
    const struct profile_location *l = &i->profile.locations[i->locations[s]];

    *offset = l->offset;
    return l->module == 0 ? NULL : &i->profile.modules[l->module - 1];
}

/* ---- Text ------------------------------------------------------------------------------------ */

static const char *
bytes_cell(char *cell, uint64_t bytes)
{
    return report_cell(cell, bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes, REPORT_BYTES, false);
}

static void
put_command(const struct trace *t, FILE *out)
{
    char line[sizeof t->head.command];
    size_t length = 0;

    for (size_t at = 0; at < sizeof t->head.command - 1; at++) {
        line[at] = t->head.command[at] != '\0' ? t->head.command[at] : ' ';
        length = t->head.command[at] != '\0' ? at + 1 : length;
    }
    line[length] = '\0';
    report_put_safe(out, length > 0 ? line : t->head.program);
}

static void
put_notes(const struct info *i, FILE *out)
{
    static const char *const stops[] = {"", "it reached the largest size that it may have",
                                        "its file could not be made longer"};
    char cell[REPORT_CELL];

    fprintf(out, "  at the end %s live in %zu blocks\n", bytes_cell(cell, i->live_bytes),
            i->blocks.count);
    if (i->t.head.stop != TRACE_RUNNING && i->t.head.stop < TIDE_ARRAY_LEN(stops)) {
        fprintf(out, "  the trace ends before the program: %s\n", stops[i->t.head.stop]);
    }
    if (i->blocks.unknown_frees > 0) {
        fprintf(out, "  %" PRIu64 " frees of blocks that are older than the trace\n",
                i->blocks.unknown_frees);
    }
    if (i->blocks.lost_frees > 0 || i->t.head.lost > 0) {
        fprintf(out,
                "  %" PRIu64 " calls in signal handlers left out; %" PRIu64
                " blocks lost their free\n",
                i->t.head.lost, i->blocks.lost_frees);
    }
}

static void
put_site(const struct info *i, size_t s, FILE *out)
{
    const struct tally *site = &i->sites[s];
    const struct symbol_frame *f = frame_of(i, s);
    char bytes[REPORT_CELL], live[REPORT_CELL];
    uint64_t offset;
    const struct profile_module *m = module_at(i, s, &offset);

    fprintf(out, "  %10s %10" PRIu64 " %10s  ", bytes_cell(bytes, site->bytes), site->blocks,
            bytes_cell(live, site->bytes - site->freed_bytes));
    if (site->caller == 0) {
        fputs("(callers that found no room in the table)", out);
    } else if (m == NULL) {
        fprintf(out, "0x%" PRIx64, offset);
    } else {
        if (f->function != NULL) {
            report_put_safe(out, f->function);
            fputc(' ', out);
        }
        report_put_safe(out, profile_base_name(m->path));
        fprintf(out, "+0x%" PRIx64, offset);
    }
    fputc('\n', out);
}

static void
put_text(const struct info *i, FILE *out)
{
    char peak[REPORT_CELL], allocated[REPORT_CELL], text[64];
    uint64_t reallocs = i->records[TRACE_REALLOC_END];

    put_command(&i->t, out);
    fprintf(out, ", pid %" PRIu32 ", %s of it\n\n", i->t.head.pid,
            report_duration(text, i->duration_ns));
    fprintf(out,
            "  %" PRIu64 " calls in %zu thread%s: malloc %" PRIu64 ", calloc %" PRIu64
            ", aligned %" PRIu64 ", realloc %" PRIu64 ", free %" PRIu64 "; %" PRIu64
            " by C++ operators\n",
            i->ops, i->t.thread_count, i->t.thread_count == 1 ? "" : "s", i->records[TRACE_MALLOC],
            i->records[TRACE_CALLOC], i->records[TRACE_ALIGNED], reallocs, i->records[TRACE_FREE],
            i->operators);
    fprintf(out, "  %s allocated; peak %s live in %" PRIu64 " blocks after %.3f s\n",
            bytes_cell(allocated, i->allocated_bytes), bytes_cell(peak, i->peak_bytes),
            i->peak_blocks, (double)i->peak_ns / 1e9);
    put_notes(i, out);
    fprintf(out, "  %.1f bytes of file for each call\n\n",
            i->ops == 0 ? 0 : (double)i->t.bytes / (double)i->ops);
    fprintf(out, "  %10s %10s %10s\n", "size up to", "blocks", "bytes");
    for (size_t b = 0; b < SIZE_BUCKETS; b++) {
        if (i->sizes[b].blocks > 0) {
            fprintf(out, "  %10s %10" PRIu64, bytes_cell(text, (uint64_t)1 << b),
                    i->sizes[b].blocks);
            fprintf(out, " %10s\n", bytes_cell(text, i->sizes[b].bytes));
        }
    }
    fprintf(out, "\n  %10s %10s %10s  caller\n", "allocated", "blocks", "live");
    for (size_t s = 0; s < i->shown; s++) {
        put_site(i, s, out);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
json_sites(const struct info *i, struct json *j)
{
    json_open(j, "sites", '[');
    for (size_t s = 0; s < i->shown; s++) {
        const struct symbol_frame *f = frame_of(i, s);
        uint64_t offset;
        const struct profile_module *m = module_at(i, s, &offset);

        json_open_row(j, NULL, '{');
        if (f->function != NULL) {
            json_text(j, "function", f->function);
        }
        if (m != NULL) {
            json_text(j, "module", m->path);
        }
        json_unsigned(j, "offset", offset);
        json_unsigned(j, "allocated_blocks", i->sites[s].blocks);
        json_unsigned(j, "allocated_bytes", i->sites[s].bytes);
        json_unsigned(j, "live_bytes", i->sites[s].bytes - i->sites[s].freed_bytes);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void
put_json(const struct info *i, FILE *out)
{
    struct json j = {.out = out};

    json_open(&j, NULL, '{');
    json_number(&j, "version", 1);
    json_text(&j, "program", i->t.head.program);
    json_unsigned(&j, "pid", i->t.head.pid);
    json_unsigned(&j, "start_ns", i->t.head.start_real_ns);
    json_unsigned(&j, "duration_ns", i->duration_ns);
    json_unsigned(&j, "file_bytes", i->t.bytes);
    json_unsigned(&j, "threads", i->t.thread_count);
    json_unsigned(&j, "calls", i->ops);
    json_unsigned(&j, "malloc", i->records[TRACE_MALLOC]);
    json_unsigned(&j, "calloc", i->records[TRACE_CALLOC]);
    json_unsigned(&j, "aligned", i->records[TRACE_ALIGNED]);
    json_unsigned(&j, "realloc", i->records[TRACE_REALLOC_END]);
    json_unsigned(&j, "free", i->records[TRACE_FREE]);
    json_unsigned(&j, "operators", i->operators);
    json_unsigned(&j, "allocated_bytes", i->allocated_bytes);
    json_unsigned(&j, "peak_live_bytes", i->peak_bytes);
    json_unsigned(&j, "peak_live_blocks", i->peak_blocks);
    json_unsigned(&j, "peak_time_ns", i->peak_ns);
    json_unsigned(&j, "end_live_bytes", i->live_bytes);
    json_unsigned(&j, "end_live_blocks", i->blocks.count);
    json_unsigned(&j, "unknown_frees", i->blocks.unknown_frees);
    json_unsigned(&j, "lost_frees", i->blocks.lost_frees);
    json_unsigned(&j, "lost_calls", i->t.head.lost);
    json_bool(&j, "stopped", i->t.head.stop != TRACE_RUNNING);
    json_bool(&j, "damaged", i->t.problem.count > 0);
    json_open(&j, "sizes", '[');
    for (size_t b = 0; b < SIZE_BUCKETS; b++) {
        if (i->sizes[b].blocks > 0) {
            json_open_row(&j, NULL, '{');
            json_unsigned(&j, "up_to", (uint64_t)1 << b);
            json_unsigned(&j, "blocks", i->sizes[b].blocks);
            json_unsigned(&j, "bytes", i->sizes[b].bytes);
            json_close(&j, '}');
        }
    }
    json_close(&j, ']');
    json_sites(i, &j);
    json_close(&j, '}');
    fputc('\n', out);
}

int
trace_info(const char *path, const char *out_path, bool as_json, size_t top)
{
    struct info i = {0};
    FILE *out;
    int status;

    trace_read(&i.t, path);
    count_all(&i);
    name_sites(&i, top == 0 ? SIZE_MAX : top);
    out = tool_output(out_path);
    if (as_json) {
        put_json(&i, out);
    } else {
        put_text(&i, out);
    }
    tool_output_done(out, out_path);
    status = trace_verdict(&i.t, path);
    symbols_free(&i.symbols);
    profile_free(&i.profile);
    trace_blocks_free(&i.blocks);
    trace_close(&i.t);
    free(i.locations);
    free(i.sites);
    return status;
}
