/* SPDX-License-Identifier: MIT */
/*
 * A flame graph as one SVG image, without scripts: the outermost functions on top, the width of a
 * frame its part of the figure, the whole name and the figures as a title, which viewers show under
 * the pointer. The same profile gives the same bytes.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tool/flame.h"
#include "tool/texts.h"

enum {
    WIDTH = 1200,
    MARGIN = 12,
    HEAD = 58, /* above the frames */
    ROW = 18,
    CHARACTER = 7,     /* a letter's width, rather too much than too little */
    PARTS = 2 * WIDTH, /* what is narrower than half a pixel is not drawn */
};

struct drawing {
    const struct report *report;
    FILE *out;
    int64_t *next; /* for each depth, the sum of the figure left of the next frame */
    size_t depths, room;
    int64_t total;
};

/* ---- Frames ---------------------------------------------------------------------------------- */

/* The program in the colours of fire, libraries in others of their own, and grey without names. */
static void
put_color(FILE *out, const struct report *r, const struct flame_node *node, const char *name)
{
    uint64_t shade = texts_hash(name) >> 32;
    const struct profile_module *m;
    unsigned hue, lightness = 58 + (unsigned)(shade % 14);

    if (node->kind != FLAME_FRAME || node->frame->function == NULL) {
        fprintf(out, "hsl(220,8%%,%u%%)", lightness + 8);
        return;
    }
    m = report_module(r, node->location);
    if (m == NULL || m->is_main) {
        hue = 18 + (unsigned)(shade / 14 % 30);
    } else {
        hue = 90 + (unsigned)(texts_hash(profile_base_name(m->path)) >> 32) % 220;
    }
    fprintf(out, "hsl(%u,%u%%,%u%%)", hue, hue < 60 ? 88 : 45, lightness);
}

/* The figure in its unit and, where that is shorter than it, as it is. */
static void
put_value(FILE *out, const struct report *r, int64_t value)
{
    enum report_unit unit = report_figures[r->figure].unit;
    char cell[REPORT_CELL];

    fputs(report_cell(cell, value, unit, false), out);
    if (unit == REPORT_BYTES) {
        fprintf(out, " (%" PRId64 " bytes)", value);
    } else {
        fputs(unit == REPORT_BLOCKS ? " blocks" : " samples", out);
    }
}

static void
put_title(const struct drawing *d, const struct flame_node *node, const char *name)
{
    const struct profile_module *m;

    fputs("<title>", d->out);
    texts_put_xml(d->out, name, SIZE_MAX);
    fputs("\n", d->out);
    put_value(d->out, d->report, node->values[0]);
    fprintf(d->out, ", %.2f %%, %zu site%s", 100.0 * (double)node->values[0] / (double)d->total,
            node->sites, node->sites == 1 ? "" : "s");
    if (node->kind == FLAME_FRAME) {
        m = report_module(d->report, node->location);
        fputs("\n", d->out);
        texts_put_xml(d->out, m == NULL ? "(generated code)" : m->path, SIZE_MAX);
    }
    fputs("</title>", d->out);
}

static int64_t
take_place(struct drawing *d, const struct flame_node *node)
{
    int64_t at;

    while (d->depths <= node->depth + 1) {
        d->next = tool_grow(d->next, d->depths, &d->room, sizeof *d->next);
        d->next[d->depths++] = 0;
    }
    at = d->next[node->depth];
    d->next[node->depth] = at > INT64_MAX - node->values[0] ? INT64_MAX : at + node->values[0];
    d->next[node->depth + 1] = at;
    return at;
}

static void
enter(void *context, const struct flame_node *node)
{
    struct drawing *d = context;
    double scale, x, width;
    unsigned y = HEAD + ROW * node->depth;
    char *name;

    if (node->depth == 0) {
        d->total = node->values[0];
    }
    if (node->values[0] <= d->total / PARTS) {
        return;
    }
    scale = (double)(WIDTH - 2 * MARGIN) / (double)d->total;
    x = MARGIN + scale * (double)take_place(d, node);
    width = scale * (double)node->values[0];
    name = flame_name(d->report, node);
    fputs("<g>", d->out);
    put_title(d, node, name);
    fprintf(d->out, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" fill=\"", x, y, width,
            ROW - 1);
    put_color(d->out, d->report, node, name);
    fputs("\"/>", d->out);
    if (width >= 6 * CHARACTER) {
        fprintf(d->out, "<text x=\"%.2f\" y=\"%u\">", x + 4, y + 13);
        texts_put_xml(d->out, name, (size_t)(width - 6) / CHARACTER);
        fputs("</text>", d->out);
    }
    fputs("</g>\n", d->out);
    free(name);
}

/* ---- The image ------------------------------------------------------------------------------- */

/* What shrinks has no place in a flame graph. */
static void
weigh(const struct report *r, const struct profile_site *site, int64_t *values)
{
    int64_t value = report_value(&site->figures, r->figure);

    values[0] = value < 0 ? 0 : value;
}

static void
put_head(const struct drawing *d, FILE *out, size_t rows)
{
    const struct report *r = d->report;
    const char *program = profile_meta(r->profile, "program");
    const char *command = profile_meta(r->profile, "command");
    size_t height = HEAD + ROW * rows + MARGIN;

    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" "
            "height=\"%zu\">\n"
            "<style>\n"
            ".page { fill: #fff } text { font: 12px monospace; fill: #111 } .head { fill: #333 }\n"
            ".name { font: bold 16px sans-serif } .about { font: 12px sans-serif }\n"
            "g rect { stroke: #fff; stroke-width: .4 } g:hover rect { stroke: #000 }\n"
            "@media (prefers-color-scheme: dark) { .page { fill: #16181d } .head { fill: #ddd }\n"
            "g rect { stroke: #16181d } g:hover rect { stroke: #fff } }\n"
            "</style>\n"
            "<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n"
            "<text class=\"head name\" x=\"%d\" y=\"24\">",
            WIDTH, height, WIDTH, height, MARGIN);
    texts_put_xml(out, program == NULL ? "(program unknown)" : profile_base_name(program), 60);
    fprintf(out, "</text>\n<text class=\"head about\" x=\"%d\" y=\"44\">%s: ", MARGIN,
            report_figures[r->figure].name);
    put_value(out, r, d->total);
    fprintf(out, " of %zu sites%s", r->order_count,
            r->profile->incomplete ? "; INCOMPLETE: the file was damaged" : "");
    if (command != NULL && command[0] != '\0') {
        fputs("; ", out);
        texts_put_xml(out, command, 90);
    }
    fputs("</text>\n", out);
}

void
report_svg(struct report *r, FILE *out)
{
    char *body = NULL;
    size_t length = 0;
    struct drawing d = {.report = r, .out = open_memstream(&body, &length)};
    struct flame_plan plan = {.report = r,
                              .sites = r->order,
                              .site_count = r->order_count,
                              .weigh = weigh,
                              .deciding = 1,
                              .parts = PARTS,
                              .enter = enter,
                              .context = &d};

    if (d.out == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    flame_walk(&plan);
    if (fclose(d.out) != 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    put_head(&d, out, d.depths > 0 ? d.depths - 1 : 0);
    if (d.total == 0) {
        fprintf(out, "<text class=\"head about\" x=\"%d\" y=\"%d\">no site has any %s</text>\n",
                MARGIN, HEAD + 12, report_figures[r->figure].name);
    }
    fwrite(body, 1, length, out);
    fputs("</svg>\n", out);
    free(body);
    free(d.next);
}
