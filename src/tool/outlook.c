/* SPDX-License-Identifier: MIT */
/* See outlook.h. What a process says is somebody else's: counts are checked, words looked up. */
#include "tool/outlook.h"

#include <stdlib.h>
#include <string.h>

#include "tool/report.h"

enum { POINTS_MAX = 20000 };
#define BYTES_MAX ((int64_t)1 << 60) /* more is a lie */

static const char *const line_names[OUTLOOK_LINES] = {
#define OUTLOOK_SERIES(name, shift, brief) #name,
#include "keeper/outlook.def"
    "outcome_bytes",
};

static const struct reason {
    const char *of;
    const char *name;
    const char *text;
} reasons[] = {
#define RISE_REASON(name, text) {"rise_reason", #name, text},
#define KEEP_REASON(name, text) {"keep_reason", #name, text},
#include "keeper/reasons.def"
};

/* ---- Series ---------------------------------------------------------------------------------- */

static const struct profile_series *
find_series(const struct profile *p, enum outlook_line line)
{
    for (size_t i = 0; i < p->series_count; i++) {
        const char *name = p->series[i].name;

        if (strncmp(name, "forecast/", 9) == 0 && strcmp(name + 9, line_names[line]) == 0) {
            return &p->series[i];
        }
    }
    return NULL;
}

/* How many intervals after the first point the series begins; series of one answer are written a
 * moment after each other. False: it is not of this clock. */
static bool
place_series(const struct outlook *o, const struct profile_series *s, size_t *offset)
{
    double at = ((double)s->time_ns - (double)o->start_ns) / (double)o->interval_ns;

    if (s->interval_ns != o->interval_ns || at < -0.5 || at > POINTS_MAX || s->count > POINTS_MAX) {
        return false;
    }
    *offset = (size_t)(at + 0.5);
    return true;
}

/* The most within the horizon that ends with each point. */
static void
take_outcomes(struct outlook *o)
{
    int64_t horizon_ns = outlook_figure(o, "horizon_ns");
    uint64_t samples = horizon_ns > 0 ? (uint64_t)horizon_ns / o->interval_ns : 0;
    size_t horizon = samples < POINTS_MAX ? (size_t)samples : POINTS_MAX;

    for (size_t i = 0; i < o->past; i++) {
        int64_t most = OUTLOOK_UNKNOWN;

        for (size_t k = 0; k < horizon && k <= i && i + 1 >= horizon; k++) {
            int64_t level = o->points[i - k].values[OUTLOOK_level_bytes];
            most = level > most ? level : most;
        }
        o->points[i].values[OUTLOOK_outcome_bytes] = most;
    }
}

static void
take_points(struct outlook *o, const struct profile *p)
{
    const struct profile_series *level = find_series(p, OUTLOOK_level_bytes);
    size_t offset;

    if (level == NULL || level->interval_ns == 0 || level->count > POINTS_MAX) {
        return;
    }
    o->start_ns = level->time_ns;
    o->interval_ns = level->interval_ns;
    o->past = level->count;
    o->count = level->count;
    for (int line = 0; line < OUTLOOK_outcome_bytes; line++) {
        const struct profile_series *s = find_series(p, (enum outlook_line)line);

        if (s != NULL && place_series(o, s, &offset) && offset + s->count > o->count) {
            o->count = offset + s->count;
        }
    }
    o->points = tool_alloc(o->count * sizeof *o->points);
    memset(o->points, 0xff, o->count * sizeof *o->points); /* OUTLOOK_UNKNOWN */
    for (int line = 0; line < OUTLOOK_outcome_bytes; line++) {
        const struct profile_series *s = find_series(p, (enum outlook_line)line);

        for (uint32_t i = 0; s != NULL && place_series(o, s, &offset) && i < s->count; i++) {
            int64_t value = s->values[i];

            o->points[offset + i].values[line] =
                value < 0 || value > BYTES_MAX ? OUTLOOK_UNKNOWN : value;
        }
    }
    take_outcomes(o);
}

/* ---- Figures --------------------------------------------------------------------------------- */

bool
outlook_take(struct outlook *o, const struct profile *p)
{
    *o = (struct outlook){0};
    if (p->stats_count > 0) {
        o->statistics = json_loads(p->stats[0], 0, NULL);
    }
    if (!json_is_object(o->statistics)) {
        return false;
    }
    o->arena = json_array_get(json_object_get(o->statistics, "forecasts"), 0);
    if (outlook_is_ready(o) || strcmp(outlook_word(o, "state"), "learning") == 0) {
        take_points(o, p);
    }
    return true;
}

void
outlook_free(struct outlook *o)
{
    json_decref(o->statistics);
    free(o->points);
    *o = (struct outlook){0};
}

int64_t
outlook_figure(const struct outlook *o, const char *name)
{
    return json_integer_value(json_object_get(o->arena, name));
}

int64_t
outlook_statistic(const struct outlook *o, const char *name)
{
    return json_integer_value(json_object_get(o->statistics, name));
}

const char *
outlook_word(const struct outlook *o, const char *name)
{
    const char *word = json_string_value(json_object_get(o->arena, name));

    return word == NULL ? "" : word;
}

const char *
outlook_reason(const struct outlook *o, const char *name)
{
    const char *word = outlook_word(o, name);

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reasons[i].of, name) == 0 && strcmp(reasons[i].name, word) == 0) {
            return reasons[i].text;
        }
    }
    return word;
}

bool
outlook_is_ready(const struct outlook *o)
{
    return strcmp(outlook_word(o, "state"), "forecasting") == 0;
}

const char *
outlook_line_name(enum outlook_line line)
{
    return line_names[line];
}

int64_t
outlook_highest(const struct outlook *o)
{
    static const enum outlook_line drawn[] = {OUTLOOK_level_bytes, OUTLOOK_forecast_bytes,
                                              OUTLOOK_upper_bytes};
    int64_t highest = 1;

    for (size_t i = 0; i < o->count; i++) {
        for (size_t k = 0; k < sizeof drawn / sizeof drawn[0]; k++) {
            int64_t value = o->points[i].values[drawn[k]];
            highest = value > highest ? value : highest;
        }
    }
    return highest;
}

/* ---- Characters ------------------------------------------------------------------------------ */

/* The points that a column stands for, as one: the most of each line, the least of the lower. */
static struct outlook_point
point_of_column(const struct outlook *o, size_t column, size_t columns)
{
    size_t first = o->count * column / columns, end = o->count * (column + 1) / columns;
    struct outlook_point all;

    memset(&all, 0xff, sizeof all); /* OUTLOOK_UNKNOWN */
    end = end > first ? end : first + 1;
    for (size_t i = first; i < end && i < o->count; i++) {
        for (int line = 0; line < OUTLOOK_LINES; line++) {
            int64_t value = o->points[i].values[line];
            bool is_less = value < all.values[line];

            if (value >= 0 && (all.values[line] < 0 || (line == OUTLOOK_lower_bytes) == is_less)) {
                all.values[line] = value;
            }
        }
    }
    return all;
}

static char
cell(const struct outlook_point *p, int64_t bottom, int64_t top)
{
    const int64_t *v = p->values;
    int64_t middle = bottom + (top - bottom) / 2;
    bool in_level = v[OUTLOOK_level_bytes] > middle;
    bool in_band = v[OUTLOOK_upper_bytes] >= bottom && v[OUTLOOK_lower_bytes] >= 0 &&
                   v[OUTLOOK_lower_bytes] < top;

    if (v[OUTLOOK_forecast_bytes] >= bottom && v[OUTLOOK_forecast_bytes] < top) {
        return '-';
    }
    if (in_band) {
        return in_level ? '+' : ':';
    }
    return in_level ? '#' : ' ';
}

/* Where the chart begins, how far it goes beyond now, and a mark below now. */
static void
put_times(const struct outlook *o, size_t columns, char *text, size_t size)
{
    size_t past = o->past > 0 ? o->past - 1 : 0;
    size_t now = o->count > 0 ? columns * past / o->count : 0;
    char from[REPORT_CELL], to[REPORT_CELL], mark[64];
    int used = snprintf(text, size, "%10s-%s", "", report_duration(from, past * o->interval_ns));
    int room = (int)now + 11 - used;

    snprintf(mark, sizeof mark, "now, and +%s ^",
             report_duration(to, (o->count - o->past) * o->interval_ns));
    snprintf(text + used, size - (size_t)used, " %*s", room > 1 ? room - 1 : 0, mark);
}

void
outlook_chart(const struct outlook *o, size_t width, size_t height,
              void (*line)(void *context, const char *text), void *context)
{
    char text[OUTLOOK_WIDTH_MAX + 64], label[REPORT_CELL];
    int64_t highest = outlook_highest(o);
    size_t rows = height > 4 ? height - 2 : 2, columns;

    width = width > OUTLOOK_WIDTH_MAX ? OUTLOOK_WIDTH_MAX : width;
    columns = width > 20 ? width - 10 : 10;
    columns = columns < o->count ? columns : o->count;
    for (size_t row = rows; row-- > 0;) {
        int64_t bottom = (int64_t)((double)highest * (double)row / (double)rows);
        int64_t top = (int64_t)((double)highest * (double)(row + 1) / (double)rows) + 1;
        size_t used =
            (size_t)snprintf(text, sizeof text, "%8s |",
                             row + 1 == rows || row == 0 || row == rows / 2
                                 ? report_cell(label, row == 0 ? 0 : top, REPORT_BYTES, false)
                                 : "");

        for (size_t column = 0; column < columns; column++) {
            struct outlook_point p = point_of_column(o, column, columns);
            text[used++] = cell(&p, bottom, top);
        }
        text[used] = '\0';
        line(context, text);
    }
    put_times(o, columns, text, sizeof text);
    line(context, text);
    line(context, "          # level  - forecast for then  : its band (+ where both are)");
}
