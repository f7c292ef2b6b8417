/* SPDX-License-Identifier: MIT */
/*
 * The profile in memory: adding, sorting, merging. profile.h has the rules; what matters here is
 * that the result depends on what was added and not on the order, and that 35,000 sites of 64
 * frames are sorted in a fraction of a second: locations become numbers in the order of (module,
 * offset), so a stack is compared as a row of numbers.
 */
#include "tool/profile.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

void
profile_free(struct profile *p)
{
    free(p->modules);
    free(p->locations);
    free(p->sites);
    free(p->series);
    free(p->meta);
    free(p->stats);
    free(p->lookup);
    tool_pool_free(&p->pool);
    *p = (struct profile){0};
}

/* ---- Adding ---------------------------------------------------------------------------------- */

/* A new zeroed element at the end of one of the profile's arrays. */
#define APPEND(p, array, count, room)                                                              \
    ((p)->array = tool_grow((p)->array, (p)->count, &(p)->room, sizeof *(p)->array),               \
     memset(&(p)->array[(p)->count], 0, sizeof *(p)->array), &(p)->array[(p)->count++])

struct profile_module *
profile_add_module(struct profile *p)
{
    struct profile_module *m = APPEND(p, modules, module_count, module_room);

    m->path = "";
    return m;
}

static size_t
location_hash(uint32_t module, uint64_t offset)
{
    uint64_t z = (offset ^ (uint64_t)module << 48) * 0x9e3779b97f4a7c15u;

    return (size_t)(z ^ z >> 29);
}

/* The place in the table where the location is, or where it would be. */
static uint32_t *
location_slot(struct profile *p, uint32_t module, uint64_t offset)
{
    size_t at = location_hash(module, offset) & (p->lookup_size - 1);

    while (p->lookup[at] != 0) {
        const struct profile_location *l = &p->locations[p->lookup[at] - 1];
        if (l->module == module && l->offset == offset) {
            break;
        }
        at = (at + 1) & (p->lookup_size - 1);
    }
    return &p->lookup[at];
}

static void
lookup_rebuild(struct profile *p, size_t size)
{
    free(p->lookup);
    p->lookup = tool_alloc(size * sizeof *p->lookup);
    p->lookup_size = size;
    for (size_t i = 0; i < p->location_count; i++) {
        *location_slot(p, p->locations[i].module, p->locations[i].offset) = (uint32_t)i + 1;
    }
}

/* At most half full. */
static size_t
lookup_size_for(size_t count)
{
    size_t size = 1024;

    while (count >= size / 2) {
        size *= 2;
    }
    return size;
}

uint32_t
profile_add_location(struct profile *p, uint32_t module, uint64_t offset)
{
    struct profile_location *l;
    uint32_t *slot;

    if (p->location_count >= p->lookup_size / 2) {
        lookup_rebuild(p, lookup_size_for(p->location_count));
    }
    slot = location_slot(p, module, offset);
    if (*slot == 0) {
        l = APPEND(p, locations, location_count, location_room);
        *l = (struct profile_location){module, offset};
        *slot = (uint32_t)p->location_count;
    }
    return *slot - 1;
}

struct profile_site *
profile_add_site(struct profile *p, uint32_t frame_count)
{
    struct profile_site *s = APPEND(p, sites, site_count, site_room);

    s->frame_count = frame_count;
    s->frames = tool_pool_alloc(&p->pool, frame_count * sizeof *s->frames);
    return s;
}

struct profile_series *
profile_add_series(struct profile *p, uint32_t count)
{
    struct profile_series *s = APPEND(p, series, series_count, series_room);

    s->count = count;
    s->values = tool_pool_alloc(&p->pool, count * sizeof *s->values);
    return s;
}

void
profile_add_stats(struct profile *p, const char *text)
{
    *APPEND(p, stats, stats_count, stats_room) = text;
}

static struct profile_meta *
find_meta(const struct profile *p, const char *key)
{
    for (size_t i = 0; i < p->meta_count; i++) {
        if (strcmp(p->meta[i].key, key) == 0) {
            return &p->meta[i];
        }
    }
    return NULL;
}

void
profile_set_meta(struct profile *p, const char *key, const char *value)
{
    struct profile_meta *m = find_meta(p, key);

    if (m == NULL) {
        m = APPEND(p, meta, meta_count, meta_room);
        m->key = tool_pool_text(&p->pool, key, strlen(key));
    }
    m->value = tool_pool_text(&p->pool, value, strlen(value));
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* At the ends of the range it stays there: an absurd profile must not become a negative one. */
static int64_t
add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        return a < 0 ? INT64_MIN : INT64_MAX;
    }
    return sum;
}

void
profile_figures_add(struct profile_figures *sum, const struct profile_figures *more)
{
#define PROFILE_FIGURE(name, unit, text) sum->name = add(sum->name, more->name);
#include "profile/figures.def"
#undef PROFILE_FIGURE
}

struct profile_figures
profile_total(const struct profile *p)
{
    struct profile_figures sum = {0};

    for (size_t i = 0; i < p->site_count; i++) {
        profile_figures_add(&sum, &p->sites[i].figures);
    }
    return sum;
}

void
profile_site_add(struct profile_site *into, const struct profile_site *from)
{
    profile_figures_add(&into->figures, &from->figures);
    profile_figures_add(&into->before, &from->before);
    for (size_t i = 0; i < PROFILE_BUCKETS; i++) {
        into->buckets[i] = add(into->buckets[i], from->buckets[i]);
    }
}

/* ---- Order: modules -------------------------------------------------------------------------- */

static int
compare_bytes(const void *a, size_t a_length, const void *b, size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    int order = shorter == 0 ? 0 : memcmp(a, b, shorter);

    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* 0 when they are one module. */
static int
compare_identity(const struct profile_module *a, const struct profile_module *b)
{
    int order = compare_bytes(a->build_id, a->build_id_length, b->build_id, b->build_id_length);

    return order != 0 || a->build_id_length > 0 ? order : strcmp(a->path, b->path);
}

static int
compare_modules(const void *a, const void *b, void *modules)
{
    const struct profile_module *x = (struct profile_module *)modules + *(const uint32_t *)a;
    const struct profile_module *y = (struct profile_module *)modules + *(const uint32_t *)b;

    return compare_identity(x, y);
}

/* Two mappings of one file, or one file in two processes. The bias is where its byte 0 would be. */
static void
module_add(struct profile_module *into, const struct profile_module *from)
{
    uint64_t bias = into->start - into->file_offset, other = from->start - from->file_offset;
    uint64_t end = into->file_offset + into->size, other_end = from->file_offset + from->size;

    if (strcmp(from->path, into->path) < 0) {
        into->path = from->path;
    }
    into->is_main |= from->is_main;
    if (from->file_offset < into->file_offset) {
        into->file_offset = from->file_offset;
    }
    into->size = (end > other_end ? end : other_end) - into->file_offset;
    into->start = (bias < other ? bias : other) + into->file_offset;
}

/* The main program first, the rest by identity. map: old index to new. */
static void
finish_modules(struct profile *p, uint32_t *map)
{
    uint32_t *order = tool_alloc(p->module_count * sizeof *order);
    struct profile_module *sorted = tool_alloc((p->module_count + 1) * sizeof *sorted), main;
    size_t count = 0, first = SIZE_MAX;

    for (uint32_t i = 0; i < p->module_count; i++) {
        order[i] = i;
    }
    qsort_r(order, p->module_count, sizeof *order, compare_modules, p->modules);
    for (size_t i = 0; i < p->module_count; i++) {
        const struct profile_module *m = &p->modules[order[i]];
        if (count > 0 && compare_identity(&sorted[count - 1], m) == 0) {
            module_add(&sorted[count - 1], m);
        } else {
            sorted[count++] = *m;
        }
        if (first == SIZE_MAX && sorted[count - 1].is_main) {
            first = count - 1;
        }
        map[order[i]] = (uint32_t)count - 1;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i].is_main = i == first;
    }
    if (first != SIZE_MAX) {
        main = sorted[first];
        memmove(sorted + 1, sorted, first * sizeof *sorted);
        sorted[0] = main;
        for (size_t i = 0; i < p->module_count; i++) {
            map[i] = map[i] == first ? 0 : map[i] + (map[i] < first);
        }
    }
    free(order);
    free(p->modules);
    p->modules = sorted;
    p->module_room = p->module_count + 1;
    p->module_count = count;
}

/* ---- Order: locations and sites -------------------------------------------------------------- */

static int
compare_locations(const void *a, const void *b, void *locations)
{
    const struct profile_location *x = (struct profile_location *)locations + *(const uint32_t *)a;
    const struct profile_location *y = (struct profile_location *)locations + *(const uint32_t *)b;

    if (x->module != y->module) {
        return x->module < y->module ? -1 : 1;
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int
compare_sites(const void *a, const void *b)
{
    const struct profile_site *x = a, *y = b;
    uint32_t shorter = x->frame_count < y->frame_count ? x->frame_count : y->frame_count;

    for (uint32_t i = 0; i < shorter; i++) {
        if (x->frames[i] != y->frames[i]) {
            return x->frames[i] < y->frames[i] ? -1 : 1;
        }
    }
    return (x->frame_count > y->frame_count) - (x->frame_count < y->frame_count);
}

void
profile_map_locations(struct profile *p, const uint32_t *map)
{
    size_t count = 0;

    for (size_t i = 0; i < p->site_count; i++) {
        for (uint32_t k = 0; k < p->sites[i].frame_count; k++) {
            p->sites[i].frames[k] = map[p->sites[i].frames[k]];
        }
    }
    if (p->site_count > 0) {
        qsort(p->sites, p->site_count, sizeof *p->sites, compare_sites);
    }
    for (size_t i = 0; i < p->site_count; i++) {
        if (count > 0 && compare_sites(&p->sites[count - 1], &p->sites[i]) == 0) {
            profile_site_add(&p->sites[count - 1], &p->sites[i]);
        } else {
            p->sites[count++] = p->sites[i];
        }
    }
    p->site_count = count;
}

static void
finish_locations(struct profile *p, const uint32_t *module_map)
{
    uint32_t *order = tool_alloc(p->location_count * sizeof *order);
    uint32_t *map = tool_alloc(p->location_count * sizeof *map);
    struct profile_location *sorted = tool_alloc(p->location_count * sizeof *sorted);
    size_t count = 0;

    for (uint32_t i = 0; i < p->location_count; i++) {
        order[i] = i;
        if (p->locations[i].module != 0) {
            p->locations[i].module = module_map[p->locations[i].module - 1] + 1;
        }
    }
    qsort_r(order, p->location_count, sizeof *order, compare_locations, p->locations);
    for (size_t i = 0; i < p->location_count; i++) {
        struct profile_location *l = &p->locations[order[i]];
        if (count == 0 || l->module != sorted[count - 1].module ||
            l->offset != sorted[count - 1].offset) {
            sorted[count++] = *l;
        }
        map[order[i]] = (uint32_t)count - 1;
    }
    free(order);
    free(p->locations);
    p->locations = sorted;
    p->location_room = p->location_count;
    p->location_count = count;
    profile_map_locations(p, map);
    free(map);
}

/* ---- Order: the rest ------------------------------------------------------------------------- */

static int
compare_meta(const void *a, const void *b)
{
    const struct profile_meta *x = a, *y = b;

    return strcmp(x->key, y->key);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
compare_series(const void *a, const void *b)
{
    const struct profile_series *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order == 0) {
        order = strcmp(x->unit, y->unit);
    }
    if (order == 0) {
        order = (x->interval_ns > y->interval_ns) - (x->interval_ns < y->interval_ns);
    }
    if (order == 0) {
        order = (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
    }
    if (order == 0) {
        order = compare_bytes(x->values, x->count * sizeof *x->values, y->values,
                              y->count * sizeof *y->values);
    }
    return order;
}

void
profile_finish(struct profile *p)
{
    uint32_t *map = tool_alloc(p->module_count * sizeof *map);

    finish_modules(p, map);
    finish_locations(p, map);
    free(map);
    free(p->lookup);
    p->lookup = NULL;
    p->lookup_size = 0;
    p->incomplete = find_meta(p, "incomplete") != NULL;
    if (p->meta_count > 0) {
        qsort(p->meta, p->meta_count, sizeof *p->meta, compare_meta);
    }
    if (p->stats_count > 0) {
        qsort(p->stats, p->stats_count, sizeof *p->stats, compare_texts);
    }
    if (p->series_count > 0) {
        qsort(p->series, p->series_count, sizeof *p->series, compare_series);
    }
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* Numbers that have a sum or an end; every other text stays when it is the same in both. */
static const struct meta_rule {
    const char *key;
    enum { META_MIN, META_MAX, META_SUM, META_SAME } rule;
} meta_rules[] = {
    {"start_ns", META_MIN}, {"time_ns", META_MAX}, {"duration_ns", META_SUM},  {"rate", META_MAX},
    {"profiles", META_SUM}, {"pid", META_SAME},    {"lost_samples", META_SUM},
};

static const char several[] = "(several)";

static uint64_t
merge_numbers(int rule, uint64_t a, uint64_t b)
{
    switch (rule) {
    case META_MIN:
        return a < b ? a : b;
    case META_MAX:
        return a > b ? a : b;
    case META_SUM:
        return a + b;
    default:
        return a == b ? a : 0;
    }
}

static void
merge_meta(struct profile *into, const char *key, const char *value)
{
    const char *mine = profile_meta(into, key);
    char number[32];

    if (mine == NULL) {
        profile_set_meta(into, key, value);
        return;
    }
    for (size_t i = 0; i < LENGTH(meta_rules); i++) {
        if (strcmp(meta_rules[i].key, key) == 0) {
            uint64_t a = strtoull(mine, NULL, 10), b = strtoull(value, NULL, 10);
            snprintf(number, sizeof number, "%llu",
                     (unsigned long long)merge_numbers(meta_rules[i].rule, a, b));
            profile_set_meta(into, key, number);
            return;
        }
    }
    if (strcmp(mine, value) != 0) {
        profile_set_meta(into, key, several);
    }
}

/* Every profile counts itself, so that a merged one can say how many it is. */
static void
count_profiles(struct profile *p)
{
    if (find_meta(p, "profiles") == NULL) {
        profile_set_meta(p, "profiles", "1");
    }
}

static void
merge_modules_and_sites(struct profile *into, const struct profile *from)
{
    uint32_t *map = tool_alloc(from->location_count * sizeof *map);
    uint32_t shift = (uint32_t)into->module_count;

    for (size_t i = 0; i < from->module_count; i++) {
        const struct profile_module *m = &from->modules[i];
        struct profile_module *copy = profile_add_module(into);
        *copy = *m;
        copy->path = tool_pool_text(&into->pool, m->path, strlen(m->path));
        copy->build_id = (unsigned char *)tool_pool_text(&into->pool, (const char *)m->build_id,
                                                         m->build_id_length);
    }
    lookup_rebuild(into, lookup_size_for(into->location_count));
    for (size_t i = 0; i < from->location_count; i++) {
        const struct profile_location *l = &from->locations[i];
        map[i] = profile_add_location(into, l->module == 0 ? 0 : l->module + shift, l->offset);
    }
    for (size_t i = 0; i < from->site_count; i++) {
        const struct profile_site *s = &from->sites[i];
        struct profile_site *copy = profile_add_site(into, s->frame_count);
        uint32_t *frames = copy->frames;
        *copy = *s;
        copy->frames = frames;
        for (uint32_t k = 0; k < s->frame_count; k++) {
            frames[k] = map[s->frames[k]];
        }
    }
    free(map);
}

void
profile_merge(struct profile *into, const struct profile *from)
{
    count_profiles(into);
    for (size_t i = 0; i < from->meta_count; i++) {
        merge_meta(into, from->meta[i].key, from->meta[i].value);
    }
    if (profile_meta(from, "profiles") == NULL) {
        merge_meta(into, "profiles", "1");
    }
    merge_modules_and_sites(into, from);
    for (size_t i = 0; i < from->series_count; i++) {
        const struct profile_series *s = &from->series[i];
        struct profile_series *copy = profile_add_series(into, s->count);
        int64_t *values = copy->values;
        memcpy(values, s->values, s->count * sizeof *values);
        *copy = *s;
        copy->values = values;
        copy->name = tool_pool_text(&into->pool, s->name, strlen(s->name));
        copy->unit = tool_pool_text(&into->pool, s->unit, strlen(s->unit));
    }
    for (size_t i = 0; i < from->stats_count; i++) {
        profile_add_stats(into,
                          tool_pool_text(&into->pool, from->stats[i], strlen(from->stats[i])));
    }
    profile_finish(into);
}

/* ---- Questions ------------------------------------------------------------------------------- */

const char *
profile_meta(const struct profile *p, const char *key)
{
    const struct profile_meta *m = find_meta(p, key);

    return m == NULL ? NULL : m->value;
}

uint64_t
profile_meta_number(const struct profile *p, const char *key)
{
    const char *value = profile_meta(p, key);

    return value == NULL ? 0 : strtoull(value, NULL, 10);
}

int64_t *
profile_histogram(struct profile_site *site, enum profile_histogram which)
{
    return site->buckets + (size_t)which * PROFILE_DECADES;
}

size_t
profile_histogram_size(enum profile_histogram which)
{
    return which == PROFILE_SIZES ? PROFILE_SIZE_BUCKETS : PROFILE_DECADES;
}

const char *
profile_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

const char *
profile_build_id(const struct profile_module *m, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < m->build_id_length; i++) {
        hex[2 * i] = digits[m->build_id[i] >> 4];
        hex[2 * i + 1] = digits[m->build_id[i] & 15];
    }
    hex[2 * m->build_id_length] = '\0';
    return hex;
}
