/* SPDX-License-Identifier: MIT */
/* Writes JSON, well-formed whatever the texts hold: commas, indents, escapes, and UTF-8. */
#ifndef TIDE_TOOL_JSON_H
#define TIDE_TOOL_JSON_H

#include "tool/tool.h"

struct json {
    FILE *out;
    unsigned depth;
    bool started; /* there is a value at this depth */
    bool in_row;  /* what is inside goes on the same line */
    bool in_page; /* for a script element of HTML: no blanks, and no '<', which could end it */
};

/* A key is NULL for the whole text and in arrays. `bracket` is '{' or '['. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
/* An object or array on one line; closed by json_close as well. */
void json_open_row(struct json *j, const char *key, char bracket);
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, int64_t value);
void json_unsigned(struct json *j, const char *key, uint64_t value);
/* A number in thousandths. */
void json_thousandths(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* Values that were written before, by a writer of the same depth that began with nothing. */
void json_again(struct json *j, const char *text, size_t length);
/* A text that is JSON already, or as a JSON text when it is not. */
void json_embed(struct json *j, const char *key, const char *text);

bool json_is_valid(const char *text);

#endif
