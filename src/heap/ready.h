/* SPDX-License-Identifier: MIT */
/*
 * Large blocks made to measure, ahead of who asks for them: a block of 9 os pages has slices for
 * 16, and slices that were populated as such would hold 7 pages that nobody needs. So there is a
 * list for each number of pages, of blocks that hold just these. Who makes them, and how many, is
 * the keeper's affair.
 */
#ifndef TIDE_HEAP_READY_H
#define TIDE_HEAP_READY_H

#include "types.h"

#define READY_PAGES_MAX 64u /* above, what the last slice has too much is little */

extern TIDE_HIDDEN size_t ready_slices; /* atomic(relaxed): of all blocks in the lists */

/* One of so many pages, which read as zero, or NULL. Counts the question while somebody listens
 * (arena_is_watched). */
span_t *ready_take(size_t pages);

/* How often it was asked for blocks of so many pages. */
uint64_t ready_asked(unsigned pages);
uint32_t ready_count(unsigned pages);
/* When fewer than so many are left of them, the keeper is to look (heap_poke_rise). */
void ready_set_low(unsigned pages, uint32_t low);

/* Makes one more; its bytes, 0: no memory, or refused. The keeper's. (slow) */
size_t ready_make(unsigned pages);
/* Gives one back to the arena; its bytes, 0: there is none. */
size_t ready_drop(unsigned pages);

/* Gives all back; bytes. */
size_t ready_drop_all(void);
/* Of all blocks in the lists. */
size_t ready_bytes(void);
/* What of so many slices in use the program asked for, in bytes: neither blocks in the lists, nor
 * the room behind blocks that may grow. */
size_t ready_program_bytes(size_t used_slices);

void ready_lock_acquire(void);
void ready_lock_release(bool in_child);

#endif
