/* SPDX-License-Identifier: MIT */
/*
 * Chains of freed blocks on their way from threads that free a class to threads that allocate it
 * (tcmalloc's word: the transfer cache). A thread that frees many blocks of other threads' spans
 * keeps them in its bin like its own; what the bin has too many of goes here, and the next empty
 * bin of the class takes it: one lock for a bin of blocks, and no look at their spans. A full
 * list says that nobody allocates the class: then blocks go home as ever. What nobody takes for a
 * window is sent home by the keeper.
 */
#ifndef TIDE_HEAP_TRANSFER_H
#define TIDE_HEAP_TRANSFER_H

#include "heap/heap.h"
#include "os/lock.h"

#define TRANSFER_CHAINS 62u

/* A heap keeps other heaps' blocks after a span's worth of frees of such, and this many: a block or
 * two that were handed over go home, or two threads would write to one cache line for as long as
 * they live; and so do those of a span that went to another heap with blocks of this one in it. */
#define FOREIGN_KEEP 32u
TIDE_HOT uint32_t
transfer_keep_after(unsigned size_class)
{
    return (uint32_t)max_zu(FOREIGN_KEEP, size_classes[size_class].capacity);
}

/* It stops when so many refills came from spans and not one chain was given away meanwhile. */
#define FOREIGN_MOST 255u

/* Blocks of a chain: as many as a strict bin takes at first, twice as many if they are small: the
 * use of larger ones costs more than the lock does. (The first chain of a bin is what it held when
 * it was opened.) A heap holds up to two chains of a class. */
#define TRANSFER_SMALL 512u

TIDE_HOT uint32_t
transfer_chain_blocks(unsigned size_class)
{
    const struct size_class *sc = &size_classes[size_class];

    return sc->size <= TRANSFER_SMALL ? 2u * sc->bin_limit : sc->bin_limit;
}

struct transfer {
    lock_t lock;
    uint32_t count; /* lock; relaxed to read: chains */
    uint32_t full;  /* lock; relaxed to read: a chain was refused since one was taken */
    uint32_t tick;  /* lock: keeper tick of the last change */
    block_t *chains[TRANSFER_CHAINS];
} TIDE_ALIGNED(TIDE_CACHE_LINE);

extern TIDE_HIDDEN struct transfer transfers[TIDE_CLASS_COUNT];

TIDE_HOT bool
transfer_is_empty(unsigned size_class)
{
    return atomic_load_relaxed(&transfers[size_class].count) == 0;
}

TIDE_HOT bool
transfer_has_room(unsigned size_class)
{
    return atomic_load_relaxed(&transfers[size_class].full) == 0;
}

/* Gives a chain of blocks of the class, whosever they are. False: there are enough. */
bool transfer_put(unsigned size_class, block_t *chain);
/* The chain given last, or NULL. */
block_t *transfer_take(unsigned size_class);
/* Sends home what nobody has given or taken since the tick; is there something left? */
bool transfer_send_home(uint32_t before_tick);
void transfer_locks_acquire(void);
void transfer_locks_release(bool in_child);

#endif
