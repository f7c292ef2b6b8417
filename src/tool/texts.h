/* SPDX-License-Identifier: MIT */
/* Texts that come again and again, each kept once and known by its number. */
#ifndef TIDE_TOOL_TEXTS_H
#define TIDE_TOOL_TEXTS_H

#include "tool/tool.h"

/* Zero-initialised is empty. The texts themselves stay where they are, and must. */
struct texts {
    const char **texts;
    size_t count, room;
    uint32_t *lookup;   /* open addressing, index + 1 */
    size_t lookup_size; /* a power of two, or 0 */
};

/* The number of an equal text, in the order in which they first came. */
uint32_t texts_add(struct texts *t, const char *text);
void texts_free(struct texts *t);

/* FNV-1a: the same on every machine. */
uint64_t texts_hash(const char *text);

/* The length of the UTF-8 sequence at the text; 0 when there is none. */
size_t texts_sequence_length(const unsigned char *s);

/* As text between two marks of XML, `most` characters of it at most. */
void texts_put_xml(FILE *out, const char *text, size_t most);

#endif
