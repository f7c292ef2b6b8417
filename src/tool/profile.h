/* SPDX-License-Identifier: MIT */
/*
 * A profile in memory: what the sections of a .tide file say (profile/format.h), in an order that
 * depends on its content alone. The same struct serves every command.
 *
 * A reader appends modules, locations and sites in any order and as often as it likes;
 * profile_finish() then makes one of what is the same, and sorts. Merging is appending one profile
 * to another and finishing again, which is why it neither matters what is merged first nor how it
 * is bracketed: every rule in profile.c is a minimum, a maximum, a sum or a union.
 *
 * What a module is: the build-id when there is one, else the path. Several mappings of a file are
 * one module.
 */
#ifndef TIDE_TOOL_PROFILE_H
#define TIDE_TOOL_PROFILE_H

#include "profile/format.h"
#include "tool/tool.h"

enum {
    PROFILE_BUILD_ID_MAX = 64,
    PROFILE_BUCKETS = 3 * PROFILE_DECADES + PROFILE_SIZE_BUCKETS,
};

struct profile_module {
    const char *path;
    const unsigned char *build_id;
    size_t build_id_length;
    uint64_t start;       /* address of the first mapped byte */
    uint64_t size;        /* bytes */
    uint64_t file_offset; /* of the first mapped byte */
    bool is_main;
};

/* Where a call is. module 0: none, and offset is an address. */
struct profile_location {
    uint32_t module; /* index + 1 */
    uint64_t offset;
};

struct profile_site {
    struct profile_figures figures;
    struct profile_figures before; /* tide diff: of the older profile */
    int64_t buckets[PROFILE_BUCKETS];
    uint32_t *frames; /* locations, innermost first */
    uint32_t frame_count;
};

struct profile_series {
    const char *name;
    const char *unit;
    uint64_t interval_ns;
    uint64_t time_ns;
    int64_t *values;
    uint32_t count;
};

struct profile_meta {
    const char *key;
    const char *value;
};

struct profile {
    struct profile_module *modules;
    struct profile_location *locations;
    struct profile_site *sites;
    struct profile_series *series;
    struct profile_meta *meta;
    const char **stats; /* the allocator's statistics, a JSON text each */
    size_t module_count, location_count, site_count, series_count, meta_count, stats_count;
    size_t module_room, location_room, site_room, series_room, meta_room, stats_room;
    bool incomplete;    /* a file was damaged: what is here is true, but not all. META says so, too,
                        * for whoever reads what was written of it. */
    uint32_t *lookup;   /* location_add(): open addressing, index + 1 */
    size_t lookup_size; /* a power of two, or 0 */
    struct tool_pool pool;
};

void profile_free(struct profile *p);

/* Each returns the index, or a zeroed element to fill; texts must come from p->pool. */
struct profile_module *profile_add_module(struct profile *p);
uint32_t profile_add_location(struct profile *p, uint32_t module, uint64_t offset);
struct profile_site *profile_add_site(struct profile *p, uint32_t frame_count);
struct profile_series *profile_add_series(struct profile *p, uint32_t count);
void profile_add_stats(struct profile *p, const char *text);
/* The value replaces an earlier one. */
void profile_set_meta(struct profile *p, const char *key, const char *value);

/* One of what is the same, and all of it sorted. */
void profile_finish(struct profile *p);

/* Adds from to into; both finished before, into finished after. */
void profile_merge(struct profile *into, const struct profile *from);

/* Sites whose frames are the same by a map from locations to locations become one. */
void profile_map_locations(struct profile *p, const uint32_t *map);

/* NULL when the key is not there. */
const char *profile_meta(const struct profile *p, const char *key);
/* 0 when it is not there or no number. */
uint64_t profile_meta_number(const struct profile *p, const char *key);

struct profile_figures profile_total(const struct profile *p);
void profile_figures_add(struct profile_figures *sum, const struct profile_figures *more);

/* Figures and histograms; the frames stay. */
void profile_site_add(struct profile_site *into, const struct profile_site *from);

/* A histogram of a site, and how many buckets it has. */
int64_t *profile_histogram(struct profile_site *site, enum profile_histogram which);
size_t profile_histogram_size(enum profile_histogram which);

/* The last part of a path. */
const char *profile_base_name(const char *path);
/* The build-id in hexadecimal, into a buffer of 2 * PROFILE_BUILD_ID_MAX + 1 bytes. */
const char *profile_build_id(const struct profile_module *m, char *hex);

/* ---- Files ----------------------------------------------------------------------------------- */

struct profile_problem {
    uint64_t offset; /* in the file */
    char text[256];  /* what is wrong, and what to do */
};

enum {
    PROFILE_ANY_CHECKSUM = 1, /* for fuzzing, which would never get past them */
};

/*
 * Reads the bytes of a file into an empty profile and finishes it. False: there is a problem. Then
 * the profile has what whole sections before it said, nothing else, and is incomplete.
 */
bool profile_parse(struct profile *p, const unsigned char *bytes, size_t length, unsigned flags,
                   struct profile_problem *problem);

/* The whole of a file ("-": standard input), read: one that shrinks while it is mapped would end
 * us. To be freed; dies where it cannot be read. */
unsigned char *profile_bytes(const char *path, size_t *length);
/* Reads a file ("-": standard input), with a complaint on standard error when there is a problem.
 * TOOL_OK, or TOOL_INPUT with what is still good in p. Dies when nothing is. */
int profile_read(struct profile *p, const char *path);
/* The same of bytes that came from `path`. */
int profile_take(struct profile *p, const char *path, const unsigned char *bytes, size_t length);

/* Writes a finished profile. Dies when it cannot. */
void profile_write(const struct profile *p, const char *path);
/* The same into memory of malloc. */
unsigned char *profile_encode(const struct profile *p, size_t *length);

#endif
