/* SPDX-License-Identifier: MIT */
/*
 * A strict JSON reader for tests: tells whether a text is one JSON value, and finds numbers in it.
 */
#ifndef TIDE_TESTS_UNIT_API_JSON_H
#define TIDE_TESTS_UNIT_API_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_value(const char *p);

static inline const char *
json_blanks(const char *p)
{
    return p == NULL ? NULL : p + strspn(p, " \n\r\t");
}

/* Each reader returns the place behind what it read, or NULL. */
static inline const char *
json_string(const char *p)
{
    if (p == NULL || *p++ != '"') {
        return NULL;
    }
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20) {
            return NULL;
        }
        if (*p == '\\') {
            p++;
            if (*p == 'u') {
                if (strspn(p + 1, "0123456789abcdefABCDEF") < 4) {
                    return NULL;
                }
                p += 4;
            } else if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL) {
                return NULL;
            }
        }
    }
    return p + 1;
}

static inline const char *
json_members(const char *p, char end, bool named)
{
    p = json_blanks(p + 1);
    if (*p == end) {
        return p + 1;
    }
    for (;;) {
        if (named) {
            p = json_blanks(json_string(json_blanks(p)));
            if (p == NULL || *p++ != ':') {
                return NULL;
            }
        }
        p = json_blanks(json_value(p));
        if (p == NULL || (*p != ',' && *p != end)) {
            return NULL;
        }
        if (*p++ == end) {
            return p;
        }
    }
}

static inline const char *
json_value(const char *p)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t digits;

    p = json_blanks(p);
    if (p == NULL) {
        return NULL;
    }
    if (*p == '{') {
        return json_members(p, '}', true);
    }
    if (*p == '[') {
        return json_members(p, ']', false);
    }
    if (*p == '"') {
        return json_string(p);
    }
    for (size_t i = 0; i < 3; i++) {
        if (strncmp(p, words[i], strlen(words[i])) == 0) {
            return p + strlen(words[i]);
        }
    }
    p += *p == '-';
    digits = strspn(p, "0123456789");
    return digits > 0 && (digits == 1 || *p != '0') ? p + digits : NULL;
}

static inline bool
json_is_valid(const char *text)
{
    const char *end = json_blanks(json_value(text));

    return end != NULL && *end == '\0';
}

/* The number behind the first "name": in the text; ~0 if there is none. */
static inline unsigned long long
json_number(const char *text, const char *name)
{
    char key[128];
    const char *found;

    snprintf(key, sizeof key, "\"%s\":", name);
    found = strstr(text, key);
    return found != NULL ? strtoull(found + strlen(key), NULL, 10) : ~0ull;
}

#endif
