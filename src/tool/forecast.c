/* SPDX-License-Identifier: MIT */
/* `tide forecast`: what a process's keeper forecasts, how wrong it was, what is done, and why. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "tool/json.h"
#include "tool/outlook.h"
#include "tool/report.h"
#include "tool/request.h"

enum { CHART_WIDTH = 100, CHART_HEIGHT = 16 };

static const struct option long_options[] = {
    REQUEST_JSON,
    REQUEST_OPTIONS,
    {"plot", required_argument, NULL, 'p'},
    {NULL, 0, NULL, 0},
};

/* What the library that this tool came with says of the figures of an arena. */
static const char *const figure_names[] = {
#define OUTLOOK_FIGURE(name, unit, brief) #name,
#include "keeper/outlook.def"
};

/* What the policies really did. */
static const char *const counters[] = {
    "advice_advised", "advice_tried",    "advice_applied",       "advice_regretted",
    "purge_bytes",    "rise_advised",    "rise_tried",           "rise_applied",
    "rise_woken",     "populated_bytes", "populated_used_bytes", "populated_regretted_bytes",
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static void
put_reason(struct json *j, const struct outlook *o, const char *key, const char *name)
{
    json_open_row(j, key, '{');
    json_text(j, "name", outlook_word(o, name));
    json_text(j, "text", outlook_reason(o, name));
    json_close(j, '}');
}

static void
put_history(struct json *j, const struct outlook *o)
{
    json_open(j, "history", '{');
    json_unsigned(j, "interval_ns", o->interval_ns);
    json_unsigned(j, "time_ns", o->start_ns);
    json_unsigned(j, "past", o->past);
    for (int line = 0; line < OUTLOOK_LINES; line++) {
        json_open_row(j, outlook_line_name((enum outlook_line)line), '[');
        for (size_t i = 0; i < o->count; i++) {
            json_number(j, NULL, o->points[i].values[line]);
        }
        json_close(j, ']');
    }
    json_close(j, '}');
}

static void
put_arena(struct json *j, const struct outlook *o)
{
    const char *name;
    json_t *weight;

    json_open(j, NULL, '{');
    json_text(j, "arena", outlook_word(o, "arena"));
    json_text(j, "state", outlook_word(o, "state"));
    json_bool(j, "acts", json_is_true(json_object_get(o->arena, "acts")));
    put_reason(j, o, "keep_reason", "keep_reason");
    put_reason(j, o, "rise_reason", "rise_reason");
    for (size_t i = 0; i < sizeof figure_names / sizeof figure_names[0]; i++) {
        json_number(j, figure_names[i], outlook_figure(o, figure_names[i]));
    }
    json_open_row(j, "weights_ppm", '{');
    json_object_foreach(json_object_get(o->arena, "weights_ppm"), name, weight)
    {
        json_number(j, name, json_integer_value(weight));
    }
    json_close(j, '}');
    put_history(j, o);
    json_close(j, '}');
}

static void
put_json(const struct outlook *o, const struct profile *p, FILE *out)
{
    struct json j = {.out = out};

    json_open(&j, NULL, '{');
    json_number(&j, "version", 1);
    json_text(&j, "program", profile_meta(p, "program") != NULL ? profile_meta(p, "program") : "");
    json_unsigned(&j, "pid", profile_meta_number(p, "pid"));
    json_unsigned(&j, "time_ns", profile_meta_number(p, "time_ns"));
    json_open(&j, "counters", '{');
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        json_number(&j, counters[i], outlook_statistic(o, counters[i]));
    }
    json_close(&j, '}');
    json_open(&j, "arenas", '[');
    put_arena(&j, o);
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', out);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static const char *
bytes(const struct outlook *o, const char *name, char *cell)
{
    return report_cell(cell, outlook_figure(o, name), REPORT_BYTES, false);
}

static const char *
time_of(const struct outlook *o, const char *name, char *cell)
{
    return report_duration(cell, (uint64_t)outlook_figure(o, name));
}

static double
percent(const struct outlook *o, const char *name)
{
    return (double)outlook_figure(o, name) / 1e4;
}

/* How wrong forecasts were, beside what looking at the recent peak would have said. */
static void
put_error(const struct outlook *o, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL];

    if (outlook_figure(o, "scored") == 0) {
        fprintf(out, "  so far        no forecast is %s old yet, so none can be judged\n",
                time_of(o, "horizon_ns", a));
        return;
    }
    fprintf(out,
            "  so far        of %" PRId64 " forecasts, %.0f %% came true within the range, and "
            "%.0f %% not above it\n",
            outlook_figure(o, "scored"), percent(o, "within_ppm"), percent(o, "covered_ppm"));
    fprintf(out,
            "                to expect the peak of the last %s again would have been enough in "
            "%.0f %%\n",
            time_of(o, "rule_window_ns", a), percent(o, "rule_covered_ppm"));
    fprintf(out,
            "                mean error %s, of the recent peak %s (too low counts 9 times what too "
            "high does)\n",
            bytes(o, "error_bytes", b), bytes(o, "rule_error_bytes", c));
}

static void
put_forecast(const struct outlook *o, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL];

    if (!outlook_is_ready(o)) {
        fprintf(out,
                "  forecast      none yet, after %" PRId64 " looks, one every %s: it watches for "
                "twice the time\n"
                "                that it forecasts (%s) before the first\n",
                outlook_figure(o, "samples"), time_of(o, "interval_ns", a),
                time_of(o, "horizon_ns", b));
        return;
    }
    fprintf(out, "  forecast      up to %s within the next %s; 9 times of 10 ",
            bytes(o, "forecast_bytes", a), time_of(o, "horizon_ns", b));
    fprintf(out, "between %s and %s\n", bytes(o, "lower_bytes", a), bytes(o, "upper_bytes", c));
    put_error(o, out);
}

static void
put_weights(const struct outlook *o, FILE *out)
{
    const char *name, *before = "";
    json_t *weight;

    fputs("  made of       ", out);
    json_object_foreach(json_object_get(o->arena, "weights_ppm"), name, weight)
    {
        fputs(before, out);
        report_put_safe(out, name);
        fprintf(out, " %.0f %%", (double)json_integer_value(weight) / 1e4);
        before = ", ";
    }
    fputs("\n                (methods, by how well each did so far)\n", out);
}

static void
put_keeping(const struct outlook *o, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL];

    fprintf(out, "\nFree memory that it keeps: %s of %s\n", bytes(o, "keep_bytes", a),
            bytes(o, "free_bytes", b));
    fputs("  why           ", out);
    report_put_safe(out, outlook_reason(o, "keep_reason"));
    fprintf(out,
            "\n  rule          the recent-peak rule keeps what it takes to reach the peak of the "
            "last %s again, %s,\n",
            time_of(o, "rule_window_ns", a), bytes(o, "rule_level_bytes", b));
    fprintf(out, "                and always the first %s; the rest goes back to the system\n",
            bytes(o, "spare_bytes", a));
    fprintf(out,
            "  so far        %s given back; advised %" PRId64 " times, tried %" PRId64
            ", done %" PRId64 ", regretted %" PRId64 " (wanted back soon after)\n",
            report_cell(a, outlook_statistic(o, "purge_bytes"), REPORT_BYTES, false),
            outlook_statistic(o, "advice_advised"), outlook_statistic(o, "advice_tried"),
            outlook_statistic(o, "advice_applied"), outlook_statistic(o, "advice_regretted"));
}

/* What so much is wanted for, and what bounds it. */
static void
put_growth(const struct outlook *o, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL];

    fprintf(out, "  wanted        for growth by up to %s in %s, as seen %s ago;\n",
            bytes(o, "rise_growth_bytes", a), time_of(o, "rise_lead_ns", b),
            time_of(o, "rise_look_age_ns", c));
    fprintf(out,
            "                %s of it since earlier runs grew now, %s as the program announced\n",
            bytes(o, "rise_learned_bytes", a), bytes(o, "rise_promised_bytes", b));
    fprintf(out, "  limits        at most %s ready at a time; an end when %s more go back unused\n",
            bytes(o, "rise_bound_bytes", a), bytes(o, "rise_credit_bytes", b));
}

static void
put_rise(const struct outlook *o, FILE *out)
{
    char a[REPORT_CELL], b[REPORT_CELL], c[REPORT_CELL];
    int64_t ready =
        outlook_figure(o, "rise_ready_slice_bytes") + outlook_figure(o, "rise_ready_block_bytes");

    fprintf(out, "\nMemory made ready before the program asks for it: %s of %s wanted\n",
            report_cell(a, ready, REPORT_BYTES, false), bytes(o, "rise_advised_bytes", b));
    fputs("  why           ", out);
    report_put_safe(out, outlook_reason(o, "rise_reason"));
    fputc('\n', out);
    put_growth(o, out);
    fprintf(out, "  so far        %s made ready: %s used since, %s went back unused;\n",
            report_cell(a, outlook_statistic(o, "populated_bytes"), REPORT_BYTES, false),
            report_cell(b, outlook_statistic(o, "populated_used_bytes"), REPORT_BYTES, false),
            report_cell(c, outlook_statistic(o, "populated_regretted_bytes"), REPORT_BYTES, false));
    fprintf(out,
            "                %" PRId64 " looks found too little ready, %" PRId64
            " of them room on the machine; %" PRId64 " made some ready;\n"
            "                %" PRId64 " times a thread ran low and said so\n",
            outlook_statistic(o, "rise_advised"), outlook_statistic(o, "rise_tried"),
            outlook_statistic(o, "rise_applied"), outlook_statistic(o, "rise_woken"));
}

static void
put_models(const struct outlook *o, FILE *out)
{
    static const char *const rows[][3] = {
        {"free memory kept, mean", "model_rule_kept_bytes", "model_forecast_kept_bytes"},
        {"given back", "model_rule_returned_bytes", "model_forecast_returned_bytes"},
        {"taken by page faults", "model_rule_taken_bytes", "model_forecast_taken_bytes"},
        {"of that, just given back", "model_rule_regretted_bytes",
         "model_forecast_regretted_bytes"},
    };
    char a[REPORT_CELL], b[REPORT_CELL];

    if (outlook_figure(o, "model_ns") == 0) {
        return;
    }
    fprintf(out, "\nIf the forecast decided what is kept: models of both, over the last %s\n",
            time_of(o, "model_ns", a));
    fprintf(out, "  %-26s %16s %16s\n", "", "recent-peak rule", "forecast");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fprintf(out, "  %-26s %16s %16s\n", rows[i][0], bytes(o, rows[i][1], a),
                bytes(o, rows[i][2], b));
    }
}

static void
put_chart_line(void *context, const char *text)
{
    fprintf(context, "%s\n", text);
}

static void
put_text(const struct outlook *o, const struct profile *p, FILE *out)
{
    char a[REPORT_CELL];

    report_put_head(p, out);
    fputs("\nMemory in use (arena ", out);
    report_put_safe(out, outlook_word(o, "arena"));
    fputs("), and a forecast of it: nothing acts on it, but the two rules below do\n", out);
    fprintf(
        out,
        "  now           %s in blocks of the program and the room between them, resident or not\n",
        bytes(o, "level_bytes", a));
    put_forecast(o, out);
    put_weights(o, out);
    put_keeping(o, out);
    put_rise(o, out);
    put_models(o, out);
    if (o->count > 1) {
        fputc('\n', out);
        outlook_chart(o, CHART_WIDTH, CHART_HEIGHT, put_chart_line, out);
    }
}

/* ---------------------------------------------------------------------------------------------- */

static bool
ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static void
put_plot(const struct outlook *o, const struct profile *p, const char *path)
{
    FILE *out = tool_output(path);

    if (ends_with(path, ".svg")) {
        outlook_svg(o, p, out);
    } else {
        outlook_html(o, p, out);
    }
    tool_output_done(out, path);
}

/* Why there is nothing to show. */
static int
say_none(const struct outlook *o, const char *what)
{
    json_t *option = json_object_get(json_object_get(o->statistics, "options"), "predict");
    const char *predict = json_string_value(option);

    if (o->arena == NULL) {
        tool_warn("%s: its library tells of no forecasts: use the tide that came with it", what);
        return TOOL_INPUT;
    }
    if (predict != NULL && strcmp(predict, "off") == 0) {
        tool_warn("%s: nothing is forecast, since predict is off: start the program with "
                  "TIDE_CONF=predict:on",
                  what);
    } else {
        tool_warn("%s: nothing is forecast: it has no background thread with a page (page:off, "
                  "background:false), or none that may open files",
                  what);
    }
    return TOOL_NOT_SO;
}

static int
show(const struct profile *p, const struct request *r, const char *plot)
{
    struct outlook o;
    FILE *out;
    char what[PATH_MAX];
    int status = TOOL_OK;

    snprintf(what, sizeof what, "%s%s", r->pid != 0 ? "process " : "", r->word);
    if (!outlook_take(&o, p)) {
        outlook_free(&o);
        tool_warn("%s: there are no statistics in it", what);
        return TOOL_NOT_SO;
    }
    if (strcmp(outlook_word(&o, "state"), "off") == 0 || o.arena == NULL) {
        status = say_none(&o, what);
    }
    if (o.arena != NULL && (status == TOOL_OK || r->as_json)) {
        out = tool_output(r->out);
        if (r->as_json) {
            put_json(&o, p, out);
        } else {
            put_text(&o, p, out);
        }
        tool_output_done(out, r->out);
    }
    if (status == TOOL_OK && plot != NULL) {
        put_plot(&o, p, plot);
    }
    outlook_free(&o);
    return status;
}

static int
run_forecast(int argc, char **argv)
{
    struct request r = {.timeout_s = TARGET_TIMEOUT_S};
    const char *plot = NULL;
    struct profile p;
    int option, status;

    while ((option = tool_option(argc, argv, "p:" REQUEST_LETTERS, long_options)) != -1) {
        if (option == 'p') {
            plot = optarg;
            if (!ends_with(plot, ".svg") && !ends_with(plot, ".html")) {
                tool_misused("--plot takes a file FILE.svg or FILE.html, not '%s'", plot);
            }
        } else if (!request_take(&r, option)) {
            return tool_help();
        }
    }
    request_take_word(&r, argc, argv, "PID or FILE");
    status = request_read(&r, PAGE_STATISTICS, &p);
    status |= show(&p, &r, plot);
    profile_free(&p);
    return (status & TOOL_INPUT) == TOOL_INPUT ? TOOL_INPUT : status;
}

const struct tool_command tool_forecast = {
    "forecast",
    "what a process's memory is forecast to be, and what follows from that",
    "Usage: tide forecast [OPTION]... PID|FILE\n"
    "\n"
    "Shows how much memory is in use, how far that is forecast to rise, and how wrong such\n"
    "forecasts were; how much free memory is kept, how much is made ready for growth, and why.\n"
    "Of a running process with TIDE_CONF=predict:on (`tide run --predict`), or as a .tide file\n"
    "has it. Nothing acts on the forecast itself.\n"
    "\n"
    "      --json            as JSON, with the history of some minutes\n"
    "  -o, --output=FILE     write to the file\n"
    "  -p, --plot=FILE       and draw forecasts against what happened: FILE.svg or FILE.html\n"
    "      --timeout=S       wait at most so many seconds for the process (10)\n"
    "  -h, --help            this text\n",
    run_forecast,
};
