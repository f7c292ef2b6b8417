/* SPDX-License-Identifier: MIT */
/* Chains of freed blocks between threads; see transfer.h. */
#include "heap/transfer.h"

#define TRANSFER_BYTES ((size_t)128 << 10) /* a class, for two threads; at least two chains */
#define TRANSFER_SHARES 8u                 /* more threads get no more */

TIDE_SPARSE struct transfer transfers[TIDE_CLASS_COUNT];

/* More threads have more on its way at a time. */
static uint32_t
chains_max(unsigned size_class)
{
    const struct size_class *sc = &size_classes[size_class];
    size_t chain_bytes = (size_t)sc->size * transfer_chain_blocks(size_class);
    size_t threads = atomic_load_relaxed(&heap_live_count);
    size_t bytes = TRANSFER_BYTES * max_zu(min_zu(threads / 2, TRANSFER_SHARES), 1);

    return (uint32_t)max_zu(min_zu(bytes / chain_bytes, TRANSFER_CHAINS), 2);
}

bool
transfer_put(unsigned size_class, block_t *chain)
{
    struct transfer *t = &transfers[size_class];
    bool room;

    lock_acquire(&t->lock);
    room = t->count < chains_max(size_class);
    if (room) {
        t->chains[t->count] = chain;
        atomic_store_relaxed(&t->count, t->count + 1);
        t->tick = atomic_load_relaxed(&arena_tick);
    } else {
        atomic_store_relaxed(&t->full, 1);
    }
    lock_release(&t->lock);
    return room;
}

/* The chain given last, or NULL. lock(t) */
static block_t *
take_locked(struct transfer *t)
{
    if (t->count == 0) {
        return NULL;
    }
    atomic_store_relaxed(&t->count, t->count - 1);
    atomic_store_relaxed(&t->full, 0);
    return t->chains[t->count];
}

block_t *
transfer_take(unsigned size_class)
{
    struct transfer *t = &transfers[size_class];
    block_t *chain;

    lock_acquire(&t->lock);
    chain = take_locked(t);
    if (chain != NULL) {
        t->tick = atomic_load_relaxed(&arena_tick);
    }
    lock_release(&t->lock);
    return chain;
}

static block_t *
take_old(unsigned size_class, uint32_t before_tick)
{
    struct transfer *t = &transfers[size_class];
    block_t *chain = NULL;

    if (transfer_is_empty(size_class)) {
        return NULL;
    }
    lock_acquire(&t->lock);
    if ((int32_t)(t->tick - before_tick) < 0) {
        chain = take_locked(t);
    }
    lock_release(&t->lock);
    return chain;
}

TIDE_COLD bool
transfer_send_home(uint32_t before_tick)
{
    bool left = false;

    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        /* A thread that keeps giving must not keep us here. */
        uint32_t most = atomic_load_relaxed(&transfers[c].count);
        block_t *chain;

        while (most-- > 0 && (chain = take_old(c, before_tick)) != NULL) {
            remote_free_chain(chain);
        }
        left |= !transfer_is_empty(c);
    }
    return left;
}

void
transfer_locks_acquire(void)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        lock_acquire(&transfers[c].lock);
    }
}

void
transfer_locks_release(bool in_child)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        lock_release_after_fork(&transfers[c].lock, in_child);
    }
}
