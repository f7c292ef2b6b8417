/* SPDX-License-Identifier: MIT */
/*
 * The pool: per size class, spans that belong to nobody and have room. Whoever needs a span of the
 * class takes one, cold ones last; frees into a pooled span stay lock-free (remote.c); frees into a
 * cold one set a bit under the class's lock. The lists are in order of their last change, so that
 * the keeper looks at no span that is not to be cooled.
 *
 * Transitions out of and into SPAN_POOLED and SPAN_COLD happen under the class's lock only.
 * Never holds a lock while it releases a span.
 */
#include "base/assert.h"
#include "heap/heap.h"
#include "heap/report.h"

/* Most recently changed first. */
struct pool_list {
    span_t *first; /* lock(pool) */
    span_t *last;  /* lock(pool) */
};

struct pool {
    lock_t lock TIDE_ALIGNED(TIDE_CACHE_LINE);
    uint32_t count;          /* lock; relaxed to read: in all lists */
    uint32_t warm;           /* lock; relaxed to read: of these, in the first two */
    struct pool_list pooled; /* lock */
    struct pool_list stale;  /* lock: SPAN_COLD and SPAN_FLAG_STALE */
    struct pool_list cold;   /* lock: SPAN_COLD, and nothing was freed there since */
};
TIDE_STATIC_ASSERT(sizeof(struct pool) == TIDE_CACHE_LINE, "taken with its lock");

static TIDE_SPARSE struct pool pools[TIDE_CLASS_COUNT];
/* relaxed: a heap took memory from the arena since one was put there. Not in the pools: every
 * process has wanted spans, a small one has none to spare. */
static bool wanted[TIDE_CLASS_COUNT] TIDE_ALIGNED(TIDE_CACHE_LINE);

/* The list that the span is on. */
static struct pool_list *
list_of_locked(struct pool *pool, const span_t *span)
{
    if (remote_state(atomic_load_relaxed(&span->remote)) == SPAN_POOLED) {
        return &pool->pooled;
    }
    return (span->flags & SPAN_FLAG_STALE) != 0 ? &pool->stale : &pool->cold;
}

static void
unlink_locked(struct pool *pool, span_t *span)
{
    struct pool_list *list = list_of_locked(pool, span);

    if (span->previous != NULL) {
        span->previous->next = span->next;
    } else {
        list->first = span->next;
    }
    if (span->next != NULL) {
        span->next->previous = span->previous;
    } else {
        list->last = span->previous;
    }
    span->next = span->previous = NULL;
    atomic_store_relaxed(&pool->count, pool->count - 1);
    atomic_store_relaxed(&pool->warm, pool->warm - (list != &pool->cold));
}

static void
link_first_locked(struct pool *pool, span_t *span)
{
    struct pool_list *list = list_of_locked(pool, span);

    span->pool_epoch = (uint16_t)atomic_load_relaxed(&arena_tick);
    span->previous = NULL;
    span->next = list->first;
    if (list->first != NULL) {
        list->first->previous = span;
    } else {
        list->last = span;
    }
    list->first = span;
    atomic_store_relaxed(&pool->count, pool->count + 1);
    atomic_store_relaxed(&pool->warm, pool->warm + (list != &pool->cold));
}

/* Moves the remote word to `state`, keeping its chain. Release: the owner's fields go with it to
 * whoever claims next; acquire: the chain is ours to see. */
static uint64_t
change_state(span_t *span, enum span_state state)
{
    uint64_t word = atomic_load_relaxed(&span->remote);
    uint64_t next;

    do {
        next = (word & ~(3ull << REMOTE_STATE_SHIFT)) | ((uint64_t)state << REMOTE_STATE_SHIFT);
    } while (!atomic_cas_acq_rel(&span->remote, &word, next));
    return next;
}

static void
release_all_free(heap_t *heap, span_t *span)
{
    /* Acquire: the last writers of the blocks were other threads. */
    (void)atomic_exchange_acquire(&span->remote, 0);
    span_release(heap, span);
}

static void
pool_put(heap_t *heap, span_t *span, uint32_t live)
{
    struct pool *pool = &pools[span->size_class];

    lock_acquire(&pool->lock);
    atomic_store_relaxed(&span->pool_live, live);
    if (remote_count(change_state(span, SPAN_POOLED)) == live) {
        change_state(span, SPAN_OWNED); /* nobody can have taken it: we hold the lock */
        lock_release(&pool->lock);
        release_all_free(heap, span);
        return;
    }
    link_first_locked(pool, span);
    atomic_store_relaxed(&wanted[span->size_class], false);
    lock_release(&pool->lock);
    if (heap != NULL) {
        counter_add(&heap->counters.pooled, 1);
    }
}

void
span_let_go(heap_t *heap, span_t *span, uint32_t live)
{
    uint64_t none = 0;

    tide_assert((span->flags & SPAN_FLAG_ON_LIST) == 0);
    span_set_owner(span, OWNER_NOBODY_KEY + BIN_OFFSET(span->size_class));
    span->left = live;
    span->live_floor = 0;
    if (live == remote_count(atomic_load_relaxed(&span->remote))) {
        release_all_free(heap, span);
        return;
    }
    /* Release pairs with the acquire of the next thread that frees in it. */
    if (live == span->capacity &&
        atomic_cas_release(&span->remote, &none, (uint64_t)SPAN_FULL << REMOTE_STATE_SHIFT)) {
        return;
    }
    pool_put(heap, span, live);
}

static void
take_out_locked(struct pool *pool, span_t *span)
{
    unlink_locked(pool, span);
    change_state(span, SPAN_OWNED);
    span->flags &= (uint8_t)~SPAN_FLAG_STALE;
}

span_t *
pool_take(unsigned size_class)
{
    struct pool *pool = &pools[size_class];
    span_t *span;

    if (atomic_load_relaxed(&pool->count) == 0) {
        return NULL;
    }
    lock_acquire(&pool->lock);
    span = pool->pooled.first != NULL  ? pool->pooled.first
           : pool->stale.first != NULL ? pool->stale.first
                                       : pool->cold.first;
    if (span != NULL) {
        take_out_locked(pool, span);
    }
    lock_release(&pool->lock);
    return span;
}

TIDE_COLD span_t *
pool_take_oldest(unsigned size_class, uint16_t before)
{
    struct pool *pool = &pools[size_class];
    span_t *span;

    if (atomic_load_relaxed(&pool->count) == 0) {
        return NULL;
    }
    lock_acquire(&pool->lock);
    span = pool->pooled.last;
    if (span == NULL || (int16_t)(span->pool_epoch - before) >= 0) {
        span = pool->stale.last;
    }
    if (span != NULL && (int16_t)(span->pool_epoch - before) < 0) {
        take_out_locked(pool, span);
    } else {
        span = NULL;
    }
    lock_release(&pool->lock);
    return span;
}

TIDE_COLD void
pool_put_cold(span_t *span, uint32_t live)
{
    struct pool *pool = &pools[span->size_class];
    uint64_t none = 0;

    lock_acquire(&pool->lock);
    span_set_owner(span, OWNER_NOBODY); /* no bin takes its blocks */
    atomic_store_relaxed(&span->pool_live, live);
    /* Release: the bitmap goes with it. Blocks freed meanwhile: then it is merely pooled. */
    if (atomic_cas_release(&span->remote, &none, (uint64_t)SPAN_COLD << REMOTE_STATE_SHIFT)) {
        link_first_locked(pool, span);
        lock_release(&pool->lock);
        return;
    }
    lock_release(&pool->lock);
    span_let_go(NULL, span, live);
}

void
pool_release_if_free(heap_t *heap, span_t *span, unsigned size_class)
{
    struct pool *pool = &pools[size_class];
    uint64_t word;
    bool is_free;

    lock_acquire(&pool->lock);
    /* The span may be somebody's again, or another span by now: look, under the lock. */
    word = atomic_load_acquire(&span->remote);
    is_free = remote_state(word) == SPAN_POOLED &&
              atomic_load_relaxed(&span->size_class) == size_class &&
              remote_count(word) == atomic_load_relaxed(&span->pool_live);
    if (is_free) {
        take_out_locked(pool, span);
    }
    lock_release(&pool->lock);
    if (is_free) {
        release_all_free(heap, span);
    }
}

/* Sets the bits of a chain of blocks; how many were not set before. */
static uint32_t
mark_free_locked(span_t *span, block_t *head, uint32_t count)
{
    uint32_t marked = 0;

    for (uint32_t n = 0; n < count; n++) {
        size_t i = (size_t)((char *)(void *)head - span->start) / span->block_size;
        uint64_t bit = 1ull << (i % 64);

        marked += (span->bitmap[i / 64] & bit) == 0;
        span->bitmap[i / 64] |= bit;
        if (n + 1 < count) {
            head = head->next; /* a single block is not read here at all */
        }
    }
    span->bitmap_count += marked;
    return marked;
}

TIDE_COLD bool
pool_free_cold(heap_t *heap, span_t *span, block_t *head, uint32_t count)
{
    struct pool *pool = &pools[span->size_class];
    uint32_t marked;
    uint32_t live;

    lock_acquire(&pool->lock);
    if (remote_state(atomic_load_acquire(&span->remote)) != SPAN_COLD) {
        lock_release(&pool->lock);
        return false;
    }
    marked = mark_free_locked(span, head, count);
    if (marked == 0) {
        lock_release(&pool->lock);
        report_pointer("free", REPORT_DOUBLE_FREE, head, span);
        return true;
    }
    live = span->pool_live - marked;
    atomic_store_relaxed(&span->pool_live, live);
    if (live == 0) {
        take_out_locked(pool, span);
    } else {
        unlink_locked(pool, span);
        span->flags |= SPAN_FLAG_STALE;
        link_first_locked(pool, span);
    }
    lock_release(&pool->lock);
    if (live == 0) {
        release_all_free(heap, span);
    } else {
        heap_wake_keeper(); /* no slice moves, so nothing else tells it */
    }
    return true;
}

void
pool_want(unsigned size_class)
{
    if (!atomic_load_relaxed(&wanted[size_class])) {
        atomic_store_relaxed(&wanted[size_class], true);
    }
}

bool
pool_is_wanted(unsigned size_class)
{
    return atomic_load_relaxed(&wanted[size_class]);
}

TIDE_COLD bool
pool_is_warm(void)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        if (atomic_load_relaxed(&pools[c].warm) != 0) {
            return true;
        }
    }
    return false;
}

uint32_t
pool_length(unsigned size_class)
{
    return atomic_load_relaxed(&pools[size_class].count);
}

static void
count_list_locked(const struct pool_list *list, uint64_t *spans, uint64_t *live)
{
    for (const span_t *s = list->first; s != NULL; s = s->next) {
        *spans += 1;
        *live += s->pool_live - remote_count(atomic_load_relaxed(&s->remote));
    }
}

TIDE_COLD void
pool_counts(unsigned size_class, uint64_t *spans, uint64_t *live)
{
    struct pool *pool = &pools[size_class];

    *spans = *live = 0;
    lock_acquire(&pool->lock);
    count_list_locked(&pool->pooled, spans, live);
    count_list_locked(&pool->stale, spans, live);
    count_list_locked(&pool->cold, spans, live);
    lock_release(&pool->lock);
}

void
pool_locks_acquire(void)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        lock_acquire(&pools[c].lock);
    }
}

void
pool_locks_release(bool in_child)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        lock_release_after_fork(&pools[c].lock, in_child);
    }
}
