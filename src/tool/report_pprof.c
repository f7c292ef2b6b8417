/* SPDX-License-Identifier: MIT */
/*
 * profile.proto.gz for pprof. Values are unbiased already and pprof does not scale them. A site is
 * up to six samples that differ in their `lifetime` label: blocks that are live, and those that
 * were freed, by how long they lived, so that -tagroot=lifetime splits every view by it. How many
 * of the freed ones there are in a class is known, how many bytes is not: they are taken to be of
 * equal size, and the sum of a site's samples is exactly the site.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <pprof.pb-c.h> /* made from pprof.proto */

#include "tool/report.h"

enum { VALUES = 4 };
enum { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE };

/* Classes of lifetime: the first bucket of the histogram that is no longer in the class. The names
 * sort in the order of time. */
static const struct {
    const char *name;
    size_t end;
} classes[] = {
    {"1: freed within 1 ms", 4},
    {"2: freed within 1 s", 7},
    {"3: freed within 2 min", 9},
    {"4: freed later", PROFILE_DECADES},
    {"5: live", 0},
};

enum { FREED_CLASSES = 4, LIVE = 4, UNLABELLED = 5, CLASSES = 5 };

struct function_key {
    const char *name;
    const char *file;
    uint64_t id;
};

/* Everything the packed message points to lives in the pool. */
struct builder {
    struct report *r;
    struct tool_pool pool;
    Tide__Pprof__Profile profile;
    size_t text_room, function_room, sample_room;
    uint32_t *texts; /* open addressing: index into string_table, 0 is free */
    size_t text_slots;
    struct function_key *functions; /* open addressing by the two pointers */
    size_t function_slots;
    Tide__Pprof__Label *labels[CLASSES];
};

/* ---- Texts and functions --------------------------------------------------------------------- */

static uint32_t *
text_slot(struct builder *b, const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t at;

    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    }
    at = (size_t)(hash ^ hash >> 32) & (b->text_slots - 1);
    while (b->texts[at] != 0 && strcmp(b->profile.string_table[b->texts[at]], text) != 0) {
        at = (at + 1) & (b->text_slots - 1);
    }
    return &b->texts[at];
}

static int64_t
add_text(struct builder *b, const char *text)
{
    uint32_t *slot;

    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    if (b->profile.n_string_table >= b->text_slots / 2) {
        free(b->texts);
        b->text_slots = b->text_slots == 0 ? 4096 : b->text_slots * 2;
        b->texts = tool_alloc(b->text_slots * sizeof *b->texts);
        for (uint32_t i = 1; i < b->profile.n_string_table; i++) {
            *text_slot(b, b->profile.string_table[i]) = i;
        }
    }
    slot = text_slot(b, text);
    if (*slot == 0) {
        b->profile.string_table = tool_grow(b->profile.string_table, b->profile.n_string_table,
                                            &b->text_room, sizeof *b->profile.string_table);
        *slot = (uint32_t)b->profile.n_string_table;
        b->profile.string_table[b->profile.n_string_table++] =
            tool_pool_text(&b->pool, text, strlen(text));
    }
    return *slot;
}

/* Names of symbols are kept once (debug.c), so equal pointers are equal functions. */
static struct function_key *
function_slot(struct builder *b, const char *name, const char *file)
{
    uint64_t hash = ((uint64_t)(uintptr_t)name * 31 + (uintptr_t)file) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> 32) & (b->function_slots - 1);

    while (b->functions[at].id != 0 &&
           (b->functions[at].name != name || b->functions[at].file != file)) {
        at = (at + 1) & (b->function_slots - 1);
    }
    return &b->functions[at];
}

static uint64_t
add_function(struct builder *b, const char *name, const char *file)
{
    Tide__Pprof__Profile *p = &b->profile;
    struct function_key *slot = function_slot(b, name, file);
    Tide__Pprof__Function *f;

    if (slot->id == 0) {
        f = tool_pool_alloc(&b->pool, sizeof *f);
        tide__pprof__function__init(f);
        f->id = p->n_function + 1;
        f->name = f->system_name = add_text(b, name);
        f->filename = add_text(b, file);
        p->function = tool_grow(p->function, p->n_function, &b->function_room, sizeof *p->function);
        p->function[p->n_function++] = f;
        *slot = (struct function_key){name, file, f->id};
    }
    return slot->id;
}

/* ---- Mappings and locations ------------------------------------------------------------------ */

static void
add_mappings(struct builder *b)
{
    const struct profile *p = b->r->profile;
    char hex[2 * PROFILE_BUILD_ID_MAX + 1];

    b->profile.mapping = tool_alloc(p->module_count * sizeof *b->profile.mapping);
    for (size_t i = 0; i < p->module_count; i++) {
        const struct profile_module *m = &p->modules[i];
        Tide__Pprof__Mapping *to = tool_pool_alloc(&b->pool, sizeof *to);
        bool named = b->r->symbols.sources[i] >= SYMBOLS_TABLE;
        bool lines = b->r->symbols.sources[i] == SYMBOLS_DEBUG;
        tide__pprof__mapping__init(to);
        to->id = i + 1;
        to->memory_start = m->start;
        to->memory_limit = m->size > UINT64_MAX - m->start ? UINT64_MAX : m->start + m->size;
        to->file_offset = m->file_offset;
        to->filename = add_text(b, m->path);
        to->build_id = add_text(b, profile_build_id(m, hex));
        to->has_functions = named;
        to->has_filenames = lines;
        to->has_line_numbers = lines;
        to->has_inline_frames = lines;
        b->profile.mapping[b->profile.n_mapping++] = to;
    }
}

static void
add_lines(struct builder *b, Tide__Pprof__Location *to, uint32_t location)
{
    size_t count;
    const struct symbol_frame *frames = report_frames(b->r, location, &count);

    if (count == 1 && frames[0].function == NULL) {
        return;
    }
    to->line = tool_pool_alloc(&b->pool, count * sizeof *to->line);
    for (size_t i = 0; i < count; i++) {
        const char *name = frames[i].function != NULL ? frames[i].function : "(unknown)";
        Tide__Pprof__Line *line = tool_pool_alloc(&b->pool, sizeof *line);
        tide__pprof__line__init(line);
        line->function_id = add_function(b, name, frames[i].file);
        line->line = frames[i].line;
        to->line[to->n_line++] = line;
    }
}

static void
add_locations(struct builder *b)
{
    const struct profile *p = b->r->profile;

    b->profile.location = tool_alloc(p->location_count * sizeof *b->profile.location);
    b->function_slots = 1024;
    while (b->function_slots < b->r->symbols.frame_count * 2) {
        b->function_slots *= 2;
    }
    b->functions = tool_alloc(b->function_slots * sizeof *b->functions);
    for (uint32_t i = 0; i < p->location_count; i++) {
        const struct profile_location *l = &p->locations[i];
        const struct profile_module *m = report_module(b->r, i);
        Tide__Pprof__Location *to = tool_pool_alloc(&b->pool, sizeof *to);
        tide__pprof__location__init(to);
        to->id = i + 1;
        to->mapping_id = l->module;
        to->address = m == NULL ? l->offset : l->offset - m->file_offset + m->start;
        add_lines(b, to, i);
        b->profile.location[b->profile.n_location++] = to;
    }
}

/* ---- Samples --------------------------------------------------------------------------------- */

static int64_t
at_least_0(int64_t value)
{
    return value < 0 ? 0 : value;
}

/* Where the part ends that ends at `done` of `all`, in a row of parts that make up the whole. */
static int64_t
part(int64_t whole, int64_t done, int64_t all)
{
    return (int64_t)((__int128)whole * done / all);
}

static int64_t
blocks(int64_t thousandths)
{
    return thousandths / 1000 + (thousandths % 1000 >= 500);
}

/* What each class has of the site's values. Freed blocks that no histogram has get no label. */
static void
split(struct profile_site *site, int64_t values[CLASSES + 1][VALUES])
{
    const int64_t *lifetime = profile_histogram(site, PROFILE_LIFETIME_NS);
    int64_t live = at_least_0(site->figures.live_blocks);
    int64_t live_bytes = at_least_0(site->figures.live_bytes);
    int64_t freed = at_least_0(at_least_0(site->figures.allocated_blocks) - live);
    int64_t freed_bytes = at_least_0(at_least_0(site->figures.allocated_bytes) - live_bytes);
    int64_t all = 0, done = 0, last_blocks = 0, last_bytes = 0;

    memset(values, 0, (CLASSES + 1) * sizeof values[0]);
    values[LIVE][ALLOC_OBJECTS] = values[LIVE][INUSE_OBJECTS] = blocks(live);
    values[LIVE][ALLOC_SPACE] = values[LIVE][INUSE_SPACE] = live_bytes;
    for (size_t i = 0; i < PROFILE_DECADES; i++) {
        all += lifetime[i] / PROFILE_DECADES; /* so that no sum of buckets overflows */
    }
    if (all == 0) {
        values[UNLABELLED][ALLOC_OBJECTS] = blocks(freed);
        values[UNLABELLED][ALLOC_SPACE] = freed_bytes;
        return;
    }
    for (size_t c = 0, i = 0; c < FREED_CLASSES; c++) {
        for (; i < classes[c].end; i++) {
            done += lifetime[i] / PROFILE_DECADES;
        }
        int64_t blocks_here = blocks(part(freed, done, all));
        int64_t bytes_here = part(freed_bytes, done, all);
        values[c][ALLOC_OBJECTS] = blocks_here - last_blocks;
        values[c][ALLOC_SPACE] = bytes_here - last_bytes;
        last_blocks = blocks_here;
        last_bytes = bytes_here;
    }
}

static void
add_sample(struct builder *b, uint64_t *locations, size_t count, const int64_t *values,
           size_t class_index)
{
    Tide__Pprof__Profile *p = &b->profile;
    Tide__Pprof__Sample *s;
    bool any = false;

    for (size_t i = 0; i < VALUES; i++) {
        any |= values[i] != 0;
    }
    if (!any) {
        return;
    }
    s = tool_pool_alloc(&b->pool, sizeof *s);
    tide__pprof__sample__init(s);
    s->location_id = locations;
    s->n_location_id = count;
    s->value = tool_pool_alloc(&b->pool, VALUES * sizeof *s->value);
    memcpy(s->value, values, VALUES * sizeof *s->value);
    s->n_value = VALUES;
    if (class_index < CLASSES) {
        s->label = &b->labels[class_index];
        s->n_label = 1;
    }
    p->sample = tool_grow(p->sample, p->n_sample, &b->sample_room, sizeof *p->sample);
    p->sample[p->n_sample++] = s;
}

/* The stack of a site without one is an invented place, or pprof would not show its values. */
static uint64_t
add_overflow_location(struct builder *b)
{
    Tide__Pprof__Profile *p = &b->profile;
    Tide__Pprof__Location *to = tool_pool_alloc(&b->pool, sizeof *to);
    Tide__Pprof__Line *line = tool_pool_alloc(&b->pool, sizeof *line);

    tide__pprof__location__init(to);
    tide__pprof__line__init(line);
    line->function_id = add_function(b, "(no stack)", NULL);
    to->id = p->n_location + 1;
    to->line = tool_pool_alloc(&b->pool, sizeof *to->line);
    to->line[0] = line;
    to->n_line = 1;
    p->location = reallocarray(p->location, p->n_location + 1, sizeof *p->location);
    if (p->location == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    p->location[p->n_location++] = to;
    return to->id;
}

static void
add_samples(struct builder *b)
{
    uint64_t overflow = 0;

    for (size_t i = 0; i < b->r->order_count; i++) {
        struct profile_site *site = &b->r->profile->sites[b->r->order[i]];
        size_t count = site->frame_count == 0 ? 1 : site->frame_count;
        uint64_t *locations = tool_pool_alloc(&b->pool, count * sizeof *locations);
        int64_t values[CLASSES + 1][VALUES];
        for (uint32_t k = 0; k < site->frame_count; k++) {
            locations[k] = site->frames[k] + 1;
        }
        if (site->frame_count == 0) {
            overflow = overflow == 0 ? add_overflow_location(b) : overflow;
            locations[0] = overflow;
        }
        split(site, values);
        for (size_t c = 0; c <= CLASSES; c++) {
            add_sample(b, locations, count, values[c], c);
        }
    }
}

/* ---- The message ----------------------------------------------------------------------------- */

static Tide__Pprof__ValueType *
value_type(struct builder *b, const char *type, const char *unit)
{
    Tide__Pprof__ValueType *v = tool_pool_alloc(&b->pool, sizeof *v);

    tide__pprof__value_type__init(v);
    v->type = add_text(b, type);
    v->unit = add_text(b, unit);
    return v;
}

static void
add_head(struct builder *b)
{
    static const char *const types[VALUES][2] = {{"alloc_objects", "count"},
                                                 {"alloc_space", "bytes"},
                                                 {"inuse_objects", "count"},
                                                 {"inuse_space", "bytes"}};
    Tide__Pprof__Profile *p = &b->profile;
    const struct profile *from = b->r->profile;

    p->string_table = tool_grow(NULL, 0, &b->text_room, sizeof *p->string_table);
    p->string_table[p->n_string_table++] = tool_pool_text(&b->pool, "", 0);
    p->sample_type = tool_pool_alloc(&b->pool, VALUES * sizeof *p->sample_type);
    for (size_t i = 0; i < VALUES; i++) {
        p->sample_type[p->n_sample_type++] = value_type(b, types[i][0], types[i][1]);
    }
    p->period_type = value_type(b, "space", "bytes");
    p->period = (int64_t)profile_meta_number(from, "rate");
    p->time_nanos = (int64_t)profile_meta_number(from, "time_ns");
    p->duration_nanos = (int64_t)profile_meta_number(from, "duration_ns");
    p->default_sample_type =
        add_text(b, profile_total(from).live_bytes == 0 ? "alloc_space" : "inuse_space");
    p->comment = tool_pool_alloc(&b->pool, 2 * sizeof *p->comment);
    if (profile_meta(from, "command") != NULL) {
        p->comment[p->n_comment++] = add_text(b, profile_meta(from, "command"));
    }
    if (from->incomplete) {
        p->comment[p->n_comment++] = add_text(b, "INCOMPLETE: made from a damaged .tide file");
    }
    for (size_t c = 0; c < CLASSES; c++) {
        b->labels[c] = tool_pool_alloc(&b->pool, sizeof *b->labels[c]);
        tide__pprof__label__init(b->labels[c]);
        b->labels[c]->key = add_text(b, "lifetime");
        b->labels[c]->str = add_text(b, classes[c].name);
    }
}

static void
write_gzip(FILE *out, unsigned char *bytes, size_t length)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY = 8 };
    unsigned char piece[1 << 15];
    z_stream z = {.next_in = bytes};
    int state = Z_OK;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    while (state != Z_STREAM_END) {
        if (z.avail_in == 0) { /* zlib counts in 32 bits */
            z.avail_in = length > 1 << 30 ? 1 << 30 : (uInt)length;
            length -= z.avail_in;
        }
        z.next_out = piece;
        z.avail_out = sizeof piece;
        state = deflate(&z, length == 0 ? Z_FINISH : Z_NO_FLUSH);
        fwrite(piece, 1, sizeof piece - z.avail_out, out);
    }
    deflateEnd(&z);
}

void
report_pprof(struct report *r, FILE *out)
{
    struct builder b = {.r = r};
    unsigned char *bytes;
    size_t length;

    tide__pprof__profile__init(&b.profile);
    add_head(&b);
    add_mappings(&b);
    add_locations(&b);
    add_samples(&b);
    length = tide__pprof__profile__get_packed_size(&b.profile);
    bytes = tool_alloc(length);
    tide__pprof__profile__pack(&b.profile, bytes);
    write_gzip(out, bytes, length);
    free(bytes);
    free(b.texts);
    free(b.functions);
    free(b.profile.string_table);
    free(b.profile.function);
    free(b.profile.sample);
    free(b.profile.location);
    free(b.profile.mapping);
    tool_pool_free(&b.pool);
}
