/* SPDX-License-Identifier: MIT */
/*
 * What the program itself says of its future: memory that it will need soon (expected: populated
 * ahead like that of a forecast, and given up when the time has passed), and memory that is never
 * to be taken from it (guaranteed: populated at once, and never given back).
 */
#ifndef TIDE_KEEPER_PROMISE_H
#define TIDE_KEEPER_PROMISE_H

#include "base/compiler.h"

/* So many bytes more than are in use now, within so long; of two expectations the one that reaches
 * higher counts while it lasts. MT-Safe. */
void promise_expect(uint64_t now_ns, uint64_t bytes, uint64_t within_ns);
/* Bytes of it that the level has not reached. */
uint64_t promise_expected(uint64_t now_ns, uint64_t level);

/* The process is to have that much with pages, in use or free; 0: no more. Populates what is
 * missing: 0, or ENOMEM, and what was guaranteed before is again. Without locks. (slow) */
int promise_guarantee(size_t bytes);
size_t promise_guaranteed_bytes(void);
/* Of so many bytes of free memory, how many may be given back. (slow while there is a guarantee) */
size_t promise_leaves(size_t bytes);

void promise_prefork(void);
void promise_postfork(bool in_child);

#endif
