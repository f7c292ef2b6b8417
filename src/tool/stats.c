/* SPDX-License-Identifier: MIT */
/* `tide stats`: the allocator's own figures, of a running process or as a file has them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tool/json.h"
#include "tool/report.h"
#include "tool/request.h"
#include "tool/stats_file.h"

enum { LINE = 90 };

static const struct option long_options[] = {
    REQUEST_JSON,
    REQUEST_OPTIONS,
    {NULL, 0, NULL, 0},
};

/* What the library that this tool came with says of its figures. */
static const struct {
    const char *name;
    const char *unit;
    const char *brief;
} known[] = {
#define TIDE_STAT(name, kind, unit, brief) {#name, unit, brief},
#include "api/stats.def"
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
put_json(const struct profile *p, FILE *out)
{
    static const char *const texts[] = {"program", "command", "tool"};
    struct json j = {.out = out};

    json_open(&j, NULL, '{');
    json_number(&j, "version", 1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (profile_meta(p, texts[i]) != NULL) {
            json_text(&j, texts[i], profile_meta(p, texts[i]));
        }
    }
    json_unsigned(&j, "pid", profile_meta_number(p, "pid"));
    json_unsigned(&j, "time_ns", profile_meta_number(p, "time_ns"));
    json_open(&j, "statistics", '[');
    for (size_t i = 0; i < p->stats_count; i++) {
        json_embed(&j, NULL, p->stats[i]);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', out);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void
put_figure(const char *name, json_int_t value, FILE *out)
{
    const char *unit =
        strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_bytes") == 0 ? "bytes" : "";
    const char *brief = "";
    char cell[REPORT_CELL];

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            unit = known[i].unit;
            brief = known[i].brief;
        }
    }
    fputs("  ", out);
    report_put_safe(out, name);
    fprintf(out, "%*s", strlen(name) < 24 ? 24 - (int)strlen(name) : 1, "");
    if (strcmp(unit, "bytes") == 0) {
        fprintf(out, "%12s", report_cell(cell, value, REPORT_BYTES, false));
    } else {
        fprintf(out, "%12" JSON_INTEGER_FORMAT, value);
    }
    fprintf(out, "%s%s\n", brief[0] != '\0' ? "  " : "", brief);
}

/* A table of rows that have the same members; names head the columns. */
static void
put_rows(const char *title, json_t *rows, FILE *out)
{
    size_t i;
    json_t *row, *value;
    const char *name;

    if (!json_is_array(rows) || !json_is_object(json_array_get(rows, 0))) {
        return;
    }
    fprintf(out, "\n  %s\n ", title);
    json_object_foreach(json_array_get(rows, 0), name, value)
    {
        fputs(" ", out);
        fprintf(out, "%*s", strlen(name) < 14 ? 14 - (int)strlen(name) : 1, "");
        report_put_safe(out, name);
    }
    fputc('\n', out);
    json_array_foreach(rows, i, row)
    {
        fputc(' ', out);
        json_object_foreach(row, name, value)
        {
            size_t width = strlen(name) < 14 ? 14 : strlen(name) + 1;

            if (json_is_string(value)) {
                fprintf(out, " %*.*s", (int)width, (int)width, json_string_value(value));
            } else {
                fprintf(out, " %*" JSON_INTEGER_FORMAT, (int)width, json_integer_value(value));
            }
        }
        fputc('\n', out);
    }
}

static void
put_value(json_t *value, FILE *out, int *column)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    if (text != NULL) {
        report_put_safe(out, text);
        *column += (int)strlen(text);
    }
    free(text);
}

/* name:value, in as many lines as it takes. */
static void
put_pairs(const char *title, json_t *object, FILE *out)
{
    const char *name;
    json_t *value;
    int column = LINE;

    if (!json_is_object(object)) {
        return;
    }
    fprintf(out, "\n  %s", title);
    json_object_foreach(object, name, value)
    {
        if (column + (int)strlen(name) > LINE) {
            fputs("\n   ", out);
            column = 3;
        }
        fputc(' ', out);
        report_put_safe(out, name);
        fputc(':', out);
        column += (int)strlen(name) + 2;
        put_value(value, out, &column);
    }
    fputc('\n', out);
}

/* with_pid: nothing before it says whose they are. */
static void
put_statistics(const char *text, bool with_pid, FILE *out)
{
    json_error_t error;
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, &error), *value;
    const char *name;

    if (!json_is_object(all)) {
        tool_warn("the statistics are no JSON object: %s", error.text);
        json_decref(all);
        return;
    }
    if (with_pid) {
        fprintf(out, "pid %" JSON_INTEGER_FORMAT "\n",
                json_integer_value(json_object_get(all, "pid")));
    }
    json_object_foreach(all, name, value)
    {
        if (json_is_integer(value) && strcmp(name, "pid") != 0) {
            put_figure(name, json_integer_value(value), out);
        }
    }
    put_rows("size classes", json_object_get(all, "classes"), out);
    put_rows("lanes", json_object_get(all, "lanes"), out);
    put_pairs("kernel features", json_object_get(all, "features"), out);
    put_pairs("options", json_object_get(all, "options"), out);
    json_decref(all);
}

static void
put_text(const struct profile *p, FILE *out)
{
    bool has_head = p->meta_count > 0; /* what stats:FILE writes has none */

    if (has_head) {
        report_put_head(p, out);
    }
    for (size_t i = 0; i < p->stats_count; i++) {
        if (has_head || i > 0) {
            fputc('\n', out);
        }
        put_statistics(p->stats[i], !has_head || p->stats_count > 1, out);
    }
}

/* ---------------------------------------------------------------------------------------------- */

static int
show(const struct profile *p, const struct request *r)
{
    FILE *out = tool_output(r->out);

    if (r->as_json) {
        put_json(p, out);
    } else {
        put_text(p, out);
    }
    tool_output_done(out, r->out);
    if (p->stats_count == 0) {
        tool_warn("%s: there are no statistics in it", r->word);
        return TOOL_NOT_SO;
    }
    return TOOL_OK;
}

/* The process's, or the file's, of either kind. */
static int
read_them(const struct request *r, struct profile *p)
{
    unsigned char *bytes;
    size_t length;
    int status;

    if (r->pid != 0) {
        return request_read(r, PAGE_STATISTICS, p);
    }
    bytes = profile_bytes(r->word, &length);
    status = stats_file_is(bytes, length) ? stats_file_take(p, r->word, bytes, length)
                                          : profile_take(p, r->word, bytes, length);
    free(bytes);
    return status;
}

static int
run_stats(int argc, char **argv)
{
    struct request r = {.timeout_s = TARGET_TIMEOUT_S};
    struct profile p;
    int option, status;

    while ((option = tool_option(argc, argv, REQUEST_LETTERS, long_options)) != -1) {
        if (!request_take(&r, option)) {
            return tool_help();
        }
    }
    request_take_word(&r, argc, argv, "PID or FILE");
    status = read_them(&r, &p);
    status |= show(&p, &r);
    profile_free(&p);
    return status == (TOOL_INPUT | TOOL_NOT_SO) ? TOOL_INPUT : status;
}

const struct tool_command tool_stats = {
    "stats",
    "the allocator's figures of a running process",
    "Usage: tide stats [OPTION]... PID|FILE\n"
    "\n"
    "Shows what the allocator knows of itself: where the memory is, what it consists of, what "
    "went\n"
    "to and from the kernel. Of a running process, which goes on meanwhile, or as a file has it:\n"
    "a .tide file, or what TIDE_CONF=stats:FILE or --json wrote. A FILE whose name is a number is\n"
    "./NUMBER, and - is standard input.\n"
    "\n"
    "      --json            as JSON\n"
    "  -o, --output=FILE     write to the file\n"
    "      --timeout=S       wait at most so many seconds for the process (10)\n"
    "  -h, --help            this text\n",
    run_stats,
};
