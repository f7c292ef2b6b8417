/* SPDX-License-Identifier: MIT */
/* See json.h. Bytes that are no UTF-8, as paths may have, become U+FFFD. */
#include "tool/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "tool/texts.h"

enum { DEPTH_MAX = 100 };

/* ---- Writing --------------------------------------------------------------------------------- */

/* How many bytes from here on are as they are in a JSON string: nearly always all. */
static size_t
plain_length(const unsigned char *s)
{
    size_t n = 0;

    while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\' && s[n] != '<') {
        n++;
    }
    return n;
}

static void
put_string(const struct json *j, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    FILE *out = j->out;

    fputc('"', out);
    while (*s != '\0') {
        size_t n = plain_length(s);
        if (n > 0) {
            fwrite(s, 1, n, out);
            s += n;
            continue;
        }
        n = texts_sequence_length(s);
        if (n == 0) {
            fputs("\\ufffd", out);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            fprintf(out, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f || (*s == '<' && j->in_page)) {
            fprintf(out, "\\u%04x", *s);
        } else {
            fwrite(s, 1, n, out);
        }
        s += n;
    }
    fputc('"', out);
}

static void
indent(struct json *j)
{
    if (j->in_page) {
        return;
    }
    if (j->in_row) {
        fputs(j->started ? " " : "", j->out);
    } else if (j->depth > 0) {
        fprintf(j->out, "\n%*s", (int)j->depth * 1, "");
    }
}

static void
begin(struct json *j, const char *key)
{
    if (j->started) {
        fputc(',', j->out);
    }
    indent(j);
    if (key != NULL) {
        put_string(j, key);
        fputs(j->in_page ? ":" : ": ", j->out);
    }
    j->started = true;
}

void
json_open(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    fputc(bracket, j->out);
    j->depth++;
    j->started = false;
}

void
json_open_row(struct json *j, const char *key, char bracket)
{
    json_open(j, key, bracket);
    j->in_row = true;
}

void
json_close(struct json *j, char bracket)
{
    bool empty = !j->started;

    j->depth--;
    if (!j->in_row && !j->in_page && !empty) {
        fprintf(j->out, "\n%*s", (int)j->depth, "");
    }
    j->in_row = false;
    j->started = true;
    fputc(bracket, j->out);
}

void
json_text(struct json *j, const char *key, const char *text)
{
    begin(j, key);
    put_string(j, text);
}

void
json_number(struct json *j, const char *key, int64_t value)
{
    begin(j, key);
    fprintf(j->out, "%" PRId64, value);
}

void
json_unsigned(struct json *j, const char *key, uint64_t value)
{
    begin(j, key);
    fprintf(j->out, "%" PRIu64, value);
}

void
json_thousandths(struct json *j, const char *key, int64_t value)
{
    uint64_t absolute = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    begin(j, key);
    fprintf(j->out, "%s%" PRIu64, value < 0 ? "-" : "", absolute / 1000);
    if (absolute % 1000 != 0) {
        fprintf(j->out, ".%03u", (unsigned)(absolute % 1000));
    }
}

void
json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    fputs(value ? "true" : "false", j->out);
}

void
json_again(struct json *j, const char *text, size_t length)
{
    if (j->started) {
        fputc(',', j->out);
    }
    fwrite(text, 1, length, j->out);
    j->started = true;
}

void
json_embed(struct json *j, const char *key, const char *text)
{
    if (json_is_valid(text)) {
        begin(j, key);
        fputs(text, j->out);
    } else {
        json_text(j, key, text);
    }
}

/* ---- Checking -------------------------------------------------------------------------------- */

static const char *check_value(const char *s, unsigned depth);

static const char *
skip_blanks(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *
check_string(const char *s)
{
    if (*s++ != '"') {
        return NULL;
    }
    while (*s != '"') {
        size_t n = texts_sequence_length((const unsigned char *)s);
        if (n == 0 || (unsigned char)*s < 0x20) {
            return NULL;
        }
        if (*s == '\\') {
            s++;
            if (*s == 'u') {
                for (int i = 1; i <= 4; i++) {
                    if (!isxdigit((unsigned char)s[i])) {
                        return NULL;
                    }
                }
            } else if (*s == '\0' || strchr("\"\\/bfnrt", *s) == NULL) {
                return NULL;
            }
            n = 1;
        }
        s += n;
    }
    return s + 1;
}

static const char *
check_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");

    return n == 0 ? NULL : s + n;
}

static const char *
check_number(const char *s)
{
    s += *s == '-';
    if (s[0] == '0' && isdigit((unsigned char)s[1])) {
        return NULL;
    }
    s = check_digits(s);
    if (s != NULL && *s == '.') {
        s = check_digits(s + 1);
    }
    if (s != NULL && (*s == 'e' || *s == 'E')) {
        s += s[1] == '+' || s[1] == '-' ? 2 : 1;
        s = check_digits(s);
    }
    return s;
}

/* The members of an object or array up to its closing bracket. */
static const char *
check_members(const char *s, char close, unsigned depth)
{
    s = skip_blanks(s + 1);
    if (*s == close) {
        return s + 1;
    }
    for (;;) {
        if (close == '}') {
            s = check_string(s);
            s = s == NULL ? NULL : skip_blanks(s);
            if (s == NULL || *s++ != ':') {
                return NULL;
            }
        }
        s = check_value(s, depth + 1);
        if (s == NULL) {
            return NULL;
        }
        s = skip_blanks(s);
        if (*s == close) {
            return s + 1;
        }
        if (*s != ',') {
            return NULL;
        }
        s = skip_blanks(s + 1);
    }
}

static const char *
check_value(const char *s, unsigned depth)
{
    static const char *const words[] = {"true", "false", "null"};

    s = skip_blanks(s);
    if (depth > DEPTH_MAX) {
        return NULL;
    }
    if (*s == '{' || *s == '[') {
        return check_members(s, *s == '{' ? '}' : ']', depth);
    }
    if (*s == '"') {
        return check_string(s);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(s, words[i], strlen(words[i])) == 0) {
            return s + strlen(words[i]);
        }
    }
    return check_number(s);
}

bool
json_is_valid(const char *text)
{
    const char *end = check_value(text, 0);

    return end != NULL && *skip_blanks(end) == '\0';
}
