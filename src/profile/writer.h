/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a .tide file (format.h): sections collect in a buffer of the writer's own mapping,
 * which grows as need be, and each is written when it is whole. Allocates nothing by malloc.
 */
#ifndef TIDE_PROFILE_WRITER_H
#define TIDE_PROFILE_WRITER_H

#include "base/fmt.h"

typedef struct writer {
    int fd;            /* const: */
    int error;         /* owner: first errno value; what comes later is dropped */
    char *buffer;      /* owner: */
    size_t size;       /* owner: of the buffer */
    size_t used;       /* owner: */
    uint32_t sections; /* owner: written so far */
} writer_t;

/* Writes magic and version. */
void writer_begin(writer_t *w, int fd);

void writer_section(writer_t *w, const char *tag);
void writer_unsigned(writer_t *w, uint64_t value);
void writer_signed(writer_t *w, int64_t value);
void writer_text(writer_t *w, const char *text, size_t len);
void writer_string(writer_t *w, const char *text);
void writer_number(writer_t *w, uint64_t value); /* as a decimal text */
/* Of what the section has so far; and an unsigned put in front of all that, a count as a rule. */
size_t writer_payload(const writer_t *w);
void writer_unsigned_first(writer_t *w, uint64_t value);
/* Raw bytes, a sink for fmt_init_sink. */
int writer_sink(void *writer, const char *text, size_t len);
void writer_section_end(writer_t *w);

/* Writes END!, gives the buffer back. 0, or the first error. */
int writer_finish(writer_t *w);

uint32_t crc32_of(uint32_t crc, const void *bytes, size_t len); /* zlib's; begin with 0 */

#endif
