/* SPDX-License-Identifier: MIT */
/*
 * What a process forecasts, and why its keeper's rules do what they do: the statistics' "forecasts"
 * (keeper/outlook.def) and the series "forecast/…", on one grid of times; and pictures of it.
 */
#ifndef TIDE_TOOL_OUTLOOK_H
#define TIDE_TOOL_OUTLOOK_H

#include <jansson.h>

#include "tool/profile.h"

enum outlook_line {
#define OUTLOOK_SERIES(name, shift, brief) OUTLOOK_##name,
#include "keeper/outlook.def"
    OUTLOOK_outcome_bytes, /* the most within the horizon that ends here */
    OUTLOOK_LINES,
};
#define OUTLOOK_UNKNOWN (-1)

/* All lines at one time. */
struct outlook_point {
    int64_t values[OUTLOOK_LINES]; /* bytes or OUTLOOK_UNKNOWN */
};

struct outlook {
    json_t *statistics;
    json_t *arena; /* within it; NULL: the library tells of no forecasts */
    struct outlook_point *points;
    size_t count;
    size_t past;       /* of these, that are over: the rest is forecast only */
    uint64_t start_ns; /* at which the first point stands */
    uint64_t interval_ns;
};

/* False: there are no statistics. outlook_free() in either case. */
bool outlook_take(struct outlook *o, const struct profile *p);
void outlook_free(struct outlook *o);

/* 0 where there is none of that name; and of the statistics as a whole. */
int64_t outlook_figure(const struct outlook *o, const char *name);
int64_t outlook_statistic(const struct outlook *o, const char *name);
/* "" where there is none. */
const char *outlook_word(const struct outlook *o, const char *name);
/* The text for the word that keep_reason or rise_reason is; the word when it is not known. */
const char *outlook_reason(const struct outlook *o, const char *name);
/* Is there a forecast? */
bool outlook_is_ready(const struct outlook *o);
/* The names of lines. */
const char *outlook_line_name(enum outlook_line line);
/* The highest value there is of what is drawn; at least 1. */
int64_t outlook_highest(const struct outlook *o);

/* A chart of so many characters by so many lines, legend included, into `line` for each line. */
enum { OUTLOOK_WIDTH_MAX = 400 };
void outlook_chart(const struct outlook *o, size_t width, size_t height,
                   void (*line)(void *context, const char *text), void *context);
/* A picture of forecast against what happened; alone, or within a page. */
void outlook_svg(const struct outlook *o, const struct profile *p, FILE *out);
void outlook_html(const struct outlook *o, const struct profile *p, FILE *out);

#endif
