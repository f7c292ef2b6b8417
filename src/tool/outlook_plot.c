/* SPDX-License-Identifier: MIT */
/*
 * A picture of what was forecast against what happened: an SVG image without scripts, alone or in a
 * page of HTML. A band stands at the end of the time it is for: what it is to be compared with is
 * the outcome there, the most within that time, and not the level.
 */
#include <inttypes.h>

#include "tool/outlook.h"
#include "tool/report.h"
#include "tool/texts.h"

enum {
    WIDTH = 1000,
    LEFT = 84,
    RIGHT = 16,
    TOP = 84,
    HEIGHT = 300,
    GAP = 46,
    BELOW = 90, /* the height of the second chart */
    TOTAL = TOP + HEIGHT + GAP + BELOW + 44,
};

/* A chart within the picture. */
struct chart {
    const struct outlook *o;
    FILE *out;
    double top, height;
    int64_t highest; /* value at the top */
};

static double
x_of(const struct outlook *o, size_t point)
{
    return LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)point /
                      (double)(o->count > 1 ? o->count - 1 : 1);
}

static double
y_of(const struct chart *c, int64_t value)
{
    return c->top + c->height * (1 - (double)value / (double)c->highest);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static bool
has(const struct chart *c, size_t point, enum outlook_line line)
{
    return point < c->o->count && c->o->points[point].values[line] >= 0;
}

static void
put_point(const struct chart *c, size_t point, enum outlook_line line)
{
    fprintf(c->out, " %.1f,%.1f", x_of(c->o, point), y_of(c, c->o->points[point].values[line]));
}

/* In as many pieces as there are gaps. */
static void
put_line(const struct chart *c, enum outlook_line line, const char *class)
{
    for (size_t i = 0; i < c->o->count; i++) {
        if (has(c, i, line)) {
            fprintf(c->out, "<polyline class=\"%s\" points=\"", class);
            for (; has(c, i, line); i++) {
                put_point(c, i, line);
            }
            fputs("\"/>\n", c->out);
        }
    }
}

static void
put_area(const struct chart *c, enum outlook_line line, const char *class)
{
    for (size_t i = 0; i < c->o->count; i++) {
        if (has(c, i, line)) {
            size_t first = i;

            fprintf(c->out, "<polygon class=\"%s\" points=\"%.1f,%.1f", class, x_of(c->o, first),
                    y_of(c, 0));
            for (; has(c, i, line); i++) {
                put_point(c, i, line);
            }
            fprintf(c->out, " %.1f,%.1f\"/>\n", x_of(c->o, i - 1), y_of(c, 0));
        }
    }
}

static bool
has_band(const struct chart *c, size_t point)
{
    return has(c, point, OUTLOOK_lower_bytes) && has(c, point, OUTLOOK_upper_bytes);
}

static void
put_band(const struct chart *c)
{
    for (size_t i = 0; i < c->o->count; i++) {
        if (has_band(c, i)) {
            size_t first = i;

            fputs("<polygon class=\"band\" points=\"", c->out);
            for (; has_band(c, i); i++) {
                put_point(c, i, OUTLOOK_upper_bytes);
            }
            for (size_t k = i; k-- > first;) {
                put_point(c, k, OUTLOOK_lower_bytes);
            }
            fputs("\"/>\n", c->out);
        }
    }
}

/* ---- Axes ------------------------------------------------------------------------------------ */

/* A number of bytes to step by: a power of two, some four steps. */
static int64_t
step_of(int64_t highest)
{
    int64_t step = 1;

    while (step < highest / 4) {
        step *= 2;
    }
    return step;
}

static void
put_axes(const struct chart *c)
{
    int64_t step = step_of(c->highest);
    char cell[REPORT_CELL];

    for (int64_t value = 0; value <= c->highest; value += step) {
        double y = y_of(c, value);

        fprintf(c->out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, WIDTH - RIGHT);
        fprintf(c->out, "<text class=\"y\" x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT - 8, y + 4,
                report_cell(cell, value, REPORT_BYTES, false));
    }
}

static void
put_times(const struct outlook *o, FILE *out)
{
    double seconds = (double)o->interval_ns / 1e9, whole = (double)o->count * seconds, step = 1;

    while (whole / step > 10) {
        step = step * 2;
    }
    for (double at = 0;; at -= step) {
        double point = (double)o->past - 1 + at / seconds;

        if (point < 0) {
            break;
        }
        fprintf(out, "<text class=\"x\" x=\"%.1f\" y=\"%d\">%.0f s</text>\n",
                x_of(o, (size_t)point), TOTAL - 20, at);
    }
    fprintf(out, "<path class=\"now\" d=\"M%.1f %dV%d\"/>\n",
            x_of(o, o->past > 0 ? o->past - 1 : 0), TOP, TOP + HEIGHT + GAP + BELOW);
}

/* ---- The picture ----------------------------------------------------------------------------- */

static int64_t
highest_kept(const struct outlook *o)
{
    int64_t highest = 1;

    for (size_t i = 0; i < o->count; i++) {
        int64_t kept = o->points[i].values[OUTLOOK_kept_bytes];
        highest = kept > highest ? kept : highest;
    }
    return highest;
}

static void
put_legend(FILE *out, double y, const char *const entries[][2], size_t count)
{
    double x = LEFT;

    for (size_t i = 0; i < count; i++) {
        fprintf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"8\"/>",
                entries[i][0], x, y - 8);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 24, y, entries[i][1]);
        x += 235;
    }
}

static void
put_title(const struct outlook *o, const struct profile *p, FILE *out)
{
    const char *program = profile_meta(p, "program");
    char horizon[REPORT_CELL], error[REPORT_CELL], rule[REPORT_CELL];

    fprintf(out, "<text class=\"title\" x=\"%d\" y=\"24\">", LEFT);
    texts_put_xml(out, program == NULL ? "(program unknown)" : profile_base_name(program), 40);
    fprintf(out, ", pid %" PRIu64 ": forecasts of %s against what happened</text>\n",
            profile_meta_number(p, "pid"),
            report_duration(horizon, (uint64_t)outlook_figure(o, "horizon_ns")));
    fprintf(
        out,
        "<text x=\"%d\" y=\"44\">mean error %s (recent-peak rule %s), %.0f %% of outcomes within "
        "the band; nothing acts on it</text>\n",
        LEFT, report_cell(error, outlook_figure(o, "error_bytes"), REPORT_BYTES, false),
        report_cell(rule, outlook_figure(o, "rule_error_bytes"), REPORT_BYTES, false),
        (double)outlook_figure(o, "within_ppm") / 1e4);
}

static const char style[] =
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}"
    ".y{text-anchor:end}.x{text-anchor:middle}polyline{fill:none;stroke-width:1.6}"
    ".level{fill:#c9ced6;stroke:none}.band{fill:#4c78d8;fill-opacity:.22;stroke:none}"
    ".forecast{stroke:#2f5fc4;fill:#2f5fc4}.outcome{stroke:#c2410c;fill:#c2410c}"
    ".kept{fill:#9ccfb0;stroke:none}.ready{fill:#3d8b5f;stroke:none}"
    "polyline.forecast,polyline.outcome{fill:none}.grid{stroke:#ddd}"
    ".now{stroke:#888;stroke-dasharray:3 3}</style>\n";

void
outlook_svg(const struct outlook *o, const struct profile *p, FILE *out)
{
    static const char *const above[][2] = {
        {"level", "level: the most in spans"},
        {"outcome", "outcome: the most in a horizon"},
        {"forecast", "forecast for that horizon"},
        {"band", "its band"},
    };
    static const char *const below[][2] = {
        {"kept", "kept: free memory with pages"},
        {"ready", "made ready for growth"},
    };
    struct chart levels = {o, out, TOP, HEIGHT, outlook_highest(o)};
    struct chart kept = {o, out, TOP + HEIGHT + GAP, BELOW, highest_kept(o)};

    levels.highest += levels.highest / 20;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, TOTAL, WIDTH, TOTAL);
    fputs(style, out);
    put_title(o, p, out);
    put_legend(out, TOP - 16, above, sizeof above / sizeof above[0]);
    put_axes(&levels);
    put_area(&levels, OUTLOOK_level_bytes, "level");
    put_band(&levels);
    put_line(&levels, OUTLOOK_forecast_bytes, "forecast");
    put_line(&levels, OUTLOOK_outcome_bytes, "outcome");
    put_legend(out, TOP + HEIGHT + GAP - 12, below, sizeof below / sizeof below[0]);
    put_axes(&kept);
    put_area(&kept, OUTLOOK_kept_bytes, "kept");
    put_area(&kept, OUTLOOK_ready_bytes, "ready");
    put_times(o, out);
    fputs("</svg>\n", out);
}

void
outlook_html(const struct outlook *o, const struct profile *p, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n<title>tide forecast</title>\n"
          "<style>body{margin:2em auto;max-width:1000px;font:14px system-ui,sans-serif}"
          "svg{max-width:100%;height:auto}</style></head><body>\n",
          out);
    outlook_svg(o, p, out);
    fputs("<p>Nothing acts on these forecasts: what free memory is kept follows the recent-peak "
          "rule, what is made ready the growth of the last milliseconds. Kept: ",
          out);
    texts_put_xml(out, outlook_reason(o, "keep_reason"), SIZE_MAX);
    fputs(". Made ready: ", out);
    texts_put_xml(out, outlook_reason(o, "rise_reason"), SIZE_MAX);
    fputs(".</p>\n</body></html>\n", out);
}
