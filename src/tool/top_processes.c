/* SPDX-License-Identifier: MIT */
/*
 * The processes on tidemalloc. Those that were seen are remembered by number and start, with their
 * page open; what has none is looked at again now and then, as it may have become another program.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool/process.h"
#include "tool/top.h"

enum { LOOK_AGAIN = 5 /* refreshes */, USER = 12 };

enum { PID, RSS, PSS, LIVE, RETAINED, GROWTH, RATE, COLUMNS };

static const struct top_column columns[COLUMNS] = {
    [PID] = {"pid", "PID", TOP_NUMBER, 7},
    [RSS] = {"rss_bytes", "RSS", TOP_BYTES, 6},
    [PSS] = {"pss_bytes", "PSS", TOP_BYTES, 6},
    [LIVE] = {"live_bytes", "LIVE", TOP_BYTES, 6},
    [RETAINED] = {"retained_bytes", "KEPT", TOP_BYTES, 6},
    [GROWTH] = {"growth_bytes_per_s", "GROW/s", TOP_CHANGE, 7},
    [RATE] = {"allocated_bytes_per_s", "ALLOC/s", TOP_BYTES, 7},
};

/* What is known at one time. */
struct reading {
    uint64_t time_ns; /* 0: nothing */
    uint64_t live, retained, allocated;
    bool has_live, has_retained, has_allocated;
};

struct seen {
    int pid;
    uint64_t start;      /* tells processes of one number apart */
    unsigned look_again; /* refreshes until then, if the page is not open */
    struct target target;
    struct process_memory memory;
    struct reading now, before;
    char user[USER];
    char command[256];
};

struct top_processes {
    struct seen **all; /* ascending by pid */
    size_t count;
};

void
top_processes_init_table(struct top_table *t)
{
    *t = (struct top_table){
        .columns = columns, .column_count = COLUMNS, .text_title = "USER     COMMAND", .sort = RSS};
}

struct top_processes *
top_processes_new(void)
{
    return tool_alloc(sizeof(struct top_processes));
}

static void
forget(struct seen *s)
{
    target_close(&s->target);
    free(s);
}

void
top_processes_free(struct top_processes *p)
{
    for (size_t i = 0; i < p->count; i++) {
        forget(p->all[i]);
    }
    free(p->all);
    free(p);
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void
name_owner(struct seen *s)
{
    unsigned uid = process_uid(s->target.directory);
    struct passwd *owner = getpwuid(uid);

    if (owner != NULL) {
        snprintf(s->user, sizeof s->user, "%s", owner->pw_name);
    } else {
        snprintf(s->user, sizeof s->user, "%u", uid);
    }
}

static bool
is_on_tidemalloc(const struct seen *s)
{
    return s->target.state == TARGET_OPEN || s->target.state == TARGET_PAGELESS ||
           s->target.state == TARGET_BROKEN;
}

static void
read_figures(struct seen *s)
{
    const struct target *t = &s->target;
    struct reading *now = &s->now;
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    s->before = *now;
    *now =
        (struct reading){.time_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec};
    if (t->state == TARGET_OPEN) {
        now->has_live = target_figure(t, "allocated_bytes", &now->live);
        now->has_retained = target_figure(t, "retained_bytes", &now->retained);
        now->has_allocated = target_figure(t, "profile_allocated_bytes", &now->allocated);
    }
}

/* And asks for what the next one needs. */
static void
take_reading(struct seen *s)
{
    if (is_on_tidemalloc(s)) {
        (void)process_memory(s->target.directory, true, &s->memory);
        read_figures(s);
        target_watch(&s->target);
    }
}

static void
open_again(struct seen *s)
{
    target_close(&s->target);
    (void)target_open(&s->target, s->pid);
    s->look_again = LOOK_AGAIN;
    name_owner(s);
    process_command(s->target.directory, s->command, sizeof s->command);
}

static void
look_at(struct seen *s)
{
    if (s->target.state == TARGET_OPEN) {
        (void)target_refresh(&s->target);
    } else if (s->look_again-- == 0) {
        open_again(s);
    }
    take_reading(s);
}

static struct seen *
see(int pid)
{
    struct seen *s = tool_alloc(sizeof *s);

    s->pid = pid;
    s->target.directory = s->target.task = s->target.file = -1;
    s->target.mapping = TARGET_UNMAPPED;
    open_again(s);
    s->start = process_start(s->target.directory);
    take_reading(s);
    return s;
}

void
top_processes_refresh(struct top_processes *p)
{
    struct seen **all;
    size_t count, kept = 0, old = 0;
    int *pids = process_list(&count);

    all = tool_alloc(count * sizeof(struct seen *));
    for (size_t i = 0; i < count; i++) {
        struct seen *s = NULL;

        while (old < p->count && p->all[old]->pid < pids[i]) {
            forget(p->all[old++]);
        }
        if (old < p->count && p->all[old]->pid == pids[i]) {
            s = p->all[old++];
            if (process_start(s->target.directory) != s->start) {
                forget(s);
                s = NULL;
            } else {
                look_at(s);
            }
        }
        all[kept++] = s != NULL ? s : see(pids[i]);
    }
    while (old < p->count) {
        forget(p->all[old++]);
    }
    free(p->all);
    free(pids);
    p->all = all;
    p->count = kept;
}

/* ---- Showing --------------------------------------------------------------------------------- */

/* What the difference is in a second; unknown without two readings. */
static int64_t
rate(const struct seen *s, uint64_t now, uint64_t before, bool known)
{
    double seconds = (double)(s->now.time_ns - s->before.time_ns) / 1e9;

    if (!known || s->before.time_ns == 0 || seconds <= 0) {
        return TOP_UNKNOWN;
    }
    return (int64_t)((double)(int64_t)(now - before) / seconds);
}

/* Without the directory of the program, which would take all the room. */
static const char *
short_command(const char *command)
{
    size_t length = strcspn(command, " ");
    const char *slash = memrchr(command, '/', length);

    return slash == NULL ? command : slash + 1;
}

static void
fill_row(const struct seen *s, struct top_row *row)
{
    const struct reading *now = &s->now, *before = &s->before;

    row->id = (uint64_t)s->pid;
    row->values[PID] = s->pid;
    row->values[RSS] = (int64_t)s->memory.resident;
    row->values[PSS] = s->memory.share != 0 ? (int64_t)s->memory.share : TOP_UNKNOWN;
    row->values[LIVE] = now->has_live ? (int64_t)now->live : TOP_UNKNOWN;
    row->values[RETAINED] = now->has_retained ? (int64_t)now->retained : TOP_UNKNOWN;
    row->values[GROWTH] = rate(s, now->live, before->live, now->has_live && before->has_live);
    row->values[RATE] =
        rate(s, now->allocated, before->allocated, now->has_allocated && before->has_allocated);
    snprintf(row->text, sizeof row->text, "%-8s %s", s->user, short_command(s->command));
}

void
top_processes_fill(const struct top_processes *p, struct top_table *t)
{
    size_t without = 0, forbidden = 0;
    int64_t sums[COLUMNS] = {0};
    char rss[REPORT_CELL], live[REPORT_CELL], kept[REPORT_CELL];

    top_table_clear(t);
    for (size_t i = 0; i < p->count; i++) {
        const struct seen *s = p->all[i];

        forbidden += s->target.state == TARGET_FORBIDDEN;
        if (is_on_tidemalloc(s)) {
            struct top_row *row = top_table_add(t);

            fill_row(s, row);
            row->index = i;
            without += s->target.state != TARGET_OPEN;
            for (size_t c = RSS; c < COLUMNS; c++) {
                sums[c] += row->values[c] == TOP_UNKNOWN ? 0 : row->values[c];
            }
        }
    }
    top_table_head(t, "%zu process%s on tidemalloc: RSS %s, live %s, kept free %s", t->row_count,
                   t->row_count == 1 ? "" : "es", report_cell(rss, sums[RSS], REPORT_BYTES, false),
                   report_cell(live, sums[LIVE], REPORT_BYTES, false),
                   report_cell(kept, sums[RETAINED], REPORT_BYTES, false));
    if (without > 0 || forbidden > 0) {
        top_table_head(t,
                       "%zu of them without a page (small, or page:off); %zu other processes "
                       "may not be looked at",
                       without, forbidden);
    }
}

void
top_processes_json(const struct top_processes *p, const struct top_row *row, struct json *j)
{
    const struct seen *s = p->all[row->index];
    struct page_figure figure;

    json_text(j, "user", s->user);
    json_text(j, "command", s->command);
    if (s->target.state != TARGET_OPEN) {
        json_text(j, "problem", s->target.problem);
        return;
    }
    json_text(j, "library", s->target.head.library);
    json_unsigned(j, "page_time_ns", s->target.head.time_ns);
    json_bool(j, "profiling", (s->target.head.flags & PAGE_PROFILING) != 0);
    json_open(j, "figures", '{');
    for (size_t i = 0; target_figure_at(&s->target, i, &figure) != NULL; i++) {
        json_unsigned(j, figure.name, figure.value);
    }
    json_close(j, '}');
}
