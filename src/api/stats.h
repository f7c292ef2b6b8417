/* SPDX-License-Identifier: MIT */
/*
 * api/stats.h - the figures, and the forms in which they are shown.
 *
 * Owns: struct tide_stats, generated from stats.def; its JSON and plain-text forms; the report at
 * exit. Refuses to know: how a figure comes about. stats_collect(), defined by the layer that has
 * the spans, fills the struct.
 *
 * The struct is a snapshot: figures are read one after another while other threads go on, so sums
 * may be off by what happened meanwhile. It belongs to the caller, on whose stack it fits.
 *
 * Nothing here allocates or uses stdio.
 */
#ifndef TIDE_API_STATS_H
#define TIDE_API_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fmt.h"
#include "size_class.h"

/* Lifetime lanes: one, until lifetimes are predicted. */
#define TIDE_LANE_COUNT 1

struct tide_class_stats {
#define TIDE_CLASS_STAT(name, brief) uint64_t name;
#include "api/stats.def"
};

struct tide_lane_stats {
#define TIDE_LANE_STAT(name, brief) uint64_t name;
#include "api/stats.def"
};

struct tide_stats {
#define TIDE_STAT(name, kind, unit, brief) uint64_t name;
#include "api/stats.def"
    struct tide_class_stats classes[TIDE_CLASS_COUNT];
    struct tide_lane_stats lanes[TIDE_LANE_COUNT];
};

TIDE_STATIC_ASSERT(sizeof(struct tide_stats) <= 8192, "a snapshot must fit on a caller's stack");

/*
 * Fills every figure of the zeroed *out that stats_take() does not. Defined above the heap, by
 * whoever can walk it. May take locks; must not allocate.
 *
 *   COUNTERS  those that somebody counts: microseconds. The others, STATS_OF_SPANS, stay 0.
 *   SPANS     a look at each span as well
 *   ALL       and at each os page, by the kernel: resident_*bytes
 */
enum stats_depth { STATS_COUNTERS, STATS_SPANS, STATS_ALL };
void stats_collect(struct tide_stats *out, enum stats_depth depth);

/* A complete snapshot: stats_collect(), and the figures of the process as a whole
 * (process_rss_bytes, page_faults_*). Preserves errno. */
void stats_take(struct tide_stats *out);

/* Figures with their names, at most max: all but resident_*bytes and process_rss_bytes, or only the
 * counters. How many there are. */
struct page_figure;
size_t stats_take_page(struct page_figure *out, size_t max, bool spans);

/* The figure of that name, or NULL. */
const uint64_t *stats_find(const struct tide_stats *stats, const char *name, size_t name_len);

/* One JSON object and a line end; figures, features, options, classes and lanes. */
void stats_write_json(const struct tide_stats *stats, fmt_t *out);

/* One JSON object {"feature":bool,...}. */
void stats_write_features_json(fmt_t *out);

/* A page of text for people. */
void stats_write_text(const struct tide_stats *stats, fmt_t *out);

/* For stats:stderr: keeps a copy of standard error, which many programs (the coreutils) close
 * before the report at exit. Called once, after options_init(). */
void stats_at_start(void);

/* Writes the JSON where the option `stats` says, if it says anything; one line on standard error
 * when that fails. Called once, when the process exits. */
void stats_at_exit(void);

#endif
