/* SPDX-License-Identifier: MIT */
/*
 * Whether huge pages are asked for. Who touches one first, or populates some, says what it took;
 * while that is more than their bytes take as ordinary pages (predict/price.h), arena/ is told to
 * spare them. With forecasts and without: a program that grows pays the price of its pages itself.
 */
#ifndef TIDE_KEEPER_HUGE_H
#define TIDE_KEEPER_HUGE_H

#include "types.h"

/* Times they were found dear; relaxed to read. */
extern uint64_t huge_found_dear;

/* So many bytes got pages of that kind in so much time. Any thread; no locks. */
void huge_note(enum chunk_kind kind, size_t bytes, uint64_t took_ns);
/* Are they dear just now? Lets them be asked for again when that was long ago. */
bool huge_is_dear(void);

void huge_fork_child(void);

#endif
