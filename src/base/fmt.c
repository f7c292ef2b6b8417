/* SPDX-License-Identifier: MIT */
/*
 * base/fmt.c - see fmt.h.
 *
 * Every character passes through put(), the one place that knows about the end of the buffer.
 * Cost: a compare per byte; nothing here is on a path that cares.
 *
 * Known limit: a text cut by the end of a sinkless buffer may end in the middle of a UTF-8
 * sequence or a JSON string; fmt_is_truncated() tells.
 */
#include "base/fmt.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Digits of the largest 64-bit number. */
#define DECIMAL_DIGITS_MAX 20

TIDE_COLD int
fmt_write_fd(int fd, const char *text, size_t len)
{
    int saved_errno = errno;
    int error = 0;

    while (len > 0) {
        long written = syscall(SYS_write, fd, text, len);

        if (written > 0) {
            text += written;
            len -= (size_t)written;
        } else if (written == 0) {
            error = EIO; /* no progress and no reason: do not spin */
            break;
        } else if (errno != EINTR) {
            error = errno;
            break;
        }
    }
    errno = saved_errno;
    return error;
}

static int
sink_fd(void *arg, const char *text, size_t len)
{
    return fmt_write_fd((int)(intptr_t)arg, text, len);
}

TIDE_COLD void
fmt_init_sink(fmt_t *f, fmt_sink_fn *sink, void *arg, char *buf, size_t cap)
{
    *f = (fmt_t){.buf = buf, .cap = cap, .sink = sink, .arg = arg};
    if (sink == NULL && cap > 0) {
        buf[0] = '\0';
    }
}

TIDE_COLD void
fmt_init_buffer(fmt_t *f, char *buf, size_t cap)
{
    fmt_init_sink(f, NULL, NULL, buf, cap);
}

TIDE_COLD void
fmt_init_fd(fmt_t *f, int fd, char *buf, size_t cap)
{
    fmt_init_sink(f, sink_fd, (void *)(intptr_t)fd, buf, cap);
}

TIDE_COLD int
fmt_flush(fmt_t *f)
{
    if (f->sink != NULL) {
        if (f->len > 0 && f->error == 0) {
            f->error = f->sink(f->arg, f->buf, f->len);
        }
        f->len = 0;
    }
    return f->error;
}

TIDE_COLD bool
fmt_is_truncated(const fmt_t *f)
{
    return f->sink == NULL && f->total_bytes > f->len;
}

/* The only writer into buf: one byte kept for the terminator when there is no sink. */
static void
put(fmt_t *f, char c)
{
    f->total_bytes++;
    if (f->sink != NULL) {
        if (f->len == f->cap) {
            fmt_flush(f);
        }
        f->buf[f->len++] = c;
    } else if (f->len + 1 < f->cap) {
        f->buf[f->len++] = c;
        f->buf[f->len] = '\0';
    }
}

TIDE_COLD void
fmt_char(fmt_t *f, char c)
{
    put(f, c);
}

TIDE_COLD void
fmt_mem(fmt_t *f, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put(f, text[i]);
    }
}

TIDE_COLD void
fmt_str(fmt_t *f, const char *s)
{
    if (s == NULL) {
        s = "(null)";
    }
    while (*s != '\0') {
        put(f, *s++);
    }
}

TIDE_COLD void
fmt_pad(fmt_t *f, char c, size_t count)
{
    while (count-- > 0) {
        put(f, c);
    }
}

static void
put_u64(fmt_t *f, uint64_t v, unsigned base, size_t width, char fill)
{
    char digits[DECIMAL_DIGITS_MAX];
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    if (width > count) {
        fmt_pad(f, fill, width - count);
    }
    while (count > 0) {
        put(f, digits[--count]);
    }
}

TIDE_COLD void
fmt_u64(fmt_t *f, uint64_t v)
{
    put_u64(f, v, 10, 0, ' ');
}

TIDE_COLD void
fmt_u64_width(fmt_t *f, uint64_t v, size_t width)
{
    put_u64(f, v, 10, width, ' ');
}

TIDE_COLD void
fmt_i64(fmt_t *f, int64_t v)
{
    if (v < 0) {
        put(f, '-');
        put_u64(f, 0 - (uint64_t)v, 10, 0, ' ');
    } else {
        put_u64(f, (uint64_t)v, 10, 0, ' ');
    }
}

TIDE_COLD void
fmt_hex(fmt_t *f, uint64_t v)
{
    put_u64(f, v, 16, 0, ' ');
}

TIDE_COLD void
fmt_error(fmt_t *f, int error)
{
    const char *name = strerrorname_np(error);

    fmt_printf(f, name != NULL ? "error %d (%s)" : "error %d", error, name);
}

TIDE_COLD void
fmt_cannot_write(const char *what, const char *path, int error)
{
    char buf[512];
    fmt_t f;

    fmt_init_fd(&f, STDERR_FILENO, buf, sizeof buf);
    fmt_printf(&f, "tidemalloc: %s: cannot write ", what);
    fmt_printable(&f, path, strlen(path), 256);
    fmt_str(&f, ": ");
    fmt_error(&f, error);
    fmt_char(&f, '\n');
    fmt_flush(&f);
}

TIDE_COLD void
fmt_ptr(fmt_t *f, const void *p)
{
    fmt_str(f, "0x");
    fmt_hex(f, (uint64_t)(uintptr_t)p);
}

TIDE_COLD void
fmt_str_width(fmt_t *f, const char *s, size_t width)
{
    size_t before = f->total_bytes;

    fmt_str(f, s);
    if (f->total_bytes - before < width) {
        fmt_pad(f, ' ', width - (f->total_bytes - before));
    }
}

TIDE_COLD void
fmt_ms_from_ns(fmt_t *f, uint64_t ns)
{
    fmt_u64(f, ns / 1000000);
    put(f, '.');
    put_u64(f, ns / 1000 % 1000, 10, 3, '0');
}

TIDE_COLD void
fmt_size(fmt_t *f, uint64_t bytes)
{
    static const char suffix[] = {'\0', 'K', 'M', 'G', 'T', 'P', 'E'};
    unsigned step = 0;

    while (bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        step++;
    }
    fmt_u64(f, bytes);
    if (suffix[step] != '\0') {
        put(f, suffix[step]);
    }
}

TIDE_COLD void
fmt_size_human(fmt_t *f, uint64_t bytes)
{
    static const char prefix[] = "BKMGTPE";
    unsigned step = 0;
    uint64_t rest = 0;

    while (bytes >= 1024) {
        rest = bytes % 1024;
        bytes /= 1024;
        step++;
    }
    fmt_u64(f, bytes);
    if (step > 0) {
        put(f, '.');
        put(f, (char)('0' + rest * 10 / 1024));
    }
    put(f, ' ');
    put(f, prefix[step]);
    if (step > 0) {
        fmt_str(f, "iB");
    }
}

/* Length of the well-formed UTF-8 sequence at s (no overlong forms, no surrogates), or 0. */
static size_t
utf8_length(const unsigned char *s, size_t len)
{
    size_t need;
    unsigned low = 0x80;
    unsigned high = 0xbf;

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        need = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;
        high = s[0] == 0xed ? 0x9f : high;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;
        low = s[0] == 0xf0 ? 0x90 : low;
        high = s[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (len < need || s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }
    return need;
}

static void
json_ascii(fmt_t *f, unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        put(f, '\\');
        put(f, (char)c);
        return;
    case '\n':
        fmt_str(f, "\\n");
        return;
    case '\t':
        fmt_str(f, "\\t");
        return;
    case '\r':
        fmt_str(f, "\\r");
        return;
    default:
        if (c < 0x20 || c == 0x7f) {
            fmt_str(f, "\\u");
            put_u64(f, c, 16, 4, '0');
        } else {
            put(f, (char)c);
        }
    }
}

TIDE_COLD void
fmt_json_mem(fmt_t *f, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;

    put(f, '"');
    while (len > 0) {
        size_t count = utf8_length(s, len);

        if (count == 1) {
            json_ascii(f, *s);
        } else if (count > 1) {
            fmt_mem(f, (const char *)s, count);
        } else {
            fmt_str(f, "\\ufffd");
            count = 1;
        }
        s += count;
        len -= count;
    }
    put(f, '"');
}

TIDE_COLD void
fmt_json_str(fmt_t *f, const char *s)
{
    fmt_json_mem(f, s, strlen(s));
}

TIDE_COLD void
fmt_xml_str(fmt_t *f, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        switch (c) {
        case '&':
            fmt_str(f, "&amp;");
            break;
        case '<':
            fmt_str(f, "&lt;");
            break;
        case '>':
            fmt_str(f, "&gt;");
            break;
        case '"':
            fmt_str(f, "&quot;");
            break;
        default:
            put(f, c < 0x20 && c != '\t' && c != '\n' && c != '\r' ? '?' : (char)c);
        }
    }
}

TIDE_COLD void
fmt_path(fmt_t *f, const char *pattern, int pid)
{
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'p') {
            fmt_i64(f, pid);
            pattern++;
        } else {
            fmt_char(f, *pattern);
        }
    }
}

TIDE_COLD void
fmt_printable(fmt_t *f, const char *text, size_t len, size_t max)
{
    for (size_t i = 0; i < len && i < max; i++) {
        unsigned char c = (unsigned char)text[i];

        put(f, c < 0x20 || c > 0x7e ? '?' : (char)c);
    }
    if (len > max) {
        fmt_str(f, "...");
    }
}

/* What stands between % and the conversion letter. */
enum length { LENGTH_INT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE, LENGTH_MAX, LENGTH_DIFF };

/* Reads the length modifier at *p and steps past it. char and short arrive as int. */
static enum length
read_length(const char **p)
{
    switch (**p) {
    case 'h':
        *p += (*p)[1] == 'h' ? 2 : 1;
        return LENGTH_INT;
    case 'l':
        if ((*p)[1] == 'l') {
            *p += 2;
            return LENGTH_LONG_LONG;
        }
        (*p)++;
        return LENGTH_LONG;
    case 'z':
        (*p)++;
        return LENGTH_SIZE;
    case 'j':
        (*p)++;
        return LENGTH_MAX;
    case 't':
        (*p)++;
        return LENGTH_DIFF;
    default:
        return LENGTH_INT;
    }
}

/* In a struct, since a va_list that is a parameter may have decayed and cannot be shared. */
struct args {
    va_list ap;
};

static uint64_t
next_unsigned(struct args *args, enum length length)
{
    switch (length) {
    case LENGTH_LONG:
        return va_arg(args->ap, unsigned long);
    case LENGTH_LONG_LONG:
        return va_arg(args->ap, unsigned long long);
    case LENGTH_SIZE:
        return va_arg(args->ap, size_t);
    case LENGTH_MAX:
        return va_arg(args->ap, uintmax_t);
    case LENGTH_DIFF:
        return (uint64_t)va_arg(args->ap, ptrdiff_t);
    case LENGTH_INT:
    default:
        return va_arg(args->ap, unsigned);
    }
}

static int64_t
next_signed(struct args *args, enum length length)
{
    switch (length) {
    case LENGTH_LONG:
        return va_arg(args->ap, long);
    case LENGTH_LONG_LONG:
        return va_arg(args->ap, long long);
    case LENGTH_SIZE:
        return (int64_t)va_arg(args->ap, size_t);
    case LENGTH_MAX:
        return va_arg(args->ap, intmax_t);
    case LENGTH_DIFF:
        return va_arg(args->ap, ptrdiff_t);
    case LENGTH_INT:
    default:
        return va_arg(args->ap, int);
    }
}

/* One conversion; *p stands behind the %. False: not understood, *p unchanged. */
static bool
convert(fmt_t *f, const char **p, struct args *args)
{
    const char *s = *p;
    enum length length;

    if (s[0] == '.' && s[1] == '*' && s[2] == 's') {
        int max = va_arg(args->ap, int);
        const char *text = va_arg(args->ap, const char *);

        fmt_mem(f, text, max > 0 ? strnlen(text, (size_t)max) : 0);
        *p = s + 3;
        return true;
    }
    length = read_length(&s);
    switch (*s) {
    case '%':
        put(f, '%');
        break;
    case 'c':
        put(f, (char)va_arg(args->ap, int));
        break;
    case 's':
        fmt_str(f, va_arg(args->ap, const char *));
        break;
    case 'p':
        fmt_ptr(f, va_arg(args->ap, void *));
        break;
    case 'd':
    case 'i':
        fmt_i64(f, next_signed(args, length));
        break;
    case 'u':
        fmt_u64(f, next_unsigned(args, length));
        break;
    case 'x':
        fmt_hex(f, next_unsigned(args, length));
        break;
    default:
        return false;
    }
    *p = s + 1;
    return true;
}

TIDE_COLD void
fmt_printf(fmt_t *f, const char *format, ...)
{
    struct args args;

    va_start(args.ap, format);
    for (const char *p = format; *p != '\0';) {
        if (*p != '%') {
            put(f, *p++);
        } else {
            p++;
            if (!convert(f, &p, &args)) {
                put(f, '%');
                fmt_str(f, p);
                break;
            }
        }
    }
    va_end(args.ap);
}
