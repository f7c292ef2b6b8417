/* SPDX-License-Identifier: MIT */
/* See pool.h. */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A policy -------------------------------------------------------------------------------- */

static uint64_t
lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
pool_need(struct pool *p, uint64_t level)
{
    if (level > p->level) {
        uint64_t more = level - p->level;
        uint64_t used = lesser(more, p->free);

        p->free -= used;
        more -= used;
        used = lesser(more, p->ready);
        p->ready -= used;
        p->counts.faults += more - used;
    } else {
        p->free += p->level - level;
    }
    p->level = level;
}

void
pool_keep(struct pool *p, uint64_t pages)
{
    uint64_t kept = p->free + p->ready;
    uint64_t surplus = kept > pages ? kept - pages : 0;
    uint64_t wasted = lesser(surplus, p->ready);

    p->ready -= wasted;
    p->free -= surplus - wasted;
    p->counts.wasted += wasted;
    p->counts.returned += surplus;
}

void
pool_ready(struct pool *p, uint64_t pages)
{
    p->ready += pages;
    p->counts.readied += pages;
}

void
pool_pass(struct pool *p)
{
    p->counts.kept += p->free + p->ready;
}

double
pool_cost_ns(const struct pool_counts *c, const struct pool_prices *prices)
{
    return (double)c->faults * prices->fault_ns + (double)c->readied * prices->ready_ns +
           (double)c->returned * prices->return_ns + (double)c->kept * prices->keep_ns +
           (double)c->looks * prices->look_ns;
}

/* ---- The oracle ------------------------------------------------------------------------------ */

/* Heights from the one below up to this one, not needed since. */
struct idle {
    uint64_t top;
    uint64_t since;
};

static double
cheaper(double a, double b)
{
    return a < b ? a : b;
}

/* What is idle from `level` up is a stack, lowest heights last: a rise ends the lowest gaps. */
static double
rise(struct idle *stack, size_t *depth, uint64_t from, uint64_t level, uint64_t now,
     const struct pool_prices *prices)
{
    double refill = cheaper(prices->fault_ns, prices->ready_ns);
    double cost = 0;

    while (from<level && * depth> 0) {
        struct idle *lowest = &stack[*depth - 1];
        uint64_t to = lesser(lowest->top, level);
        double kept = (double)(now - lowest->since) * prices->keep_ns;

        cost += (double)(to - from) * cheaper(kept, prices->return_ns + refill);
        from = to;
        *depth -= lowest->top == to;
    }
    return cost + (double)(level - from) * refill; /* never needed before */
}

double
oracle_cost_ns(const uint64_t *levels, size_t count, const struct pool_prices *prices)
{
    struct idle *stack = malloc((count + 1) * sizeof *stack);
    size_t depth = 0;
    uint64_t level = 0;
    double cost = 0;

    if (stack == NULL) {
        fprintf(stderr, "judge: out of memory for a series of %zu milliseconds\n", count);
        exit(1);
    }
    for (size_t now = 0; now < count; now++) {
        if (levels[now] > level) {
            cost += rise(stack, &depth, level, levels[now], now, prices);
        } else if (levels[now] < level) {
            stack[depth++] = (struct idle){.top = level, .since = now};
        }
        level = levels[now];
    }
    while (depth > 0) {
        struct idle *lowest = &stack[--depth];
        double kept = (double)(count - lowest->since) * prices->keep_ns;

        cost += (double)(lowest->top - level) * cheaper(kept, prices->return_ns);
        level = lowest->top;
    }
    free(stack);
    return cost;
}
