/* SPDX-License-Identifier: MIT */
/* The tables of `tide top`; see top.h. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool/top.h"

enum { WIDTH = 100 }; /* of a table that goes to no terminal */
#define BEHIND " < "  /* between the parts of a text */
#define LEFT_OUT "..."

void
top_table_clear(struct top_table *t)
{
    t->row_count = 0;
    t->head_count = 0;
}

struct top_row *
top_table_add(struct top_table *t)
{
    struct top_row *row;

    t->rows = tool_grow(t->rows, t->row_count, &t->row_room, sizeof *t->rows);
    row = &t->rows[t->row_count++];
    memset(row, 0, sizeof *row);
    for (size_t i = 0; i < TOP_COLUMNS_MAX; i++) {
        row->values[i] = TOP_UNKNOWN;
    }
    return row;
}

void
top_table_head(struct top_table *t, const char *format, ...)
{
    va_list arguments;

    if (t->head_count < TOP_HEAD_MAX) {
        va_start(arguments, format);
        vsnprintf(t->head[t->head_count++], TOP_LINE, format, arguments);
        va_end(arguments);
    }
}

/* ---- Order ----------------------------------------------------------------------------------- */

static int
compare_rows(const void *a, const void *b, void *table)
{
    const struct top_table *t = table;
    const struct top_row *x = a, *y = b;
    int order;

    if (t->sort >= t->column_count) {
        order = strcmp(x->text, y->text);
    } else {
        int64_t v = x->values[t->sort], w = y->values[t->sort];

        order = (v < w) - (v > w); /* most first */
    }
    if (t->ascending) {
        order = -order;
    }
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

void
top_table_arrange(struct top_table *t)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->row_count; i++) {
        if (strcasestr(t->rows[i].text, t->filter) != NULL) {
            t->rows[kept++] = t->rows[i];
        }
    }
    t->row_count = kept;
    if (kept > 0) {
        qsort_r(t->rows, kept, sizeof *t->rows, compare_rows, t);
    }
}

size_t
top_table_column(const struct top_table *t, const char *name)
{
    for (size_t i = 0; i <= t->column_count; i++) {
        const char *column = i < t->column_count ? t->columns[i].name : "name";

        if (name[0] != '\0' && strncmp(column, name, strlen(name)) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Narrower than report_cell(): 1.2M. */
static void
put_cell(char *text, size_t size, int64_t value, enum top_unit unit)
{
    static const char *const letters[] = {"", "K", "M", "G", "T", "P", "E"};
    double v = unit == TOP_BLOCKS ? (double)value / 1000 : (double)value;
    double step = unit == TOP_BLOCKS ? 1000 : 1024;
    size_t power = 0;

    if (value == TOP_UNKNOWN) {
        snprintf(text, size, "-");
        return;
    }
    if (unit == TOP_NUMBER) {
        snprintf(text, size, "%" PRId64, value);
        return;
    }
    for (; fabs(v) >= step - 0.5 && power + 1 < sizeof letters / sizeof letters[0]; power++) {
        v /= step;
    }
    snprintf(text, size, unit == TOP_CHANGE && value != 0 ? "%+.*f%s" : "%.*f%s",
             power > 0 && fabs(v) < 99.95 ? 1 : 0, v, letters[power]);
}

/* How many bytes of the text so many columns are. */
static size_t
bytes_of(const char *text, size_t columns)
{
    size_t i = 0;

    for (size_t seen = 0; text[i] != '\0'; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80 && seen++ == columns) { /* not within UTF-8 */
            break;
        }
    }
    return i;
}

static void
cut(char *line, size_t width)
{
    line[bytes_of(line, width)] = '\0';
}

static bool
fits(const char *text, size_t length, size_t width)
{
    return bytes_of(text, width) >= length;
}

/* The length of the part that begins there. */
static size_t
part_length(const char *text)
{
    const char *end = strstr(text, BEHIND);

    return end != NULL ? (size_t)(end - text) : strlen(text);
}

/* A row's text in so many columns. */
static void
put_text(char *out, size_t size, const struct top_row *row, size_t width)
{
    const char *text = row->text, *own = text + row->own;
    size_t mark = strlen(LEFT_OUT), first = part_length(text), start = 0;
    size_t own_end = row->own + part_length(own);
    bool is_long = !fits(text, first, width / 3);

    if (fits(text, strlen(text), width) || width <= mark) {
        snprintf(out, size, "%.*s", (int)bytes_of(text, width), text);
        return;
    }
    if (row->own > first + (is_long ? 0 : strlen(BEHIND)) && !fits(text, own_end, width - mark)) {
        first = is_long ? bytes_of(text, width / 3) : first;
        snprintf(out, size, "%.*s%s" LEFT_OUT BEHIND, (int)first, text, is_long ? "" : BEHIND);
        start = strlen(out);
        text = own;
    }
    snprintf(out + start, size - start, "%s", text);
    if (!fits(out, strlen(out), width)) {
        snprintf(out + bytes_of(out, width - mark), mark + 1, LEFT_OUT);
    }
}

void
top_table_titles(const struct top_table *t, char *line, size_t width)
{
    size_t used = 0;

    for (size_t i = 0; i < t->column_count; i++) {
        used += (size_t)snprintf(line + used, TOP_LINE - used, "%*s ", t->columns[i].width,
                                 t->columns[i].title);
    }
    snprintf(line + used, TOP_LINE - used, "%s", t->text_title);
    cut(line, width);
}

void
top_table_line(const struct top_table *t, const struct top_row *row, char *line, size_t width)
{
    size_t used = 0;
    char cell[32];

    for (size_t i = 0; i < t->column_count; i++) {
        put_cell(cell, sizeof cell, row->values[i], t->columns[i].unit);
        used += (size_t)snprintf(line + used, TOP_LINE - used, "%*s ", t->columns[i].width, cell);
    }
    cut(line, width);
    if (width > used) {
        put_text(line + used, TOP_LINE - used, row, width - used);
    }
}

static size_t
print_width(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    struct winsize window = {0};
    long width = columns != NULL ? atol(columns) : 0;

    if (width <= 0 && ioctl(fileno(out), TIOCGWINSZ, &window) == 0) {
        width = window.ws_col;
    }
    return width > 0 ? (size_t)width : WIDTH;
}

void
top_table_print(const struct top_table *t, size_t rows, FILE *out)
{
    size_t width = print_width(out);
    char line[TOP_LINE];

    for (size_t i = 0; i < t->head_count; i++) {
        report_put_safe(out, t->head[i]);
        fputc('\n', out);
    }
    top_table_titles(t, line, width);
    fprintf(out, "%s\n", line);
    for (size_t i = 0; i < t->row_count && (rows == 0 || i < rows); i++) {
        top_table_line(t, &t->rows[i], line, width);
        report_put_safe(out, line);
        fputc('\n', out);
    }
}

void
top_table_json(const struct top_table *t, const struct top_row *row, struct json *j)
{
    for (size_t i = 0; i < t->column_count; i++) {
        if (row->values[i] == TOP_UNKNOWN) {
            continue;
        }
        if (t->columns[i].unit == TOP_BLOCKS) {
            json_thousandths(j, t->columns[i].name, row->values[i]);
        } else {
            json_number(j, t->columns[i].name, row->values[i]);
        }
    }
}
