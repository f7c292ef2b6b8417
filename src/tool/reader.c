/* SPDX-License-Identifier: MIT */
/*
 * Reads .tide files (profile/format.h), and believes nothing: every length is checked against what
 * is there, every section against its sum, and no memory is taken for a count that the bytes behind
 * it could not hold. A section counts as a whole or not at all: its sites are taken back when
 * something in it is wrong. Nothing is guessed across damage, since behind a wrong length there is
 * no next section to be found.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tool/profile.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

enum { HEADER_BYTES = PROFILE_MAGIC_BYTES + 4, TAG_BYTES = 4, FRAME_BYTES = 8, SUM_BYTES = 4 };

/* The bytes of a file or payload from `at` on; `wrong` says what the first error was. */
struct cursor {
    const unsigned char *file;
    const unsigned char *at;
    const unsigned char *end;
    const char *wrong;
};

struct reader {
    struct profile *p;
    struct cursor in;
    unsigned flags;
    uint64_t sections;
    bool has_modules;
    bool has_end;
    struct profile_problem *problem;
};

/* ---- Problems -------------------------------------------------------------------------------- */

static bool TIDE_PRINTF(3, 4)
    problem_at(struct reader *r, const unsigned char *at, const char *format, ...)
{
    va_list arguments;

    r->problem->offset = (uint64_t)(at - r->in.file);
    va_start(arguments, format);
    vsnprintf(r->problem->text, sizeof r->problem->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- Payload --------------------------------------------------------------------------------- */

static size_t
left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* After the first error everything is 0 and nothing moves, so callers check once. */
static void
fail(struct cursor *c, const char *what)
{
    if (c->wrong == NULL) {
        c->wrong = what;
    }
}

static uint64_t
take_unsigned(struct cursor *c)
{
    uint64_t value = 0;

    for (unsigned shift = 0; c->wrong == NULL && c->at < c->end; shift += 7) {
        unsigned char byte = *c->at++;
        if (shift > 63 || (shift == 63 && (byte & 0x7f) > 1)) {
            fail(c, "a number has more than 64 bits");
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    fail(c, "the section ends within a number");
    return 0;
}

static int64_t
take_signed(struct cursor *c)
{
    uint64_t value = take_unsigned(c);

    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

/* A count of things of which each takes some bytes at least. */
static uint32_t
take_count(struct cursor *c, size_t bytes_each)
{
    uint64_t count = take_unsigned(c);

    if (count > left(c) / bytes_each || count > UINT32_MAX / 2) {
        fail(c, "it counts more than its bytes can hold");
        return 0;
    }
    return (uint32_t)count;
}

static const unsigned char *
take_bytes(struct cursor *c, size_t *length)
{
    const unsigned char *bytes = c->at;
    uint64_t wanted = take_unsigned(c);

    *length = 0;
    if (wanted > left(c)) {
        fail(c, "a text is longer than the section");
        return bytes;
    }
    bytes = c->at;
    c->at += wanted;
    *length = (size_t)wanted;
    return bytes;
}

static const char *
take_text(struct cursor *c, struct tool_pool *pool)
{
    size_t length;
    const unsigned char *bytes = take_bytes(c, &length);

    if (length > 0 && memchr(bytes, 0, length) != NULL) {
        fail(c, "a text has a zero byte");
        return "";
    }
    return c->wrong != NULL ? "" : tool_pool_text(pool, (const char *)bytes, length);
}

static void
read_meta(struct reader *r, struct cursor *c)
{
    while (c->at < c->end && c->wrong == NULL) {
        const char *key = take_text(c, &r->p->pool);
        const char *value = take_text(c, &r->p->pool);
        /* The first one stays, so that a bad section can be taken back. */
        if (c->wrong == NULL && profile_meta(r->p, key) == NULL) {
            profile_set_meta(r->p, key, value);
        }
    }
}

static void
read_module(struct profile *p, struct cursor *c)
{
    struct profile_module *m = profile_add_module(p);
    const unsigned char *id;

    m->is_main = p->module_count == 1;
    m->start = take_unsigned(c);
    m->size = take_unsigned(c);
    m->file_offset = take_unsigned(c);
    id = take_bytes(c, &m->build_id_length);
    if (m->size > INT64_MAX || m->file_offset > INT64_MAX - m->size) {
        fail(c, "a mapping ends behind what a file can be");
    }
    if (m->build_id_length > PROFILE_BUILD_ID_MAX) {
        fail(c, "a build-id is too long to be one");
        m->build_id_length = 0;
    }
    m->build_id = (unsigned char *)tool_pool_text(&p->pool, (const char *)id, m->build_id_length);
    m->path = take_text(c, &p->pool);
}

static void
read_modules(struct reader *r, struct cursor *c)
{
    uint32_t count = take_count(c, 5);

    if (r->has_modules) {
        fail(c, "there are two sections of modules");
    }
    for (uint32_t i = 0; i < count && c->wrong == NULL; i++) {
        read_module(r->p, c);
    }
    r->has_modules = c->wrong == NULL;
}

static void
read_figures(struct profile_figures *figures, struct cursor *c)
{
    int64_t values[PROFILE_FIGURE_COUNT] = {0};
    uint32_t count = take_count(c, 1);

    for (uint32_t i = 0; i < count; i++) {
        int64_t value = take_signed(c);
        if (i < PROFILE_FIGURE_COUNT) {
            values[i] = value;
        }
    }
    memcpy(figures, values, sizeof values);
}

/* More buckets than we know are finer steps above our last one, which takes all of them. */
static void
read_histogram(struct profile_site *site, uint32_t which, struct cursor *c)
{
    uint32_t count = take_count(c, 1);

    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = take_unsigned(c);
        if (value > INT64_MAX) {
            fail(c, "a histogram counts more blocks than there can be");
        } else if (which < PROFILE_HISTOGRAMS) {
            int64_t *buckets = profile_histogram(site, (enum profile_histogram)which);
            size_t last = profile_histogram_size((enum profile_histogram)which) - 1;
            int64_t *bucket = &buckets[i < last ? i : last];
            *bucket = *bucket > INT64_MAX - (int64_t)value ? INT64_MAX : *bucket + (int64_t)value;
        }
    }
}

static void
read_site(struct reader *r, struct cursor *c)
{
    uint32_t frames = take_count(c, 2), histograms;
    struct profile_site *site;

    if (frames > PROFILE_FRAMES_MAX) {
        fail(c, "a stack has more frames than there can be");
        return;
    }
    site = profile_add_site(r->p, frames);
    for (uint32_t i = 0; i < frames; i++) {
        uint64_t module = take_unsigned(c), offset = take_unsigned(c);
        if (module > r->p->module_count) {
            fail(c, "a frame is in a module that is not listed");
            return;
        }
        site->frames[i] = profile_add_location(r->p, (uint32_t)module, offset);
    }
    read_figures(&site->figures, c);
    histograms = take_count(c, 1);
    for (uint32_t i = 0; i < histograms && c->wrong == NULL; i++) {
        read_histogram(site, i, c);
    }
}

static void
read_sites(struct reader *r, struct cursor *c)
{
    uint32_t count = take_count(c, 3);

    for (uint32_t i = 0; i < count && c->wrong == NULL; i++) {
        read_site(r, c);
    }
}

static void
read_series(struct reader *r, struct cursor *c)
{
    const char *name = take_text(c, &r->p->pool), *unit = take_text(c, &r->p->pool);
    uint64_t interval_ns = take_unsigned(c), time_ns = take_unsigned(c), value = 0;
    struct profile_series *s = profile_add_series(r->p, take_count(c, 1));

    s->name = name;
    s->unit = unit;
    s->interval_ns = interval_ns;
    s->time_ns = time_ns;
    for (uint32_t i = 0; i < s->count; i++) {
        value += (uint64_t)take_signed(c);
        s->values[i] = (int64_t)value;
    }
}

static void
read_stats(struct reader *r, struct cursor *c)
{
    const char *text = take_text(c, &r->p->pool);

    if (c->wrong == NULL) {
        profile_add_stats(r->p, text);
    }
}

static void
read_end(struct reader *r, struct cursor *c)
{
    if (take_unsigned(c) != r->sections && c->wrong == NULL) {
        fail(c, "there should be another number of sections before it");
    }
    r->has_end = c->wrong == NULL;
}

/* ---- Sections -------------------------------------------------------------------------------- */

static const struct section_kind {
    char tag[TAG_BYTES + 1];
    void (*read)(struct reader *r, struct cursor *c);
} section_kinds[] = {
    {"META", read_meta},   {"MODS", read_modules}, {"SITE", read_sites},
    {"SERI", read_series}, {"STAT", read_stats},   {"END!", read_end},
};

/* Takes back what a bad section added. What stays behind in the pool is seen by nobody. */
static void
read_payload(struct reader *r, const struct section_kind *kind, struct cursor *c)
{
    struct profile *p = r->p;
    size_t modules = p->module_count, sites = p->site_count, series = p->series_count;
    size_t meta = p->meta_count;

    kind->read(r, c);
    if (c->wrong != NULL) {
        p->module_count = modules;
        p->site_count = sites;
        p->series_count = series;
        p->meta_count = meta;
    }
}

static uint32_t
word(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static const char cut_off[] = "it was cut off while it was written or copied";

static bool
read_section(struct reader *r)
{
    const unsigned char *at = r->in.at;
    char tag[TAG_BYTES + 1] = {0};
    struct cursor payload = {r->in.file, at + FRAME_BYTES, NULL, NULL};
    uint32_t length;

    if (left(&r->in) < FRAME_BYTES + SUM_BYTES) {
        return problem_at(r, at, "the file ends within a section: %s", cut_off);
    }
    for (size_t i = 0; i < TAG_BYTES; i++) {
        tag[i] = at[i] >= ' ' && at[i] < 0x7f ? (char)at[i] : '?';
    }
    length = word(at + TAG_BYTES);
    if (length > left(&r->in) - FRAME_BYTES - SUM_BYTES) {
        return problem_at(r, at, "section %s has %" PRIu32 " bytes, %zu are left in the file: %s",
                          tag, length, left(&r->in) - FRAME_BYTES - SUM_BYTES, cut_off);
    }
    payload.end = payload.at + length;
    if ((r->flags & PROFILE_ANY_CHECKSUM) == 0 &&
        word(payload.end) != crc32_z(0, at, FRAME_BYTES + length)) {
        return problem_at(r, at, "the checksum of section %s is wrong: the file was changed", tag);
    }
    for (size_t i = 0; i < LENGTH(section_kinds); i++) {
        if (memcmp(at, section_kinds[i].tag, TAG_BYTES) == 0) {
            read_payload(r, &section_kinds[i], &payload);
        }
    }
    if (payload.wrong != NULL) {
        return problem_at(r, payload.at, "section %s is not as it should be: %s", tag,
                          payload.wrong);
    }
    r->sections++;
    r->in.at = payload.end + SUM_BYTES;
    return true;
}

static bool
read_header(struct reader *r)
{
    const unsigned char *at = r->in.at;
    size_t length = left(&r->in),
           known = length < PROFILE_MAGIC_BYTES ? length : PROFILE_MAGIC_BYTES;

    if (length == 0) {
        return problem_at(r, at,
                          "the file is empty: the program has not finished writing it, or "
                          "there was no room on the disk");
    }
    if (memcmp(at, PROFILE_MAGIC, known) != 0) {
        if (length > 5 && memcmp(at, PROFILE_MAGIC, 5) == 0) {
            return problem_at(r, at,
                              "the file was copied as text, which damages it: copy it "
                              "again, as binary");
        }
        return problem_at(r, at, "this is no .tide file");
    }
    if (length < HEADER_BYTES) {
        return problem_at(r, at + length, "the file ends within its header: %s", cut_off);
    }
    if (at[PROFILE_MAGIC_BYTES] != PROFILE_VERSION) {
        return problem_at(r, at + PROFILE_MAGIC_BYTES,
                          "the file has version %u of the format, this tide reads version %u: "
                          "use the tide that came with the library",
                          at[PROFILE_MAGIC_BYTES], PROFILE_VERSION);
    }
    if (at[9] != 0 || at[10] != 0 || at[11] != 0) {
        return problem_at(r, at + PROFILE_MAGIC_BYTES + 1, "the header is damaged");
    }
    r->in.at += HEADER_BYTES;
    return true;
}

static bool
read_all(struct reader *r)
{
    if (!read_header(r)) {
        return false;
    }
    while (!r->has_end) {
        if (r->in.at == r->in.end) {
            return problem_at(r, r->in.at, "the END section is missing: %s", cut_off);
        }
        if (!read_section(r)) {
            return false;
        }
    }
    if (r->in.at < r->in.end) {
        return problem_at(r, r->in.at, "there are %zu bytes behind the END section", left(&r->in));
    }
    return true;
}

bool
profile_parse(struct profile *p, const unsigned char *bytes, size_t length, unsigned flags,
              struct profile_problem *problem)
{
    struct reader r = {p, {bytes, bytes, bytes + length, NULL}, flags, 0, false, false, problem};
    bool good = read_all(&r);

    if (!good) {
        profile_set_meta(p, "incomplete", "true");
    }
    profile_finish(p);
    return good;
}

/* ---- Files ----------------------------------------------------------------------------------- */

unsigned char *
profile_bytes(const char *path, size_t *length)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t room = 0, got;

    if (in == NULL) {
        tool_die(TOOL_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    *length = 0;
    do {
        bytes = tool_grow(bytes, room, &room, 1);
        got = fread(bytes + *length, 1, room - *length, in);
        *length += got;
    } while (got > 0);
    if (ferror(in)) {
        tool_die(TOOL_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (in != stdin) {
        fclose(in);
    }
    return bytes;
}

int
profile_read(struct profile *p, const char *path)
{
    size_t length;
    unsigned char *bytes = profile_bytes(path, &length);
    int status = profile_take(p, path, bytes, length);

    free(bytes);
    return status;
}

int
profile_take(struct profile *p, const char *path, const unsigned char *bytes, size_t length)
{
    struct profile_problem problem;

    *p = (struct profile){0};
    if (profile_parse(p, bytes, length, 0, &problem)) {
        return TOOL_OK;
    }
    if (p->site_count == 0) {
        tool_die(TOOL_INPUT, "%s: at byte %" PRIu64 ": %s; nothing in it can be used", path,
                 problem.offset, problem.text);
    }
    tool_warn("%s: at byte %" PRIu64 ": %s; what was whole before it is used, and is INCOMPLETE: "
              "copy the file again, or write another",
              path, problem.offset, problem.text);
    return TOOL_INPUT;
}
