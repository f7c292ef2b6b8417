/* SPDX-License-Identifier: MIT */
/*
 * The blocks that are there at a moment of a trace, by address. A trace may lack records (what a
 * signal handler did, what a damaged chunk had): a free of nothing is counted and has no effect,
 * and a block that comes where one still is takes its place.
 */
#include <stdlib.h>

#include "tool/trace.h"

enum { FIRST_SIZE = 1 << 12 };

static size_t
home(const struct trace_blocks *b, uint64_t address)
{
    return (size_t)((address >> 3) * 0x9e3779b97f4a7c15u >> 20) & (b->size - 1);
}

/* Where the address is, or the free slot where it would be. */
static size_t
find(const struct trace_blocks *b, uint64_t address)
{
    size_t at = home(b, address);

    while (b->slots[at].address != 0 && b->slots[at].address != address) {
        at = (at + 1) & (b->size - 1);
    }
    return at;
}

static void
grow(struct trace_blocks *b)
{
    struct trace_blocks larger = {.size = b->size * 2};

    larger.slots = tool_alloc(larger.size * sizeof *larger.slots);
    for (size_t i = 0; i < b->size; i++) {
        if (b->slots[i].address != 0) {
            larger.slots[find(&larger, b->slots[i].address)] = b->slots[i];
        }
    }
    free(b->slots);
    b->slots = larger.slots;
    b->size = larger.size;
}

static struct trace_block *
insert(struct trace_blocks *b, const struct trace_block *block, struct trace_block *lost)
{
    size_t at;

    if (b->count + b->count / 2 >= b->size) {
        grow(b);
    }
    at = find(b, block->address);
    if (b->slots[at].address != 0) {
        *lost = b->slots[at];
        b->lost_frees++;
    } else {
        b->count++;
    }
    b->slots[at] = *block;
    return &b->slots[at];
}

/* The block at the address, which is then no longer there; its address is 0 when there is none. */
static struct trace_block
take(struct trace_blocks *b, uint64_t address)
{
    size_t hole = find(b, address), at = hole;
    struct trace_block taken = b->slots[hole];

    if (taken.address == 0) {
        return taken;
    }
    b->count--;
    /* What follows and may be nearer to its home moves up. */
    for (;;) {
        at = (at + 1) & (b->size - 1);
        if (b->slots[at].address == 0) {
            break;
        }
        size_t wanted = home(b, b->slots[at].address);
        if (((at - wanted) & (b->size - 1)) >= ((at - hole) & (b->size - 1))) {
            b->slots[hole] = b->slots[at];
            hole = at;
        }
    }
    b->slots[hole] = (struct trace_block){0};
    return taken;
}

void
trace_blocks_init(struct trace_blocks *b, const struct trace *t)
{
    *b = (struct trace_blocks){.size = FIRST_SIZE};
    b->slots = tool_alloc(b->size * sizeof *b->slots);
    b->pending = tool_alloc(t->thread_count * sizeof *b->pending);
}

void
trace_blocks_free(struct trace_blocks *b)
{
    free(b->slots);
    free(b->pending);
    *b = (struct trace_blocks){0};
}

static void
end_realloc(struct trace_blocks *b, const struct trace_event *e, struct trace_change *c)
{
    struct trace_block block = b->pending[e->thread];

    b->pending[e->thread] = (struct trace_block){0};
    if (e->address == 0 && block.address == 0) {
        return;
    }
    if (e->address == 0 && e->size == 0) {
        c->effect = TRACE_FREED;
        c->before = block;
        return;
    }
    if (e->address == 0) {
        b->failed_reallocs++;
        insert(b, &block, &c->lost);
        return;
    }
    c->effect = block.address == 0 ? TRACE_ALLOCATED : TRACE_RESIZED;
    c->before = block;
    block.address = e->address;
    block.size = e->size;
    block.site = e->site;
    if (c->effect == TRACE_ALLOCATED) {
        block.thread = e->thread;
    }
    c->now = insert(b, &block, &c->lost);
}

struct trace_change
trace_blocks_apply(struct trace_blocks *b, const struct trace_event *e)
{
    struct trace_change c = {TRACE_NOTHING, {0}, NULL, {0}};
    struct trace_block block = {e->address, e->size, e->site, e->thread, 0};

    switch (e->operation) {
    case TRACE_FREE:
    case TRACE_REALLOC_BEGIN:
        block = take(b, e->address);
        b->unknown_frees += block.address == 0;
        if (e->operation == TRACE_REALLOC_BEGIN) {
            b->pending[e->thread] = block;
        } else if (block.address != 0) {
            c.effect = TRACE_FREED;
            c.before = block;
        }
        break;
    case TRACE_REALLOC_END:
        end_realloc(b, e, &c);
        break;
    default:
        if (e->address != 0) {
            c.effect = TRACE_ALLOCATED;
            c.now = insert(b, &block, &c.lost);
        }
    }
    return c;
}
