/* SPDX-License-Identifier: MIT */
/*
 * Collapsed stacks, a site a line: the outermost function first, separated by semicolons, then the
 * weight. What flamegraph.pl, speedscope and d3-flame-graph's tools read; a difference has the two
 * weights that difffolded.pl writes.
 */
#include <inttypes.h>

#include "tool/report.h"

static void
put_name(const struct report *r, FILE *out, uint32_t location, const struct symbol_frame *f)
{
    const struct profile_module *m = report_module(r, location);
    const char *name = f->function;

    if (name == NULL && m != NULL) {
        name = profile_base_name(m->path);
    }
    for (; name != NULL && *name != '\0'; name++) {
        /* A semicolon would begin another frame. */
        fputc(*name == ';' ? ':' : (unsigned char)*name < 0x20 ? '?' : *name, out);
    }
    if (f->function == NULL) {
        fprintf(out, "%s0x%" PRIx64, m == NULL ? "" : "+", r->profile->locations[location].offset);
    }
}

static int64_t
whole(const struct report *r, const struct profile_figures *figures)
{
    int64_t value = report_value(figures, r->figure);

    return report_figures[r->figure].unit == REPORT_BLOCKS ? value / 1000 + (value % 1000 >= 500)
                                                           : value;
}

void
report_collapsed(struct report *r, FILE *out)
{
    for (size_t i = 0; i < r->order_count; i++) {
        const struct profile_site *site = &r->profile->sites[r->order[i]];
        int64_t now = whole(r, &site->figures), before = whole(r, &site->before);
        /* What shrinks has no place in a flame graph. */
        now = now < 0 ? 0 : now;
        before = before < 0 ? 0 : before;
        if (now == 0 && before == 0) {
            continue;
        }
        if (site->frame_count == 0) {
            fputs("(no stack)", out);
        }
        for (uint32_t f = site->frame_count; f-- > 0;) {
            size_t count;
            const struct symbol_frame *frames = report_frames(r, site->frames[f], &count);
            while (count-- > 0) {
                put_name(r, out, site->frames[f], &frames[count]);
                fputs(f > 0 || count > 0 ? ";" : "", out);
            }
        }
        if (r->is_diff) {
            fprintf(out, " %" PRId64, before);
        }
        fprintf(out, " %" PRId64 "\n", now);
    }
}
