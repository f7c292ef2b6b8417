/* SPDX-License-Identifier: MIT */
/*
 * Writes .tide files (profile/format.h). Equal profiles give equal bytes: what is written is
 * sorted, and no time or name of this machine gets in.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tool/profile.h"

/* Sites are spread over sections of about this size, so that damage costs one of them. */
enum { SECTION_BYTES = 1 << 18, SUM_BYTES = 4, LENGTH_AT = 4, SECTION_HEAD = 8 };

struct out {
    unsigned char *bytes;
    size_t length, room;
    size_t section; /* where the present one begins */
    uint64_t sections;
};

static void
put_bytes(struct out *o, const void *bytes, size_t length)
{
    if (o->room - o->length < length) {
        o->room = o->room + length;
        o->bytes = tool_grow(o->bytes, o->room, &o->room, 1);
    }
    if (length > 0) {
        memcpy(o->bytes + o->length, bytes, length);
    }
    o->length += length;
}

static void
put_word(struct out *o, uint32_t word)
{
    unsigned char bytes[4] = {(unsigned char)word, (unsigned char)(word >> 8),
                              (unsigned char)(word >> 16), (unsigned char)(word >> 24)};

    put_bytes(o, bytes, sizeof bytes);
}

static void
put_unsigned(struct out *o, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;

    while (value >= 0x80) {
        bytes[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (unsigned char)value;
    put_bytes(o, bytes, n);
}

static void
put_signed(struct out *o, int64_t value)
{
    put_unsigned(o, (uint64_t)value << 1 ^ (0 - ((uint64_t)value >> 63)));
}

static void
put_text(struct out *o, const char *text)
{
    size_t length = strlen(text);

    put_unsigned(o, length);
    put_bytes(o, text, length);
}

static void
begin(struct out *o, const char *tag)
{
    o->section = o->length;
    put_bytes(o, tag, LENGTH_AT);
    put_word(o, 0);
}

static void
end(struct out *o)
{
    size_t length = o->length - o->section - SECTION_HEAD;

    for (size_t i = 0; i < 4; i++) {
        o->bytes[o->section + LENGTH_AT + i] = (unsigned char)(length >> 8 * i);
    }
    put_word(o, (uint32_t)crc32_z(0, o->bytes + o->section, o->length - o->section));
    o->sections++;
}

static void
put_modules(struct out *o, const struct profile *p)
{
    begin(o, "MODS");
    put_unsigned(o, p->module_count);
    for (size_t i = 0; i < p->module_count; i++) {
        const struct profile_module *m = &p->modules[i];
        put_unsigned(o, m->start);
        put_unsigned(o, m->size);
        put_unsigned(o, m->file_offset);
        put_unsigned(o, m->build_id_length);
        put_bytes(o, m->build_id, m->build_id_length);
        put_text(o, m->path);
    }
    end(o);
}

static void
put_site(struct out *o, const struct profile *p, struct profile_site *s)
{
    put_unsigned(o, s->frame_count);
    for (uint32_t i = 0; i < s->frame_count; i++) {
        put_unsigned(o, p->locations[s->frames[i]].module);
        put_unsigned(o, p->locations[s->frames[i]].offset);
    }
    put_unsigned(o, PROFILE_FIGURE_COUNT);
#define PROFILE_FIGURE(name, unit, text) put_signed(o, s->figures.name);
#include "profile/figures.def"
#undef PROFILE_FIGURE
    put_unsigned(o, PROFILE_HISTOGRAMS);
    for (int h = 0; h < PROFILE_HISTOGRAMS; h++) {
        const int64_t *buckets = profile_histogram(s, (enum profile_histogram)h);
        size_t count = profile_histogram_size((enum profile_histogram)h);
        while (count > 0 && buckets[count - 1] == 0) {
            count--;
        }
        put_unsigned(o, count);
        for (size_t i = 0; i < count; i++) {
            put_unsigned(o, (uint64_t)buckets[i]);
        }
    }
}

/* The count stands before the sites, so each section is made with as many as come to its size. */
static void
put_sites(struct out *o, const struct profile *p)
{
    struct out sites = {0};

    for (size_t i = 0, first = 0; i < p->site_count; i++) {
        put_site(&sites, p, &p->sites[i]);
        if (sites.length >= SECTION_BYTES || i + 1 == p->site_count) {
            begin(o, "SITE");
            put_unsigned(o, i + 1 - first);
            put_bytes(o, sites.bytes, sites.length);
            end(o);
            first = i + 1;
            sites.length = 0;
        }
    }
    free(sites.bytes);
}

static void
put_series(struct out *o, const struct profile_series *s)
{
    begin(o, "SERI");
    put_text(o, s->name);
    put_text(o, s->unit);
    put_unsigned(o, s->interval_ns);
    put_unsigned(o, s->time_ns);
    put_unsigned(o, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t before = i == 0 ? 0 : (uint64_t)s->values[i - 1];
        put_signed(o, (int64_t)((uint64_t)s->values[i] - before));
    }
    end(o);
}

unsigned char *
profile_encode(const struct profile *p, size_t *length)
{
    struct out o = {0};
    uint64_t sections;

    put_bytes(&o, PROFILE_MAGIC, PROFILE_MAGIC_BYTES);
    put_word(&o, PROFILE_VERSION);
    begin(&o, "META");
    for (size_t i = 0; i < p->meta_count; i++) {
        put_text(&o, p->meta[i].key);
        put_text(&o, p->meta[i].value);
    }
    end(&o);
    put_modules(&o, p);
    put_sites(&o, p);
    for (size_t i = 0; i < p->series_count; i++) {
        put_series(&o, &p->series[i]);
    }
    for (size_t i = 0; i < p->stats_count; i++) {
        begin(&o, "STAT");
        put_text(&o, p->stats[i]);
        end(&o);
    }
    sections = o.sections;
    begin(&o, "END!");
    put_unsigned(&o, sections);
    end(&o);
    *length = o.length;
    return o.bytes;
}

void
profile_write(const struct profile *p, const char *path)
{
    size_t length;
    unsigned char *bytes = profile_encode(p, &length);
    FILE *out = tool_output(path);

    fwrite(bytes, 1, length, out);
    tool_output_done(out, path);
    free(bytes);
}
