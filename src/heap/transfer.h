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
 * they live; and so do those of a span that went to another heap with blocks of this one in it.
 * Where threads have nothing to do with each other the last is all there is, for ever: so each
 * block that the heap allocates meanwhile takes back an eighth of one (a live set of each of two
 * threads: one free in 140 is of a block of the other's span; batches for another thread: one in
 * four). */
#define FOREIGN_KEEP 32u
#define FOREIGN_WEIGHT 8u
TIDE_HOT uint32_t
transfer_keep_after(unsigned size_class)
{
    return (uint32_t)max_zu(FOREIGN_KEEP, size_classes[size_class].capacity);
}

/* heap_class.foreign of a strict bin: eighths of blocks of others, freed beyond those taken from
 * the heap's own spans, of which there were so many now. */
TIDE_HOT void
transfer_count_own(heap_class_t *hc, uint32_t blocks)
{
    hc->foreign = hc->foreign > blocks ? (uint16_t)(hc->foreign - blocks) : 0;
}

/* Of an open one: how many refills may come from spans without a chain given away meanwhile; and by
 * how many it gave more than it took, in the high byte. Who takes as many as it gives may do as
 * well with blocks of its own: at one chain in so many the bin is strict again, to find out. */
#define FOREIGN_MOST 255u
#define FOREIGN_GIVEN 256u
#define FOREIGN_GIVES_ONLY (32u * FOREIGN_GIVEN)
#define FOREIGN_AGAIN 1024u

TIDE_HOT void
transfer_count_taken(heap_class_t *hc)
{
    if (hc->foreign >= FOREIGN_GIVEN) {
        hc->foreign = (uint16_t)(hc->foreign - FOREIGN_GIVEN);
    }
}

TIDE_HOT void
transfer_count_given(heap_class_t *hc)
{
    uint32_t given = hc->foreign & ~FOREIGN_MOST;

    given += given < FOREIGN_GIVES_ONLY ? FOREIGN_GIVEN : 0;
    hc->foreign = (uint16_t)(given | FOREIGN_MOST);
}

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
