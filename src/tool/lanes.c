/* SPDX-License-Identifier: MIT */
/* Placement of blocks, modelled; see lanes.h. Constants are those of heap/ and keeper/. */
#include <stdlib.h>
#include <string.h>

#include "tool/lanes.h"

enum {
    PAGE = 4096,
    SLICE = 32 << 10,
    SLICE_PAGES = SLICE / PAGE,
    SPAN_PAGES_MAX = 64, /* bits of a mask; the longest span has 7 slices */
    BIN_MOST = 16,
    ROOM_KEEP = 2,
    EXTEND_DIRTY = 16 << 10,
    EXTEND_DIRTY_BLOCKS = 32,
    WINDOW_TICKS = 10,
    SPARE_PAGES = 256,
};

enum state { CURRENT, FULL, ROOM, POOLED };

struct lanes_span {
    struct lanes_span *next, *previous; /* ROOM: its shelf's; POOLED: the pool's; latest first */
    uint64_t resident;                  /* a bit for each page */
    uint64_t changed;                   /* tick */
    uint32_t thread, taken, linked, own_count; /* taken: live, or in a bin */
    uint8_t size_class, state, lane;
    bool was_clean, is_cold;
    bool is_stale;                    /* POOLED: changed since it was cooled */
    uint16_t live_in[SPAN_PAGES_MAX]; /* live blocks by page */
    uint16_t own[];                   /* free blocks; the last goes first */
};

struct lanes_list {
    struct lanes_span *first, *last;
    uint32_t count;
};

struct lanes_shelf {
    struct lanes_place bin[BIN_MOST * 2];
    uint32_t bin_count, bin_room; /* what frees may still put into it */
    struct lanes_span *current;
    struct lanes_list with_room;
};

struct lanes_free {
    uint64_t tick, pages;
};

/* ---- Lists ----------------------------------------------------------------------------------- */

static void
link_first(struct lanes_list *l, struct lanes_span *s)
{
    s->previous = NULL;
    s->next = l->first;
    *(l->first == NULL ? &l->last : &l->first->previous) = s;
    l->first = s;
    l->count++;
}

static void
unlink_span(struct lanes_list *l, struct lanes_span *s)
{
    *(s->previous == NULL ? &l->first : &s->previous->next) = s->next;
    *(s->next == NULL ? &l->last : &s->next->previous) = s->previous;
    l->count--;
}

static struct lanes_shelf *
shelf_of(struct lanes_world *w, uint32_t thread, unsigned c, enum lanes_lane lane)
{
    struct lanes_shelf **shelf = &w->shelves[(size_t)thread * TIDE_CLASS_COUNT + c];

    if (*shelf == NULL) {
        *shelf = tool_alloc(LANES * sizeof **shelf);
    }
    return *shelf + lane;
}

static struct lanes_list *
pool_of(struct lanes_world *w, const struct lanes_span *s)
{
    return &w->pools[s->size_class * LANES + s->lane];
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static uint32_t
first_page(const struct lanes_span *s, uint32_t i)
{
    return i * size_classes[s->size_class].size / PAGE;
}

static uint32_t
last_page(const struct lanes_span *s, uint32_t i)
{
    return ((i + 1) * size_classes[s->size_class].size - 1) / PAGE;
}

static void
touch(struct lanes_world *w, struct lanes_span *s, uint32_t i)
{
    for (uint32_t page = first_page(s, i); page <= last_page(s, i); page++) {
        w->now.resident += (s->resident >> page & 1) == 0;
        s->resident |= 1ull << page;
    }
}

static void
keep_freed(struct lanes_world *w, uint64_t pages)
{
    struct lanes_free *old = w->freed;
    size_t room = w->freed_room;

    if (pages == 0) {
        return;
    }
    w->freed_pages += pages;
    if (w->freed_count > 0) {
        struct lanes_free *last = &old[(w->freed_first + w->freed_count - 1) % room];

        if (last->tick == w->tick) {
            last->pages += pages;
            return;
        }
    }
    if (w->freed_count == room) {
        w->freed_room = room * 2 + 16;
        w->freed = tool_alloc(w->freed_room * sizeof *w->freed);
        for (size_t i = 0; i < room; i++) {
            w->freed[i] = old[(w->freed_first + i) % room];
        }
        w->freed_first = 0;
        free(old);
    }
    w->freed[(w->freed_first + w->freed_count++) % w->freed_room] =
        (struct lanes_free){w->tick, pages};
}

/* Pages that are there, the latest first, up to so many. */
static uint64_t
reuse_freed(struct lanes_world *w, uint64_t most)
{
    uint64_t got = 0;

    while (got < most && w->freed_count > 0) {
        struct lanes_free *last = &w->freed[(w->freed_first + w->freed_count - 1) % w->freed_room];
        uint64_t take = last->pages < most - got ? last->pages : most - got;

        last->pages -= take;
        got += take;
        w->freed_count -= last->pages == 0;
    }
    w->freed_pages -= got;
    return got;
}

/* ---- Spans ----------------------------------------------------------------------------------- */

static struct lanes_span *
span_new(struct lanes_world *w, unsigned c, enum lanes_lane lane)
{
    const struct size_class *sc = &size_classes[c];
    struct lanes_span *s = w->idle[c];
    uint64_t pages = reuse_freed(w, (uint64_t)sc->slices * SLICE_PAGES);

    if (s == NULL) {
        s = tool_pool_alloc(&w->records, sizeof *s + sc->capacity * sizeof s->own[0]);
    } else {
        w->idle[c] = s->next;
    }
    memset(s, 0, sizeof *s);
    s->size_class = (uint8_t)c;
    s->lane = (uint8_t)lane;
    s->was_clean = pages == 0;
    s->resident = (1ull << pages) - 1; /* at most 56 */
    return s;
}

static void
span_release(struct lanes_world *w, struct lanes_span *s)
{
    keep_freed(w, bits_count(s->resident));
    s->next = w->idle[s->size_class];
    w->idle[s->size_class] = s;
}

/* Blocks never used so far; their first words are written to. */
static void
span_extend(struct lanes_world *w, struct lanes_span *s)
{
    const struct size_class *sc = &size_classes[s->size_class];
    size_t count = max_zu(PAGE / sc->size, 1);

    if (!s->was_clean) {
        count = max_zu(count, min_zu(EXTEND_DIRTY / sc->size, EXTEND_DIRTY_BLOCKS));
    }
    count = min_zu(count, sc->capacity - s->linked);
    for (size_t i = count; i-- > 0;) {
        s->own[s->own_count++] = (uint16_t)(s->linked + i);
        touch(w, s, (uint32_t)(s->linked + i));
    }
    s->linked += (uint32_t)count;
}

static int
compare_indices(const void *a, const void *b)
{
    return *(const uint16_t *)b - *(const uint16_t *)a;
}

/* Pages without a live block go back. */
static void
span_cool(struct lanes_world *w, struct lanes_span *s)
{
    for (uint32_t page = 0; page < SPAN_PAGES_MAX; page++) {
        if ((s->resident >> page & 1) != 0 && s->live_in[page] == 0) {
            s->resident &= ~(1ull << page);
            w->now.resident--;
        }
    }
    qsort(s->own, s->own_count, sizeof s->own[0], compare_indices);
    s->is_cold = true;
    s->is_stale = false;
}

static void
let_go(struct lanes_world *w, struct lanes_span *s)
{
    if (s->taken == 0) {
        span_release(w, s);
        return;
    }
    s->state = POOLED;
    s->is_stale = true;
    s->changed = w->tick;
    link_first(pool_of(w, s), s);
}

/* ---- Taking ---------------------------------------------------------------------------------- */

/* From a cold span no more than a page of blocks at a time. */
static bool
refill_from(struct lanes_world *w, struct lanes_shelf *shelf, struct lanes_span *s)
{
    uint32_t page;

    if (s->own_count == 0 && s->linked < size_classes[s->size_class].capacity) {
        s->is_cold = false;
        span_extend(w, s);
    }
    if (s->own_count == 0) {
        return false;
    }
    page = first_page(s, s->own[s->own_count - 1]);
    shelf->bin_count = 0;
    while (s->own_count > 0 && shelf->bin_count < BIN_MOST &&
           !(s->is_cold && first_page(s, s->own[s->own_count - 1]) != page)) {
        uint32_t i = s->own[--s->own_count];

        touch(w, s, i);
        shelf->bin[shelf->bin_count++] = (struct lanes_place){s, i};
    }
    /* The first to be handed out is the last of the array. */
    for (uint32_t i = 0; i < shelf->bin_count / 2; i++) {
        struct lanes_place other = shelf->bin[i];

        shelf->bin[i] = shelf->bin[shelf->bin_count - 1 - i];
        shelf->bin[shelf->bin_count - 1 - i] = other;
    }
    s->taken += shelf->bin_count;
    shelf->bin_room = size_classes[s->size_class].bin_limit;
    return true;
}

static struct lanes_span *
next_span(struct lanes_world *w, struct lanes_shelf *shelf, unsigned c, enum lanes_lane lane)
{
    struct lanes_list *pool = &w->pools[c * LANES + lane];
    struct lanes_span *s = shelf->with_room.first;

    if (s != NULL) {
        unlink_span(&shelf->with_room, s);
    } else if ((s = pool->first) != NULL) {
        unlink_span(pool, s);
    } else {
        s = span_new(w, c, lane);
    }
    return s;
}

static void
refill(struct lanes_world *w, struct lanes_shelf *shelf, uint32_t thread, unsigned c,
       enum lanes_lane lane)
{
    while (shelf->current == NULL || !refill_from(w, shelf, shelf->current)) {
        if (shelf->current != NULL) {
            shelf->current->state = FULL;
        }
        shelf->current = next_span(w, shelf, c, lane);
        shelf->current->state = CURRENT;
        shelf->current->thread = thread;
    }
}

struct lanes_place
lanes_take(struct lanes_world *w, uint32_t thread, unsigned c, enum lanes_lane lane)
{
    struct lanes_shelf *shelf = shelf_of(w, thread, c, lane);
    struct lanes_place place;

    if (shelf->bin_count == 0) {
        refill(w, shelf, thread, c, lane);
    }
    place = shelf->bin[--shelf->bin_count];
    shelf->bin_room++;
    for (uint32_t page = first_page(place.span, place.index);
         page <= last_page(place.span, place.index); page++) {
        w->now.pinned += place.span->live_in[page]++ == 0;
    }
    return place;
}

/* ---- Giving ---------------------------------------------------------------------------------- */

static bool
is_nearly_free(const struct lanes_span *s)
{
    return s->taken <= size_classes[s->size_class].keep_live;
}

/* A full span has room again: it is the freeing thread's. */
static void
claim(struct lanes_world *w, struct lanes_shelf *shelf, uint32_t thread, struct lanes_span *s)
{
    struct lanes_list *with_room = &shelf->with_room;
    struct lanes_span *latest = with_room->first, *oldest = with_room->last;

    if (with_room->count > ROOM_KEEP && is_nearly_free(latest)) {
        unlink_span(with_room, latest);
        let_go(w, latest);
    } else if (with_room->count > 2 * ROOM_KEEP && shelf->current == NULL) {
        unlink_span(with_room, oldest);
        let_go(w, oldest);
    }
    s->state = ROOM;
    s->thread = thread;
    link_first(with_room, s);
}

static void
give_to_span(struct lanes_world *w, struct lanes_shelf *shelf, uint32_t thread,
             struct lanes_place place)
{
    struct lanes_span *s = place.span;

    if (s->state == FULL) {
        claim(w, shelf, thread, s);
    }
    s->own[s->own_count++] = (uint16_t)place.index;
    s->taken--;
    s->is_stale = true;
    s->changed = w->tick;
    if (s->state == ROOM) {
        struct lanes_list *with_room = &shelf_of(w, s->thread, s->size_class, s->lane)->with_room;

        if (s->taken == 0 ||
            (is_nearly_free(s) && with_room->count > ROOM_KEEP && with_room->first != s)) {
            unlink_span(with_room, s);
            let_go(w, s);
        }
    } else if (s->state == POOLED && s->taken == 0) {
        unlink_span(pool_of(w, s), s);
        span_release(w, s);
    }
}

void
lanes_give(struct lanes_world *w, uint32_t thread, struct lanes_place place)
{
    struct lanes_span *s = place.span;
    struct lanes_shelf *shelf = shelf_of(w, thread, s->size_class, s->lane);

    for (uint32_t page = first_page(s, place.index); page <= last_page(s, place.index); page++) {
        w->now.pinned -= --s->live_in[page] == 0;
    }
    if (s->thread == thread && (s->state == CURRENT || s->state == FULL) && shelf->bin_room > 0 &&
        shelf->bin_count < TIDE_ARRAY_LEN(shelf->bin)) {
        shelf->bin[shelf->bin_count++] = place;
        shelf->bin_room--;
        return;
    }
    give_to_span(w, shelf, thread, place);
}

/* ---- The keeper ------------------------------------------------------------------------------ */

void
lanes_pass(struct lanes_world *w, uint64_t tick)
{
    w->tick = tick;
    for (size_t i = 0; i < (size_t)TIDE_CLASS_COUNT * LANES; i++) {
        for (struct lanes_span *s = w->pools[i].first; s != NULL; s = s->next) {
            if (s->is_stale && s->changed + WINDOW_TICKS <= tick) {
                span_cool(w, s);
            }
        }
    }
    while (w->freed_count > 0 && w->freed_pages > SPARE_PAGES &&
           w->freed[w->freed_first].tick + WINDOW_TICKS <= tick) {
        struct lanes_free *first = &w->freed[w->freed_first];
        uint64_t excess = w->freed_pages - SPARE_PAGES;
        uint64_t pages = first->pages < excess ? first->pages : excess;

        first->pages -= pages;
        w->freed_pages -= pages;
        w->now.resident -= pages;
        if (first->pages == 0) {
            w->freed_first = (w->freed_first + 1) % w->freed_room;
            w->freed_count--;
        }
    }
}

/* ---- Worlds ---------------------------------------------------------------------------------- */

void
lanes_init(struct lanes_world *w, size_t threads)
{
    *w = (struct lanes_world){.shelf_count = threads * TIDE_CLASS_COUNT};
    w->shelves = tool_alloc(w->shelf_count * sizeof *w->shelves);
    w->pools = tool_alloc((size_t)TIDE_CLASS_COUNT * LANES * sizeof *w->pools);
}

void
lanes_free(struct lanes_world *w)
{
    for (size_t i = 0; i < w->shelf_count; i++) {
        free(w->shelves[i]);
    }
    free(w->shelves);
    free(w->pools);
    tool_pool_free(&w->records);
    free(w->freed);
}
