/* SPDX-License-Identifier: MIT */
/* Spans in a wanted state, made by the functions under test and audited on the way. */
#ifndef TIDE_TESTS_UNIT_SPANS_H
#define TIDE_TESTS_UNIT_SPANS_H

#include "audit.h"

/* A class of which nobody has a span, of about this size or larger. */
static TIDE_UNUSED unsigned
fresh_class(size_t size)
{
    unsigned c = size_class_of(size);

    if (heap_self() == &heap_empty) {
        tide_free(tide_malloc(1));
    }
    (void)keeper_trim(); /* spans that earlier tests left in heaps and pools */
    (void)audit_choose_classes(&c, 1, c);
    return c;
}

/* The same; blocks that other threads free in it go home and are not passed on. */
static TIDE_UNUSED unsigned
fresh_class_at_home(size_t size)
{
    unsigned c = fresh_class(size);

    transfers[c].full = 1; /* until one is taken, which nobody does */
    return c;
}

/* The next span of the class that the calling thread's heap makes is as long as one may be. */
static TIDE_UNUSED void
want_whole_span(unsigned c)
{
    heap_t *heap = heap_attach();

    require(heap != NULL);
    heap->classes[c].spans = HEAP_SPANS_MOST;
}

/* Allocates n blocks of the class; they come from one span as long as it has room. */
static TIDE_UNUSED void
take_blocks(struct held *held, size_t n, unsigned c)
{
    want_whole_span(c);
    for (size_t i = 0; i < n; i++) {
        held_alloc(&held[i], size_classes[c].size, (unsigned char)(i | 1));
    }
}

static TIDE_UNUSED void
free_blocks(struct held *held, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (held[i].p != NULL) {
            held_free(&held[i]);
        }
    }
}

/* A span that nobody owns yet, all its blocks linked; `live` of them are held by the test. */
static TIDE_UNUSED span_t *
make_span(unsigned c, struct held *held, uint32_t live)
{
    block_t *list = list_end();
    uint32_t made = 0;
    span_t *span;

    want_whole_span(c);
    span = span_new_small(heap_self(), c);
    require(span != NULL);
    span_set_owner(span, OWNER_NOBODY);
    while (span_extend(span, &list) > 0) {
        for (block_t *next; !is_list_end(list); list = next) {
            next = list->next;
            if (made < live) {
                list->guard = 0;
                held[made] = (struct held){(unsigned char *)list, span->block_size,
                                           (unsigned char)(made | 1)};
                held_fill(&held[made]);
            } else {
                block_link(list, span->own);
                span->own = list;
            }
            made++;
        }
    }
    require_eq(made, span->capacity);
    require_eq(span_linked(span), span->capacity);
    return span;
}

/* The same, given up: full, pooled or gone, as it should be. */
static TIDE_UNUSED span_t *
make_let_go(unsigned c, struct held *held, uint32_t live)
{
    span_t *span = make_span(c, held, live);

    span_let_go(heap_self(), span, live);
    return span;
}

static TIDE_UNUSED uint32_t
list_length(const block_t *list)
{
    uint32_t n = 0;

    for (; !is_list_end(list); list = list->next) {
        require(block_is_linked(list));
        n++;
    }
    return n;
}

static TIDE_UNUSED uint64_t
pooled_spans(unsigned c)
{
    uint64_t spans;
    uint64_t live;

    pool_counts(c, &spans, &live);
    return spans;
}

static TIDE_UNUSED size_t
span_resident(const span_t *span)
{
    return os_resident_range(span->start, (size_t)span->slice_count << SLICE_SHIFT);
}

/* Its span was released: to the arena, or kept empty by a heap. */
static TIDE_UNUSED bool
is_gone(const void *p)
{
    const span_t *span = space_span_of(p);

    return span != NULL && span != &span_none && span->kind == SPAN_NONE;
}

/* What an actor (unit.h) is to do with blocks that the test holds. */
struct some {
    struct held *held;
    size_t n;
    unsigned c;
};

static TIDE_UNUSED void
take_some(void *arg)
{
    const struct some *some = arg;

    take_blocks(some->held, some->n, some->c);
}

static TIDE_UNUSED void
free_some(void *arg)
{
    const struct some *some = arg;

    free_blocks(some->held, some->n);
}

/* The actor's heap; it has one from now on. */
static TIDE_UNUSED void
note_heap(void *arg)
{
    tide_free(tide_malloc(0));
    *(heap_t **)arg = heap_self();
}

#endif
