/* SPDX-License-Identifier: MIT */
/* See stats_file.h. */
#include "tool/stats_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static size_t
skip_blanks(const unsigned char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length && strchr(" \t\r\n", bytes[at]) != NULL && bytes[at] != '\0') {
        at++;
    }
    return at;
}

bool
stats_file_is(const unsigned char *bytes, size_t length)
{
    size_t at = skip_blanks(bytes, length);

    return at < length && bytes[at] == '{';
}

/* False: it is something else. */
static bool
take_one(struct profile *p, json_t *one)
{
    char *text;

    if (!json_is_string(json_object_get(one, "tidemalloc")) ||
        !json_is_integer(json_object_get(one, "pid"))) {
        return false;
    }
    text = json_dumps(one, JSON_COMPACT);
    if (text == NULL) {
        return false;
    }
    profile_add_stats(p, tool_pool_text(&p->pool, text, strlen(text)));
    free(text);
    return true;
}

/* What `tide stats --json` knows beside them. */
static void
take_meta(struct profile *p, json_t *all)
{
    const char *key;
    json_t *value;
    char number[32];

    json_object_foreach(all, key, value)
    {
        if (json_is_string(value)) {
            profile_set_meta(p, key, json_string_value(value));
        } else if (json_integer_value(value) != 0 && strcmp(key, "version") != 0) {
            snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
            profile_set_meta(p, key, number);
        }
    }
}

static bool
take_object(struct profile *p, json_t *object)
{
    json_t *rows = json_object_get(object, "statistics"), *row;
    size_t i;

    if (!json_is_array(rows)) {
        return take_one(p, object);
    }
    json_array_foreach(rows, i, row)
    {
        if (!take_one(p, row)) {
            return false;
        }
    }
    take_meta(p, object);
    return true;
}

/* Line of the file, from 1. */
static size_t
line_of(const unsigned char *bytes, size_t at)
{
    size_t line = 1;

    for (size_t i = 0; i < at; i++) {
        line += bytes[i] == '\n';
    }
    return line;
}

int
stats_file_take(struct profile *p, const char *path, const unsigned char *bytes, size_t length)
{
    size_t at = 0;
    json_error_t error;

    *p = (struct profile){0};
    while ((at += skip_blanks(bytes + at, length - at)) < length) {
        json_t *object = json_loadb((const char *)bytes + at, length - at,
                                    JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
        bool good = json_is_object(object) && take_object(p, object);
        const char *why = object == NULL ? error.text : "no statistics of tidemalloc";
        size_t read = error.position > 0 ? (size_t)error.position : 0;

        json_decref(object);
        if (!good) {
            size_t line = line_of(bytes, object == NULL ? at + read : at);

            if (p->stats_count == 0) {
                tool_die(TOOL_INPUT, "%s: line %zu: %s; nothing in it can be used", path, line,
                         why);
            }
            tool_warn("%s: line %zu: %s; the %zu before it are shown, and that is INCOMPLETE", path,
                      line, why, p->stats_count);
            return TOOL_INPUT;
        }
        at += read;
    }
    return TOOL_OK;
}
