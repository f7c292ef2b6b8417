/* SPDX-License-Identifier: MIT */
/*
 * api/ctl.c - tide_ctl(): everything by name. The contract is in tidemalloc.h.
 *
 * Owns: the names, and how answers reach the caller's buffer. Refuses to know: what options and
 * figures there are; those names come from their tables.
 *
 * An answer is formatted straight into the caller's buffer, which a writer without a sink bounds;
 * asking for the size alone formats into no buffer at all.
 */
#include "tidemalloc.h"

#include <errno.h>
#include <string.h>

#include "api/options.h"
#include "api/stats.h"

/* What the caller brought: room for an answer, perhaps a new value. */
struct request {
    void *out;
    size_t *out_len;
    const char *in;
    size_t in_len;
};

typedef void text_fn(fmt_t *out);

TIDE_COLD static void
write_version(fmt_t *out)
{
    fmt_str(out, TIDE_VERSION);
}

TIDE_COLD static void
write_stats_json(fmt_t *out)
{
    struct tide_stats stats;

    stats_take(&stats);
    stats_write_json(&stats, out);
}

TIDE_COLD static void
write_stats_text(fmt_t *out)
{
    struct tide_stats stats;

    stats_take(&stats);
    stats_write_text(&stats, out);
}

static const struct {
    char name[16];
    text_fn *write;
} texts[] = {
    {"version", write_version},      {"help", options_write_help},
    {"options", options_write_json}, {"features", stats_write_features_json},
    {"stats", write_stats_text},     {"stats.json", write_stats_json},
};

static bool
is_asked(const struct request *request)
{
    return request->out_len != NULL;
}

static void
text_begin(fmt_t *text, const struct request *request)
{
    fmt_init_buffer(text, request->out, request->out != NULL ? *request->out_len : 0);
}

/* Tells the size of the answer, terminator included. */
static int
text_end(const fmt_t *text, const struct request *request)
{
    size_t needed = text->total_bytes + 1;
    bool fits = request->out == NULL || needed <= *request->out_len;

    *request->out_len = needed;
    return fits ? 0 : ENOSPC;
}

static int
answer_number(const struct request *request, uint64_t value)
{
    size_t room;

    if (!is_asked(request)) {
        return 0;
    }
    room = *request->out_len;
    *request->out_len = sizeof value;
    if (request->out == NULL) {
        return 0;
    }
    if (room < sizeof value) {
        return ENOSPC;
    }
    memcpy(request->out, &value, sizeof value);
    return 0;
}

static int
answer_text(const struct request *request, text_fn *write)
{
    fmt_t text;

    if (!is_asked(request)) {
        return 0;
    }
    text_begin(&text, request);
    write(&text);
    return text_end(&text, request);
}

/* The old value out, then the new one in. */
static int
ctl_option(const char *name, const struct request *request)
{
    size_t name_len = strlen(name);
    size_t in_len = request->in_len;
    char nothing[1];
    fmt_t text;
    int error;

    if (is_asked(request)) {
        text_begin(&text, request);
    } else {
        fmt_init_buffer(&text, nothing, sizeof nothing);
    }
    error = options_get_by_name(name, name_len, &text);
    if (error == 0 && is_asked(request)) {
        error = text_end(&text, request);
    }
    if (error != 0 || request->in == NULL) {
        return error;
    }
    if (in_len > 0 && request->in[in_len - 1] == '\0') {
        in_len--;
    }
    return options_set_by_name(name, name_len, request->in, in_len);
}

static int
ctl_stat(const char *name, const struct request *request)
{
    struct tide_stats stats;
    const uint64_t *figure;

    stats_take(&stats);
    figure = stats_find(&stats, name, strlen(name));
    return figure == NULL ? ENOENT : answer_number(request, *figure);
}

/* `name` behind `prefix`, or NULL. */
static const char *
after_prefix(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

/* Everything but options: cannot be written. */
static int
ctl_read(const char *name, const struct request *request)
{
    const char *rest;

    for (size_t i = 0; i < TIDE_ARRAY_LEN(texts); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            return request->in != NULL ? EPERM : answer_text(request, texts[i].write);
        }
    }
    if (strcmp(name, "trim") == 0) {
        return request->in != NULL ? EPERM : answer_number(request, tide_trim());
    }
    rest = after_prefix(name, "stats.");
    if (rest != NULL) {
        return request->in != NULL ? EPERM : ctl_stat(rest, request);
    }
    return ENOENT;
}

TIDE_EXPORT TIDE_COLD int
tide_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len)
{
    struct request request = {.out = out, .out_len = out_len, .in = in, .in_len = in_len};
    const char *rest;
    int saved_errno = errno;
    int error;

    if (name == NULL || (out != NULL && out_len == NULL) || (in == NULL && in_len != 0)) {
        return EINVAL;
    }
    rest = after_prefix(name, "option.");
    error = rest != NULL ? ctl_option(rest, &request) : ctl_read(name, &request);
    errno = saved_errno;
    return error;
}

TIDE_EXPORT TIDE_COLD const char *
tide_version(void)
{
    return TIDE_VERSION;
}

TIDE_EXPORT TIDE_COLD void
tide_stats_print(int fd)
{
    char buf[1024];
    fmt_t out;

    fmt_init_fd(&out, fd, buf, sizeof buf);
    write_stats_text(&out);
    fmt_flush(&out);
}
