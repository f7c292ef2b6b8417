/* SPDX-License-Identifier: MIT */
/* See flame.h. */
#include "tool/flame.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A rank is the number of a function among all, sorted by name, so that stacks sort as numbers. */
enum { NO_STACK_RANK = 0, FIRST_RANK = 1 };

struct stack {
    const uint32_t *ranks; /* outermost first */
    uint32_t length;
    uint32_t number; /* of its values */
};

struct walk {
    const struct flame_plan *plan;
    uint32_t *locations; /* of each frame of the symbols */
    uint32_t *ranks;     /* of the same */
    uint32_t *frames;    /* of each rank, one of its frames */
    uint32_t *room;      /* the ranks of all stacks */
    struct stack *stacks;
    size_t stack_count;
    int64_t *values; /* of each site with a stack here, FLAME_VALUES each */
    int64_t least[FLAME_VALUES];
    size_t small;
};

/* ---- Ranks ----------------------------------------------------------------------------------- */

static int
compare_frames(const void *a, const void *b, void *walk)
{
    const struct walk *w = walk;
    const struct report *r = w->plan->report;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct profile_location *lx = &r->profile->locations[w->locations[x]];
    const struct profile_location *ly = &r->profile->locations[w->locations[y]];
    const char *nx = r->symbols.frames[x].function, *ny = r->symbols.frames[y].function;
    int order = strcmp(nx != NULL ? nx : "", ny != NULL ? ny : "");

    if (order == 0) {
        order = (lx->module > ly->module) - (lx->module < ly->module);
    }
    if (order == 0 && nx == NULL && ny == NULL) {
        order = (lx->offset > ly->offset) - (lx->offset < ly->offset);
    }
    return order;
}

static void
rank_frames(struct walk *w)
{
    const struct report *r = w->plan->report;
    size_t count = r->symbols.frame_count;
    uint32_t *sorted = tool_alloc(count * sizeof *sorted);
    uint32_t rank = FIRST_RANK - 1;

    w->locations = tool_alloc(count * sizeof *w->locations);
    w->ranks = tool_alloc(count * sizeof *w->ranks);
    w->frames = tool_alloc((count + FIRST_RANK) * sizeof *w->frames);
    for (uint32_t i = 0; i < r->profile->location_count; i++) {
        for (uint32_t f = r->symbols.first[i]; f < r->symbols.first[i + 1]; f++) {
            w->locations[f] = i;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = i;
    }
    qsort_r(sorted, count, sizeof *sorted, compare_frames, w);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_frames(&sorted[i - 1], &sorted[i], w) != 0) {
            w->frames[++rank] = sorted[i];
        }
        w->ranks[sorted[i]] = rank;
    }
    free(sorted);
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static size_t
stack_length(const struct report *r, const struct profile_site *site)
{
    size_t length = site->frame_count == 0, count;

    for (uint32_t i = 0; i < site->frame_count; i++) {
        (void)report_frames(r, site->frames[i], &count);
        length += count;
    }
    return length;
}

/* Writes the ranks of a site's stack, the outermost first; returns their end. */
static uint32_t *
put_stack(const struct walk *w, const struct profile_site *site, uint32_t *to)
{
    const uint32_t *first = w->plan->report->symbols.first;

    if (site->frame_count == 0) {
        *to++ = NO_STACK_RANK;
    }
    for (uint32_t i = site->frame_count; i-- > 0;) {
        uint32_t location = site->frames[i];
        for (uint32_t f = first[location + 1]; f-- > first[location];) {
            *to++ = w->ranks[f];
        }
    }
    return to;
}

static int
compare_stacks(const void *a, const void *b)
{
    const struct stack *x = a, *y = b;
    uint32_t shorter = x->length < y->length ? x->length : y->length;

    for (uint32_t i = 0; i < shorter; i++) {
        if (x->ranks[i] != y->ranks[i]) {
            return x->ranks[i] < y->ranks[i] ? -1 : 1;
        }
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

static const struct profile_site *
site_of(const struct flame_plan *plan, uint32_t number)
{
    return &plan->report->profile->sites[plan->sites == NULL ? number : plan->sites[number]];
}

static void
gather_stacks(struct walk *w)
{
    const struct report *r = w->plan->report;
    size_t count = w->plan->sites == NULL ? r->profile->site_count : w->plan->site_count;
    size_t total = 0;
    uint32_t *to;

    for (uint32_t i = 0; i < count; i++) {
        total += stack_length(r, site_of(w->plan, i));
    }
    w->room = to = tool_alloc(total * sizeof *w->room);
    w->stacks = tool_alloc(count * sizeof *w->stacks);
    w->stack_count = count;
    w->values = tool_alloc(count * FLAME_VALUES * sizeof *w->values);
    for (uint32_t i = 0; i < count; i++) {
        const struct profile_site *site = site_of(w->plan, i);
        uint32_t *end = put_stack(w, site, to);
        w->stacks[i] = (struct stack){to, (uint32_t)(end - to), i};
        w->plan->weigh(r, site, &w->values[FLAME_VALUES * (size_t)i]);
        to = end;
    }
    qsort(w->stacks, count, sizeof *w->stacks, compare_stacks);
}

/* ---- The walk -------------------------------------------------------------------------------- */

static void
add_values(int64_t *sum, const int64_t *more)
{
    for (size_t i = 0; i < FLAME_VALUES; i++) {
        if (__builtin_add_overflow(sum[i], more[i], &sum[i])) {
            sum[i] = more[i] < 0 ? INT64_MIN : INT64_MAX;
        }
    }
}

/* The node at this depth that the stacks from here to there go through. */
static struct flame_node
node_of(const struct walk *w, size_t from, size_t to, unsigned depth)
{
    struct flame_node node = {.depth = depth, .sites = to - from};

    for (size_t i = from; i < to; i++) {
        add_values(node.values, &w->values[FLAME_VALUES * (size_t)w->stacks[i].number]);
    }
    if (depth > 0) {
        uint32_t rank = w->stacks[from].ranks[depth - 1];
        node.kind = rank == NO_STACK_RANK ? FLAME_NO_STACK : FLAME_FRAME;
        if (rank != NO_STACK_RANK) {
            uint32_t frame = w->frames[rank];
            node.location = w->locations[frame];
            node.frame = &w->plan->report->symbols.frames[frame];
        }
    }
    return node;
}

static bool
is_small(const struct walk *w, const struct flame_node *node)
{
    for (size_t i = 0; i < w->plan->deciding; i++) {
        if (node->values[i] > w->least[i]) {
            return false;
        }
    }
    return true;
}

static bool
has_value(const struct walk *w, const struct flame_node *node)
{
    for (size_t i = 0; i < w->plan->deciding; i++) {
        if (node->values[i] != 0) {
            return true;
        }
    }
    return false;
}

static void
visit(struct walk *w, const struct flame_node *node, size_t from, size_t to)
{
    struct flame_node small = {.kind = FLAME_SMALL, .depth = node->depth + 1};
    unsigned depth = node->depth;

    w->plan->enter(w->plan->context, node);
    while (from < to && w->stacks[from].length == depth) {
        from++;
    }
    for (size_t i = from, end; i < to; i = end) {
        uint32_t rank = w->stacks[i].ranks[depth];
        for (end = i + 1; end < to && w->stacks[end].ranks[depth] == rank; end++) {
        }
        struct flame_node callee = node_of(w, i, end, depth + 1);
        if (!is_small(w, &callee)) {
            visit(w, &callee, i, end);
        } else if (has_value(w, &callee)) {
            add_values(small.values, callee.values);
            small.sites += callee.sites;
            w->small++;
        }
    }
    if (small.sites > 0) {
        w->plan->enter(w->plan->context, &small);
        if (w->plan->leave != NULL) {
            w->plan->leave(w->plan->context, &small);
        }
    }
    if (w->plan->leave != NULL) {
        w->plan->leave(w->plan->context, node);
    }
}

size_t
flame_walk(const struct flame_plan *plan)
{
    struct walk w = {.plan = plan};
    struct flame_node root;

    rank_frames(&w);
    gather_stacks(&w);
    root = node_of(&w, 0, w.stack_count, 0);
    for (size_t i = 0; i < FLAME_VALUES; i++) {
        w.least[i] = root.values[i] / plan->parts;
    }
    visit(&w, &root, 0, w.stack_count);
    free(w.locations);
    free(w.ranks);
    free(w.frames);
    free(w.room);
    free(w.stacks);
    free(w.values);
    return w.small;
}

/* ---- Names ----------------------------------------------------------------------------------- */

char *
flame_name(const struct report *r, const struct flame_node *node)
{
    static const char *const others[] = {
        [FLAME_ROOT] = "all", [FLAME_NO_STACK] = "(no stack)", [FLAME_SMALL] = "(small ones)"};
    const struct profile_module *m;
    char *name = NULL;
    size_t length;
    FILE *out = open_memstream(&name, &length);

    if (out == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    if (node->kind != FLAME_FRAME) {
        fputs(others[node->kind], out);
    } else if (node->frame->function != NULL) {
        fputs(node->frame->function, out);
    } else {
        m = report_module(r, node->location);
        fprintf(out, "%s%s0x%" PRIx64, m == NULL ? "" : profile_base_name(m->path),
                m == NULL ? "" : "+", r->profile->locations[node->location].offset);
    }
    if (fclose(out) != 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    return name;
}
