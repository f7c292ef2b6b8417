/* SPDX-License-Identifier: MIT */
/*
 * base/fmt.h - formatted text without the C library's stdio.
 *
 * Owns: one small writer, struct fmt, that turns strings and numbers into bytes of a buffer the
 * caller brings, and hands full buffers to a sink (a file descriptor, a function) or, without a
 * sink, keeps what fits and counts the rest.
 *
 * Refuses to know: memory allocation, locale, stdio, who reads the text.
 *
 * Invariants: never writes outside [buf, buf + cap); a buffer without a sink is a terminated
 * string after every call when cap > 0; total_bytes is what an endless buffer would hold.
 *
 * Everything here is async-signal-safe, takes no lock, is no cancellation point and preserves
 * errno. A struct fmt belongs to one thread.
 */
#ifndef TIDE_BASE_FMT_H
#define TIDE_BASE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Takes `len` bytes of text; returns 0, or an errno value, after which nothing more is sent. */
typedef int fmt_sink_fn(void *arg, const char *text, size_t len);

struct fmt {
    char *buf;          /* owner: where text collects */
    size_t cap;         /* owner: bytes at buf */
    size_t len;         /* owner: bytes of text in buf now, without the terminator */
    size_t total_bytes; /* owner: bytes of text formatted so far, kept or not */
    fmt_sink_fn *sink;  /* owner: takes full buffers; NULL: keep what fits */
    void *arg;          /* owner: handed to sink */
    int error;          /* owner: first errno value the sink returned; later text is dropped */
};

typedef struct fmt fmt_t;

/* The three kinds of writer. A sink needs cap >= 1; what is formatted reaches it at fmt_flush. */
void fmt_init_buffer(fmt_t *f, char *buf, size_t cap);
void fmt_init_fd(fmt_t *f, int fd, char *buf, size_t cap);
void fmt_init_sink(fmt_t *f, fmt_sink_fn *sink, void *arg, char *buf, size_t cap);

/* Sends what the buffer holds to the sink, if there is one. Returns the writer's error or 0. */
int fmt_flush(fmt_t *f);

/* True when a buffer without a sink was too small for the text and its terminator. */
bool fmt_is_truncated(const fmt_t *f);

void fmt_char(fmt_t *f, char c);
void fmt_mem(fmt_t *f, const char *text, size_t len);
void fmt_str(fmt_t *f, const char *s); /* NULL prints as (null) */
void fmt_u64(fmt_t *f, uint64_t v);
void fmt_i64(fmt_t *f, int64_t v);
void fmt_hex(fmt_t *f, uint64_t v);    /* lower case, no 0x */
void fmt_ptr(fmt_t *f, const void *p); /* 0x..., also for NULL */
void fmt_pad(fmt_t *f, char c, size_t count);

/* Right-aligned in a field of `width` spaces (wider numbers are printed whole). */
void fmt_u64_width(fmt_t *f, uint64_t v, size_t width);

/* Left-aligned, padded with spaces up to `width`. */
void fmt_str_width(fmt_t *f, const char *s, size_t width);

/* Nanoseconds as milliseconds with three decimals, truncated: 1234567 -> 1.234 */
void fmt_ms_from_ns(fmt_t *f, uint64_t ns);

/* A number of bytes with the largest binary suffix that loses nothing: 25165824 -> 24M, 10 -> 10 */
void fmt_size(fmt_t *f, uint64_t bytes);

/* A number of bytes for people, one decimal, truncated: 25690112 -> 24.5 MiB */
void fmt_size_human(fmt_t *f, uint64_t bytes);

/* A quoted JSON string. Bytes that are not UTF-8 become U+FFFD, so the result always parses. */
void fmt_json_mem(fmt_t *f, const char *text, size_t len);
void fmt_json_str(fmt_t *f, const char *s);

/* Text for XML content or attributes; characters XML 1.0 forbids become '?'. */
void fmt_xml_str(fmt_t *f, const char *s);

/* At most `max` bytes of foreign text for one line of a report: the unprintable becomes '?', and
 * three dots follow text that was cut. */
void fmt_printable(fmt_t *f, const char *text, size_t len, size_t max);

/* "error 2 (ENOENT)". */
void fmt_error(fmt_t *f, int error);

/* A line on standard error: what (statistics, a profile) cannot be written there, and why not. */
void fmt_cannot_write(const char *what, const char *path, int error);

/* The name of a file with each %p in it replaced by the process id. */
void fmt_path(fmt_t *f, const char *pattern, int pid);

/*
 * printf's small brother. Understands %% %c %s %.*s %d %i %u %x %p with the length modifiers
 * h, hh, l, ll, z, j and t; no flags, no widths. Anything else is printed as it stands, and the
 * rest of the format with it, since the arguments can no longer be told apart.
 */
void fmt_printf(fmt_t *f, const char *format, ...) TIDE_PRINTF(2, 3);

/*
 * Writes all of `text` to fd by direct system calls, past interruptions and short writes; not a
 * cancellation point. Returns 0 or an errno value; errno itself is unchanged.
 */
int fmt_write_fd(int fd, const char *text, size_t len);

#endif
