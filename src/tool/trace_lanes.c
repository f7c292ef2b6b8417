/* SPDX-License-Identifier: MIT */
/*
 * `tide trace --lanes`: what it would save to put short-lived blocks into spans of their own. The
 * trace is gone through twice: to know which blocks will be short, and to place every small block
 * in several worlds at a time, which differ in how they tell that:
 *
 *   none     no lanes: tidemalloc as it is
 *   caller   from what became of earlier blocks of the same caller and size class
 *   key      and of the same height of the stack (the cheap key)
 *   sampled  the same, learnt from one block in SAMPLE_BLOCKS
 *   known    told; not the best there is: the last blocks of a kind that stays are short, too
 *
 * A block is long when it still lives after `factor` times the live bytes were allocated. All is
 * learnt online (predict/lifetime.h). Large blocks are left out: they are spans of their own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "predict/lifetime.h"
#include "tool/json.h"
#include "tool/lanes.h"
#include "tool/report.h"
#include "tool/trace.h"

enum world { NONE, BY_CALLER, BY_KEY, SAMPLED, KNOWN, WORLDS };
enum { NOBODY = UINT32_MAX, SAMPLE_BLOCKS = 32, LIVE_LEAST = 1 << 20, OS_PAGE_BYTES = 4096 };

static const char *const names[WORLDS] = {"none", "caller", "key", "sampled", "known"};
static const struct lifetime_params lifetimes = {.min_blocks = 16, .sure = 16};

/* A small block that lives, in a list in the order in which they came. */
struct resident {
    uint64_t born; /* the clock */
    uint64_t number;
    uint32_t older, newer;
    uint32_t size, site;
    uint8_t size_class;
    bool is_long;
    bool in_short[WORLDS]; /* put into the short lane */
    struct lanes_place place[WORLDS];
};

struct figures {
    struct lanes_level peak, pause;
    double pinned, resident;       /* pages times ns */
    uint64_t short_bytes;          /* put into the short lane */
    uint64_t short_wrong;          /* of these, bytes that became long */
    uint64_t long_wrong;           /* put into the other lane, and short */
    struct lifetime_key *keys;     /* by site and class; NULL: nothing is learnt */
    uint64_t key_count, key_short; /* that had a block; that are short at the end */
};

struct simulation {
    struct trace t;
    struct trace_blocks blocks;
    uint64_t factor;
    struct lanes_world worlds[WORLDS];
    struct figures figures[WORLDS];
    size_t site_count;
    uint32_t *callers;     /* by site: the first one of the same return address */
    struct resident *live; /* [tag - 1] */
    size_t live_count, live_room;
    uint32_t unused, newest; /* of live; unused ones are linked by `newer` */
    uint32_t next_old;       /* the oldest block that is not long */
    bool *short_ones;        /* by number */
    uint64_t short_count;    /* of those: a trace that is still written has more the second time */
    size_t short_room;
    uint64_t number; /* small blocks so far */
    uint64_t clock;  /* and their bytes */
    uint64_t large_bytes;
    uint64_t live_bytes, peak_bytes;
    uint64_t now_ns, event_ns, tick;
    uint64_t pause_ns, pause_bytes; /* the longest time without a call, and what lived */
    double live_area;               /* bytes times ns */
    bool is_placing;                /* the second time */
};

/* ---- Time ------------------------------------------------------------------------------------ */

static void
wait_until(struct simulation *s, uint64_t ns)
{
    double more = (double)(ns - s->now_ns);

    for (unsigned i = 0; i < WORLDS; i++) {
        s->figures[i].pinned += (double)s->worlds[i].now.pinned * more;
        s->figures[i].resident += (double)s->worlds[i].now.resident * more;
    }
    s->live_area += (double)s->live_bytes * more;
    s->now_ns = ns;
}

static void
note_pause(struct simulation *s, uint64_t ns)
{
    if (ns - s->event_ns <= s->pause_ns) {
        return;
    }
    s->pause_ns = ns - s->event_ns;
    s->pause_bytes = s->live_bytes;
    for (unsigned i = 0; i < WORLDS; i++) {
        s->figures[i].pause = s->worlds[i].now;
    }
}

/* With the keeper's passes meanwhile. */
static void
advance(struct simulation *s, uint64_t ns)
{
    uint64_t until = ns / LANES_TICK_NS, idle = s->event_ns / LANES_TICK_NS + LANES_IDLE_TICKS;

    if (ns <= s->event_ns) {
        return;
    }
    while (s->tick < until && s->tick < idle) {
        s->tick++;
        wait_until(s, s->tick * LANES_TICK_NS);
        for (unsigned i = 0; i < WORLDS; i++) {
            lanes_pass(&s->worlds[i], s->tick);
        }
    }
    s->tick = until;
    wait_until(s, ns);
    note_pause(s, ns);
    s->event_ns = ns;
}

/* ---- Lifetimes ------------------------------------------------------------------------------- */

static struct lifetime_key *
key_of(const struct simulation *s, enum world world, const struct resident *r)
{
    uint32_t site = world == BY_CALLER ? s->callers[r->site] : r->site;

    return &s->figures[world].keys[(size_t)site * TIDE_CLASS_COUNT + r->size_class];
}

/* What became of the block. */
static void
learn(struct simulation *s, const struct resident *r)
{
    for (enum world w = BY_CALLER; w <= SAMPLED; w++) {
        if (w != SAMPLED || r->number % SAMPLE_BLOCKS == 0) {
            lifetime_observe(key_of(s, w, r), &lifetimes, r->is_long);
        }
    }
    for (unsigned i = 0; i < WORLDS; i++) {
        s->figures[i].short_wrong += r->in_short[i] && r->is_long ? r->size : 0;
        s->figures[i].long_wrong += !r->in_short[i] && !r->is_long ? r->size : 0;
    }
}

static bool
is_short(const struct simulation *s, enum world world, const struct resident *r)
{
    switch (world) {
    case NONE:
        return false;
    case KNOWN:
        return r->number < s->short_count && s->short_ones[r->number];
    default:
        return key_of(s, world, r)->is_short;
    }
}

static void
grow_older(struct simulation *s)
{
    uint64_t age = s->factor * max_zu(s->live_bytes, LIVE_LEAST);

    while (s->next_old != NOBODY && s->clock - s->live[s->next_old].born > age) {
        struct resident *r = &s->live[s->next_old];

        s->next_old = r->newer;
        r->is_long = true;
        if (s->is_placing) {
            learn(s, r);
        }
    }
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* TIDE_CLASS_COUNT: none. */
static unsigned
class_for(const struct trace_event *e)
{
    uint64_t size = e->size;

    if (size <= TIDE_SMALL_MAX && e->alignment <= TIDE_SMALL_MAX && is_pow2(e->alignment)) {
        size = align_up(size, e->alignment);
    }
    return size <= TIDE_SMALL_MAX ? size_class_of(size) : TIDE_CLASS_COUNT;
}

static uint32_t
new_resident(struct simulation *s)
{
    uint32_t at = s->unused;

    if (at != NOBODY) {
        s->unused = s->live[at].newer;
        return at;
    }
    if (s->live_count == NOBODY) {
        tool_die(TOOL_INPUT, "more than %u blocks live at once", NOBODY - 1);
    }
    s->live = tool_grow(s->live, s->live_count, &s->live_room, sizeof *s->live);
    return (uint32_t)s->live_count++;
}

static void
take_out(struct simulation *s, uint32_t at)
{
    struct resident *r = &s->live[at];

    if (s->next_old == at) {
        s->next_old = r->newer;
    }
    if (r->older != NOBODY) {
        s->live[r->older].newer = r->newer;
    }
    *(r->newer == NOBODY ? &s->newest : &s->live[r->newer].older) = r->older;
    r->newer = s->unused;
    s->unused = at;
}

static void
begin_block(struct simulation *s, struct trace_block *b, uint32_t thread, unsigned size_class)
{
    uint32_t at = new_resident(s);
    struct resident *r = &s->live[at];

    *r = (struct resident){.born = s->clock,
                           .number = s->number,
                           .older = s->newest,
                           .newer = NOBODY,
                           .size = (uint32_t)b->size,
                           .site = b->site,
                           .size_class = (uint8_t)size_class};
    if (s->newest != NOBODY) {
        s->live[s->newest].newer = at;
    }
    s->newest = at;
    s->next_old = s->next_old == NOBODY ? at : s->next_old;
    b->tag = at + 1;
    if (!s->is_placing) { /* until it dies */
        s->short_ones = tool_grow(s->short_ones, s->number, &s->short_room, sizeof *s->short_ones);
        s->short_ones[s->number] = false;
        s->short_count = s->number + 1;
    }
    for (unsigned i = 0; i < WORLDS && s->is_placing; i++) {
        r->in_short[i] = is_short(s, i, r);
        r->place[i] =
            lanes_take(&s->worlds[i], thread, size_class, r->in_short[i] ? LANE_SHORT : LANE_LONG);
        s->figures[i].short_bytes += r->in_short[i] ? r->size : 0;
    }
    s->number++;
    s->clock += b->size;
    s->live_bytes += b->size;
    grow_older(s);
}

static void
end_block(struct simulation *s, const struct trace_block *b, uint32_t thread)
{
    struct resident *r;

    if (b->address == 0 || b->tag == 0) {
        return;
    }
    r = &s->live[b->tag - 1];
    s->live_bytes -= r->size;
    if (!s->is_placing) {
        s->short_ones[r->number] = !r->is_long;
    } else {
        if (!r->is_long) {
            learn(s, r);
        }
        for (unsigned i = 0; i < WORLDS; i++) {
            lanes_give(&s->worlds[i], thread, r->place[i]);
        }
    }
    take_out(s, b->tag - 1);
}

/* By realloc, in place: its class is the same. */
static void
resize_block(struct simulation *s, const struct trace_block *b)
{
    struct resident *r = &s->live[b->tag - 1];

    s->live_bytes += b->size - r->size;
    r->size = (uint32_t)b->size;
}

static void
note_peaks(struct simulation *s)
{
    s->peak_bytes = max_zu(s->peak_bytes, s->live_bytes);
    for (unsigned i = 0; i < WORLDS; i++) {
        struct lanes_level *peak = &s->figures[i].peak, *now = &s->worlds[i].now;

        peak->pinned = max_zu(peak->pinned, now->pinned);
        peak->resident = max_zu(peak->resident, now->resident);
    }
}

static void
take(struct simulation *s, const struct trace_event *e)
{
    struct trace_change c = trace_blocks_apply(&s->blocks, e);
    unsigned size_class = class_for(e);

    if (s->is_placing) {
        advance(s, e->time_ns);
    }
    end_block(s, &c.lost, e->thread);
    if (c.now == NULL) {
        end_block(s, &c.before, e->thread);
        return;
    }
    if (c.effect == TRACE_RESIZED && c.before.tag != 0 &&
        s->live[c.before.tag - 1].size_class == size_class) {
        resize_block(s, c.now);
    } else {
        c.now->tag = 0;
        if (size_class < TIDE_CLASS_COUNT) {
            begin_block(s, c.now, e->thread, size_class);
        } else {
            s->large_bytes += e->size;
        }
        end_block(s, &c.before, e->thread);
    }
    note_peaks(s);
}

static void
go_through(struct simulation *s)
{
    struct trace_event e;

    s->unused = s->newest = s->next_old = NOBODY;
    s->number = s->clock = s->large_bytes = s->live_bytes = s->live_count = 0;
    trace_blocks_init(&s->blocks, &s->t);
    trace_rewind(&s->t);
    while (trace_next(&s->t, &e)) {
        take(s, &e);
    }
    trace_blocks_free(&s->blocks);
}

/* ---- Callers --------------------------------------------------------------------------------- */

struct by_caller {
    uint64_t caller;
    uint32_t site;
};

static int
compare_callers(const void *a, const void *b)
{
    const struct by_caller *x = a, *y = b;

    return x->caller < y->caller ? -1 : x->caller > y->caller;
}

static void
find_callers(struct simulation *s)
{
    struct by_caller *sorted = tool_alloc(s->site_count * sizeof *sorted);

    s->callers = tool_alloc(s->site_count * sizeof *s->callers);
    for (size_t i = 0; i < s->site_count; i++) {
        sorted[i].caller = i < s->t.site_count ? s->t.sites[i].caller : 0;
        sorted[i].site = (uint32_t)i;
    }
    qsort(sorted, s->site_count, sizeof *sorted, compare_callers);
    for (size_t i = 0, first = 0; i < s->site_count; i++) {
        first = sorted[i].caller == sorted[first].caller ? first : i;
        s->callers[sorted[i].site] = sorted[first].site;
    }
    free(sorted);
}

static void
count_keys(struct simulation *s)
{
    for (enum world w = BY_CALLER; w <= SAMPLED; w++) {
        struct figures *f = &s->figures[w];

        for (size_t i = 0; i < s->site_count * TIDE_CLASS_COUNT; i++) {
            f->key_count += f->keys[i].seen > 0 || f->keys[i].demoted > 0;
            f->key_short += f->keys[i].is_short;
        }
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

static uint64_t
mean(const struct simulation *s, double area)
{
    return s->now_ns == 0 ? 0 : (uint64_t)(area / (double)s->now_ns);
}

static void
put_bytes(FILE *out, uint64_t bytes)
{
    char cell[REPORT_CELL];

    fprintf(out, " %8s", report_cell(cell, (int64_t)bytes, REPORT_BYTES, false));
}

static void
put_world(const struct simulation *s, enum world w, FILE *out)
{
    const struct figures *f = &s->figures[w];

    fprintf(out, "  %-8s", names[w]);
    put_bytes(out, f->peak.resident * OS_PAGE_BYTES);
    put_bytes(out, mean(s, f->resident * OS_PAGE_BYTES));
    put_bytes(out, f->pause.resident * OS_PAGE_BYTES);
    fputs("  ", out);
    put_bytes(out, f->peak.pinned * OS_PAGE_BYTES);
    put_bytes(out, mean(s, f->pinned * OS_PAGE_BYTES));
    put_bytes(out, f->pause.pinned * OS_PAGE_BYTES);
    fputs("  ", out);
    if (w == NONE) {
        fputc('\n', out);
        return;
    }
    put_bytes(out, f->short_bytes);
    put_bytes(out, f->short_wrong);
    put_bytes(out, f->long_wrong);
    if (f->keys != NULL) {
        fprintf(out, " %8" PRIu64 " %8" PRIu64, f->key_count, f->key_short);
    }
    fputc('\n', out);
}

static void
put_text(const struct simulation *s, FILE *out)
{
    char text[64];

    report_put_safe(out, s->t.head.program);
    fprintf(out, ", pid %" PRIu32 ", %s of it\n\n  %" PRIu64 " small blocks,", s->t.head.pid,
            report_duration(text, s->now_ns), s->number);
    put_bytes(out, s->clock);
    fputs("; live at most", out);
    put_bytes(out, s->peak_bytes);
    fputs(", on average", out);
    put_bytes(out, mean(s, s->live_area));
    fprintf(out, ",\n  in the longest pause (%s)", report_duration(text, s->pause_ns));
    put_bytes(out, s->pause_bytes);
    fputs("; large blocks, left out here,", out);
    put_bytes(out, s->large_bytes);
    fprintf(out,
            "\n  long: lives while %" PRIu64 " times the live bytes are allocated\n\n"
            "  %-8s %26s   %26s   %26s %17s\n  %-8s",
            s->factor, "", "resident", "pages with live blocks", "into the short lane", "keys",
            "lanes");
    fputs("     peak     mean    pause       peak     mean    pause  "
          "      all    wrong   missed      all    short\n",
          out);
    for (enum world w = NONE; w < WORLDS; w++) {
        put_world(s, w, out);
    }
}

static void
json_world(const struct simulation *s, enum world w, struct json *j)
{
    const struct figures *f = &s->figures[w];

    json_open(j, NULL, '{');
    json_text(j, "lanes", names[w]);
    json_unsigned(j, "resident_peak_bytes", f->peak.resident * OS_PAGE_BYTES);
    json_unsigned(j, "resident_mean_bytes", mean(s, f->resident * OS_PAGE_BYTES));
    json_unsigned(j, "resident_pause_bytes", f->pause.resident * OS_PAGE_BYTES);
    json_unsigned(j, "pinned_peak_bytes", f->peak.pinned * OS_PAGE_BYTES);
    json_unsigned(j, "pinned_mean_bytes", mean(s, f->pinned * OS_PAGE_BYTES));
    json_unsigned(j, "pinned_pause_bytes", f->pause.pinned * OS_PAGE_BYTES);
    json_unsigned(j, "short_bytes", f->short_bytes);
    json_unsigned(j, "short_wrong_bytes", f->short_wrong);
    json_unsigned(j, "short_missed_bytes", f->long_wrong);
    json_unsigned(j, "keys", f->key_count);
    json_unsigned(j, "short_keys", f->key_short);
    json_close(j, '}');
}

static void
put_json(const struct simulation *s, FILE *out)
{
    struct json j = {.out = out};

    json_open(&j, NULL, '{');
    json_number(&j, "version", 1);
    json_text(&j, "program", s->t.head.program);
    json_unsigned(&j, "pid", s->t.head.pid);
    json_unsigned(&j, "duration_ns", s->now_ns);
    json_unsigned(&j, "factor", s->factor);
    json_unsigned(&j, "small_blocks", s->number);
    json_unsigned(&j, "small_bytes", s->clock);
    json_unsigned(&j, "large_bytes", s->large_bytes);
    json_unsigned(&j, "live_peak_bytes", s->peak_bytes);
    json_unsigned(&j, "live_mean_bytes", mean(s, s->live_area));
    json_unsigned(&j, "live_pause_bytes", s->pause_bytes);
    json_unsigned(&j, "pause_ns", s->pause_ns);
    json_bool(&j, "damaged", s->t.problem.count > 0);
    json_open(&j, "worlds", '[');
    for (enum world w = NONE; w < WORLDS; w++) {
        json_world(s, w, &j);
    }
    json_close(&j, ']');
    json_close(&j, '}');
    fputc('\n', out);
}

static void
free_all(struct simulation *s)
{
    for (unsigned i = 0; i < WORLDS; i++) {
        lanes_free(&s->worlds[i]);
        free(s->figures[i].keys);
    }
    free(s->callers);
    free(s->live);
    free(s->short_ones);
    trace_close(&s->t);
}

int
trace_lanes(const char *path, const char *out_path, bool as_json, uint64_t factor)
{
    struct simulation s = {.factor = factor};
    FILE *out;
    int status;

    trace_read(&s.t, path);
    s.site_count = s.t.site_count + (s.t.site_count == 0);
    find_callers(&s);
    go_through(&s);
    s.is_placing = true;
    for (unsigned i = 0; i < WORLDS; i++) {
        lanes_init(&s.worlds[i], s.t.thread_count);
        if (i != NONE && i != KNOWN) {
            s.figures[i].keys =
                tool_alloc(s.site_count * TIDE_CLASS_COUNT * sizeof *s.figures[i].keys);
        }
    }
    go_through(&s);
    count_keys(&s);
    out = tool_output(out_path);
    if (as_json) {
        put_json(&s, out);
    } else {
        put_text(&s, out);
    }
    tool_output_done(out, out_path);
    status = trace_verdict(&s.t, path);
    free_all(&s);
    return status;
}
