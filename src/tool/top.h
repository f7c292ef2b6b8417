/* SPDX-License-Identifier: MIT */
/*
 * `tide top`: two tables, of processes and of one process's sites, that are refreshed now and then
 * and shown as text, JSON or on a terminal. What a table shows is in its columns; who shows it
 * knows no more than this header.
 */
#ifndef TIDE_TOOL_TOP_H
#define TIDE_TOOL_TOP_H

#include "tool/json.h"
#include "tool/report.h"
#include "tool/target.h"

enum top_unit { TOP_NUMBER, TOP_BYTES, TOP_BLOCKS, TOP_CHANGE };
enum { TOP_COLUMNS_MAX = 12, TOP_HEAD_MAX = 12, TOP_LINE = 512 };
#define TOP_UNKNOWN INT64_MIN

struct top_column {
    const char *name;  /* of the member in JSON, and of the sort key */
    const char *title; /* at most `width` columns wide */
    enum top_unit unit;
    int width;
};

struct top_row {
    int64_t values[TOP_COLUMNS_MAX]; /* TOP_UNKNOWN: not known */
    char text[TOP_LINE];             /* the last column, which takes what room there is */
    size_t own;                      /* where the part of it begins that is not to be left out */
    uint64_t id;                     /* the same row has the same id after a refresh */
    size_t index;                    /* in what the rows were made of */
};

struct top_table {
    const struct top_column *columns;
    size_t column_count;
    const char *text_title;
    struct top_row *rows;
    size_t row_count, row_room;
    char head[TOP_HEAD_MAX][TOP_LINE]; /* lines above the table */
    size_t head_count;
    size_t sort; /* column; column_count: the text */
    bool ascending;
    char filter[64]; /* rows without it in their text are left out; case does not matter */
};

void top_table_clear(struct top_table *t);
/* A zeroed row whose values are unknown. */
struct top_row *top_table_add(struct top_table *t);
void top_table_head(struct top_table *t, const char *format, ...) TIDE_PRINTF(2, 3);
/* Filters and sorts, most first. */
void top_table_arrange(struct top_table *t);
/* The column whose name is or begins with that (the first one); column_count: the text's;
 * SIZE_MAX: none. */
size_t top_table_column(const struct top_table *t, const char *name);
/* The titles, and a row, as a line of TOP_LINE bytes and at most `width` columns. Of a text that is
 * too long the end is left out, or what is between its first part and its own. */
void top_table_titles(const struct top_table *t, char *line, size_t width);
void top_table_line(const struct top_table *t, const struct top_row *row, char *line, size_t width);
/* All of it as text, as wide as COLUMNS says, or the terminal; at most so many rows, 0: all. */
void top_table_print(const struct top_table *t, size_t rows, FILE *out);
/* The members that the columns are. */
void top_table_json(const struct top_table *t, const struct top_row *row, struct json *j);

/* ---- Processes ------------------------------------------------------------------------------- */

struct top_processes;

struct top_processes *top_processes_new(void);
void top_processes_free(struct top_processes *p);
void top_processes_init_table(struct top_table *t);
/* Looks at all processes; rates are since the last time. */
void top_processes_refresh(struct top_processes *p);
/* Rows of those on tidemalloc, not arranged yet. */
void top_processes_fill(const struct top_processes *p, struct top_table *t);
/* The other members of a process. */
void top_processes_json(const struct top_processes *p, const struct top_row *row, struct json *j);

/* ---- One process ----------------------------------------------------------------------------- */

struct top_sites;

/* Never NULL; what is wrong with the process is in top_sites_problem(). */
struct top_sites *top_sites_new(int pid, const struct symbol_options *options);
void top_sites_free(struct top_sites *s);
void top_sites_init_table(struct top_table *t);
/* Asks for a new answer. */
void top_sites_ask(struct top_sites *s);
/* True when one has come. */
bool top_sites_poll(struct top_sites *s);
/* NULL: none. It may pass. */
const char *top_sites_problem(const struct top_sites *s);
/* Has it ever answered? */
bool top_sites_answered(const struct top_sites *s);
/* The figures as lines above the table, and a row for each site, not arranged yet. */
void top_sites_fill(const struct top_sites *s, struct top_table *t);
/* The stack of the site of that id, a row for each frame. False: it is not there any more. */
bool top_sites_stack(const struct top_sites *s, uint64_t id, struct top_table *out);
/* Its forecast over time, as a row for each line of a chart so wide and high. */
void top_sites_outlook(const struct top_sites *s, size_t width, size_t height,
                       struct top_table *out);
/* Members of the process; and the frames of a site. */
void top_sites_json(const struct top_sites *s, struct json *j);
void top_sites_json_frames(const struct top_sites *s, const struct top_row *row, struct json *j);

/* A line of the forecast that is in the answer, if there is one; and all of it. */
void top_outlook_head(const struct profile *p, struct top_table *t);
void top_outlook_fill(const struct profile *p, size_t width, size_t height, struct top_table *t);

/* ---- The terminal ---------------------------------------------------------------------------- */

struct top_options {
    int pid; /* 0: all */
    unsigned interval_ms;
    struct symbol_options symbols;
    struct top_table processes, sites; /* with their sort keys and filters */
};

/* The live view, until q. An exit code. */
int top_screen(struct top_options *options);

#endif
