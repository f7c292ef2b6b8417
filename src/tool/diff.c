/* SPDX-License-Identifier: MIT */
/*
 * `tide diff`: what changed from one profile to the next, site by site.
 *
 * Both are merged into one profile whose sites keep the older figures apart. Two stacks are the
 * same when their places are: the same offsets in the same builds. Between two builds of a program
 * no offset means anything, so then functions are compared, with what is inlined into them, by name
 * and by the name of the file they are in.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tool/report.h"

/* The two have other main programs, or the same one of another build. */
static bool
builds_differ(const struct profile *a, const struct profile *b)
{
    const struct profile_module *x = a->modules, *y = b->modules;

    return a->module_count > 0 && b->module_count > 0 &&
           (x->build_id_length != y->build_id_length ||
            memcmp(x->build_id, y->build_id, x->build_id_length) != 0);
}

static int
compare_names(const char *a, const char *b)
{
    return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

/* Orders locations by what is shown of them; those without a name are only like themselves. */
static int
compare_functions(const void *a, const void *b, void *report)
{
    const struct report *r = report;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const struct profile_module *mx = report_module(r, x), *my = report_module(r, y);
    size_t nx, ny;
    const struct symbol_frame *fx = report_frames(r, x, &nx), *fy = report_frames(r, y, &ny);
    int order = compare_names(mx == NULL ? NULL : profile_base_name(mx->path),
                              my == NULL ? NULL : profile_base_name(my->path));

    if (order != 0 || nx != ny) {
        return order != 0 ? order : nx < ny ? -1 : 1;
    }
    for (size_t i = 0; i < nx && order == 0; i++) {
        order = compare_names(fx[i].function, fy[i].function);
    }
    if (order == 0 && fx[0].function == NULL) {
        order = (x > y) - (x < y);
    }
    return order;
}

static void
match_by_function(struct report *r)
{
    size_t count = r->profile->location_count;
    uint32_t *order = tool_alloc(count * sizeof *order), *map = tool_alloc(count * sizeof *map);

    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    qsort_r(order, count, sizeof *order, compare_functions, r);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && compare_functions(&order[i - 1], &order[i], r) == 0;
        map[order[i]] = same ? map[order[i - 1]] : order[i];
    }
    profile_map_locations(r->profile, map);
    free(order);
    free(map);
}

static bool
by_function(const struct profile *older, const struct profile *newer)
{
    if (report_match == NULL) {
        return builds_differ(older, newer);
    }
    if (strcmp(report_match, "offset") != 0 && strcmp(report_match, "function") != 0) {
        tool_misused("--match takes offset or function, not '%s'", report_match);
    }
    return strcmp(report_match, "function") == 0;
}

/* Sites of both, with the older figures apart. All else stays as the newer profile has it. */
static void
add_older(struct profile *newer, struct profile *older)
{
    size_t meta_count = newer->meta_count;
    struct profile_meta *meta = tool_alloc(meta_count * sizeof *meta);

    memcpy(meta, newer->meta, meta_count * sizeof *meta);
    for (size_t i = 0; i < older->site_count; i++) {
        older->sites[i].before = older->sites[i].figures;
        older->sites[i].figures = (struct profile_figures){0};
    }
    older->series_count = 0;
    older->stats_count = 0;
    profile_merge(newer, older);
    free(newer->meta);
    newer->meta = meta;
    newer->meta_count = newer->meta_room = meta_count;
}

static int
run(int argc, char **argv)
{
    struct report_options o;
    struct profile older, newer;
    struct report r = {.profile = &newer, .before = &older, .is_diff = true};
    int status;
    bool functions;

    if (!report_parse_options(&o, argc, argv, true)) {
        printf("%s%s", tool_now->help, report_options_help);
        return TOOL_OK;
    }
    if (optind + 2 != argc) {
        tool_misused("two files are needed, the older one first");
    }
    status = profile_read(&older, argv[optind]);
    status |= profile_read(&newer, argv[optind + 1]);
    functions = by_function(&older, &newer);
    add_older(&newer, &older);
    symbols_resolve(&r.symbols, &newer, &o.symbols);
    report_apply_options(&r, &o);
    if (functions) {
        match_by_function(&r);
    }
    status |= report_write(&r, o.format, o.out);
    symbols_free(&r.symbols);
    profile_free(&older);
    profile_free(&newer);
    return status;
}

const struct tool_command tool_diff = {
    "diff",
    "what changed between two profiles",
    "Usage: tide diff [OPTION]... OLDER NEWER\n"
    "\n"
    "Shows, for each call site, what NEWER has and how much more that is than in OLDER.\n"
    "\n"
    "      --match=HOW           two stacks are the same when their offsets are (offset: the\n"
    "                        default for one build), or their functions (function)\n"
    "  -f, --format=FORMAT   text, json or collapsed\n",
    run,
};
