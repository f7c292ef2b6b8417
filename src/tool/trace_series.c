/* SPDX-License-Identifier: MIT */
/* `tide trace --series`: live bytes over time, the most of each interval, for forecasters. */
#include <inttypes.h>

#include "tool/json.h"
#include "tool/trace.h"

/* A damaged time must not make a file without end. */
#define ROWS_MAX 10000000u

struct row {
    uint64_t high_bytes, live_bytes, live_blocks, allocated_bytes, freed_bytes, calls;
};

struct series {
    FILE *out;
    struct json json;
    bool as_json;
    uint64_t interval_ns, index;
    struct row row;
};

static void
put_row(struct series *s)
{
    const struct row *r = &s->row;
    uint64_t ms = s->index * (s->interval_ns / 1000000);

    if (s->as_json) {
        json_open_row(&s->json, NULL, '{');
        json_unsigned(&s->json, "time_ms", ms);
        json_unsigned(&s->json, "high_bytes", r->high_bytes);
        json_unsigned(&s->json, "live_bytes", r->live_bytes);
        json_unsigned(&s->json, "live_blocks", r->live_blocks);
        json_unsigned(&s->json, "allocated_bytes", r->allocated_bytes);
        json_unsigned(&s->json, "freed_bytes", r->freed_bytes);
        json_unsigned(&s->json, "calls", r->calls);
        json_close(&s->json, '}');
    } else {
        fprintf(s->out,
                "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                "\n",
                ms, r->high_bytes, r->live_bytes, r->live_blocks, r->allocated_bytes,
                r->freed_bytes, r->calls);
    }
    s->index++;
    s->row = (struct row){
        .high_bytes = r->live_bytes, .live_bytes = r->live_bytes, .live_blocks = r->live_blocks};
}

static void
take(struct series *s, struct trace_blocks *blocks, const struct trace_event *e)
{
    struct trace_change c;
    struct row *r = &s->row;

    if (e->time_ns / s->interval_ns >= ROWS_MAX) {
        tool_die(TOOL_INPUT, "there would be more than %u rows: take a longer interval", ROWS_MAX);
    }
    while (s->index < e->time_ns / s->interval_ns) {
        put_row(s);
    }
    c = trace_blocks_apply(blocks, e);
    r->calls += e->operation != TRACE_REALLOC_BEGIN;
    r->freed_bytes += c.before.size + c.lost.size;
    r->live_bytes -= c.before.size + c.lost.size;
    if (c.now != NULL) {
        r->allocated_bytes += c.now->size;
        r->live_bytes += c.now->size;
    }
    r->live_blocks = blocks->count;
    r->high_bytes = r->live_bytes > r->high_bytes ? r->live_bytes : r->high_bytes;
}

int
trace_series(const char *path, const char *out_path, bool as_json, uint64_t interval_ms)
{
    struct series s = {.as_json = as_json, .interval_ns = interval_ms * 1000000};
    struct trace_blocks blocks;
    struct trace_event e;
    struct trace t;
    int status;

    trace_read(&t, path);
    trace_blocks_init(&blocks, &t);
    s.out = tool_output(out_path);
    s.json.out = s.out;
    if (as_json) {
        json_open(&s.json, NULL, '{');
        json_number(&s.json, "version", 1);
        json_unsigned(&s.json, "interval_ms", interval_ms);
        json_open(&s.json, "rows", '[');
    } else {
        fputs("time_ms,high_bytes,live_bytes,live_blocks,allocated_bytes,freed_bytes,calls\n",
              s.out);
    }
    while (trace_next(&t, &e)) {
        take(&s, &blocks, &e);
    }
    put_row(&s);
    if (as_json) {
        json_close(&s.json, ']');
        json_close(&s.json, '}');
        fputc('\n', s.out);
    }
    tool_output_done(s.out, out_path);
    status = trace_verdict(&t, path);
    trace_blocks_free(&blocks);
    trace_close(&t);
    return status;
}
