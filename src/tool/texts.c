/* SPDX-License-Identifier: MIT */
/* See texts.h. */
#include "tool/texts.h"

#include <stdlib.h>
#include <string.h>

uint64_t
texts_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    return hash;
}

/* Where an equal text is, or where it would be. */
static uint32_t *
slot_of(const struct texts *t, const char *text)
{
    size_t mask = t->lookup_size - 1, i = texts_hash(text) & mask;

    while (t->lookup[i] != 0 && strcmp(t->texts[t->lookup[i] - 1], text) != 0) {
        i = (i + 1) & mask;
    }
    return &t->lookup[i];
}

static void
make_room(struct texts *t)
{
    if (2 * (t->count + 1) <= t->lookup_size) {
        return;
    }
    t->lookup_size = t->lookup_size == 0 ? 1024 : 2 * t->lookup_size;
    free(t->lookup);
    t->lookup = tool_alloc(t->lookup_size * sizeof *t->lookup);
    for (uint32_t i = 0; i < t->count; i++) {
        *slot_of(t, t->texts[i]) = i + 1;
    }
}

uint32_t
texts_add(struct texts *t, const char *text)
{
    uint32_t *slot;

    make_room(t);
    slot = slot_of(t, text);
    if (*slot == 0) {
        t->texts = tool_grow(t->texts, t->count, &t->room, sizeof *t->texts);
        t->texts[t->count++] = text;
        *slot = (uint32_t)t->count;
    }
    return *slot - 1;
}

void
texts_free(struct texts *t)
{
    free(t->texts);
    free(t->lookup);
    *t = (struct texts){0};
}

size_t
texts_sequence_length(const unsigned char *s)
{
    uint32_t code;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (n <= 1 || s[0] > 0xf4) {
        return s[0] > 0xf4 ? 0 : n;
    }
    code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (s[i] & 0x3fu);
    }
    if ((n == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
        (n == 4 && (code < 0x10000 || code > 0x10ffff))) {
        return 0;
    }
    return n;
}

/* ---- XML --------------------------------------------------------------------------------- */

/* The length of the character at the text when XML may have it, 0 otherwise. */
static size_t
character_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = texts_sequence_length(s);

    if (*s < 0x20 || *s == 0x7f) {
        return 0;
    }
    return n == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe ? 0 : n;
}

static void
put_character(FILE *out, const char *s, size_t length)
{
    switch (*s) {
    case '\t':
    case '\n':
        fputc(' ', out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '&':
        fputs("&amp;", out);
        break;
    default:
        fwrite(length == 0 ? "\xef\xbf\xbd" : s, 1, length == 0 ? 3 : length, out);
    }
}

void
texts_put_xml(FILE *out, const char *text, size_t most)
{
    size_t count = 0;

    for (const char *s = text; *s != '\0'; count++) {
        size_t n = character_length(s);
        s += n == 0 ? 1 : n;
    }
    most = count > most ? most - 1 : count;
    for (size_t i = 0; i < most; i++) {
        size_t n = character_length(text);
        put_character(out, text, n);
        text += n == 0 ? 1 : n;
    }
    fputs(*text != '\0' ? "\xe2\x80\xa6" : "", out);
}
