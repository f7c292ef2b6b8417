/* SPDX-License-Identifier: MIT */
/*
 * The stacks of a profile as a tree, the outermost function first: what flame graphs draw. Calls of
 * one function are one frame, wherever in it they are.
 *
 * There is no tree in memory. Stacks are sorted, so that those that begin alike are neighbours, and
 * walked; what nobody could see is not even looked into. 1.6 million frames take 7 MB.
 */
#ifndef TIDE_TOOL_FLAME_H
#define TIDE_TOOL_FLAME_H

#include "tool/report.h"

enum { FLAME_VALUES = 4 };

enum flame_kind {
    FLAME_ROOT,
    FLAME_FRAME,
    FLAME_NO_STACK, /* samples without one; stands under the root */
    FLAME_SMALL, /* the frames under its parent that are too small, as one, and the last of them */
};

struct flame_node {
    enum flame_kind kind;
    uint32_t location;                /* FRAME: one of those it is called at */
    const struct symbol_frame *frame; /* FRAME: the same; function may be NULL */
    unsigned depth;                   /* 0: the root */
    size_t sites;                     /* whose stacks go through it */
    int64_t values[FLAME_VALUES];     /* with those of its callees */
};

struct flame_plan {
    const struct report *report;
    const uint32_t *sites; /* which ones, in any order; NULL: all */
    size_t site_count;
    /* What a site weighs. The first `deciding` values, none below zero, say what is too small: a
     * frame that has no more than one part in `parts` of the root's of each of them. */
    void (*weigh)(const struct report *r, const struct profile_site *site, int64_t *values);
    size_t deciding;
    int64_t parts;
    /* Each frame before its callees, which come in the order of their names, and after them. */
    void (*enter)(void *context, const struct flame_node *node);
    void (*leave)(void *context, const struct flame_node *node); /* may be NULL */
    void *context;
};

/* Returns how many frames were too small, those that were not looked into not counted. */
size_t flame_walk(const struct flame_plan *plan);

/* What a node is called, as it stands in the profile; from malloc. */
char *flame_name(const struct report *r, const struct flame_node *node);

#endif
