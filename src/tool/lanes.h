/* SPDX-License-Identifier: MIT */
/*
 * A model of where tidemalloc puts small blocks: spans of its size classes, a bin and a current
 * span for each thread and class, spans with room, the pool; and of what is resident of them: pages
 * appear when blocks are linked, and go a second after the last use when their span is empty, or in
 * the pool and without a live block in the page. In a world with lanes a thread has all of these
 * once for each lane.
 *
 * It has no addresses and no data: a block is a place in a span. It leaves out large blocks, blocks
 * that are on their way between threads, transfer lists, and the end of threads.
 */
#ifndef TIDE_TOOL_LANES_H
#define TIDE_TOOL_LANES_H

#include "size_class.h"
#include "tool/tool.h"

#define LANES_TICK_NS 100000000u /* between two passes of the keeper */
#define LANES_IDLE_TICKS 12u     /* so many after the last change nothing is left to do */

/* What nothing is known of goes with what is long. */
enum lanes_lane { LANE_LONG = 0, LANE_SHORT = 1, LANES = 2 };

struct lanes_span;

struct lanes_place {
    struct lanes_span *span;
    uint32_t index;
};

/* In os pages. */
struct lanes_level {
    uint64_t pinned;   /* hold a live block */
    uint64_t resident; /* have been used, and were not given back */
};

struct lanes_list;

struct lanes_world {
    struct lanes_level now;
    struct lanes_shelf **shelves; /* by thread and class: LANES of them, made when needed */
    size_t shelf_count;
    struct lanes_list *pools; /* by class and lane */
    struct lanes_span *idle[TIDE_CLASS_COUNT];
    struct tool_pool records;
    struct lanes_free *freed; /* a ring of free pages, oldest first */
    size_t freed_first, freed_count, freed_room;
    uint64_t freed_pages;
    uint64_t tick; /* of the last pass */
};

void lanes_init(struct lanes_world *w, size_t threads);
void lanes_free(struct lanes_world *w);
struct lanes_place lanes_take(struct lanes_world *w, uint32_t thread, unsigned size_class,
                              enum lanes_lane lane);
void lanes_give(struct lanes_world *w, uint32_t thread, struct lanes_place place);
/* The keeper's pass at that time; ticks rise. */
void lanes_pass(struct lanes_world *w, uint64_t tick);

#endif
