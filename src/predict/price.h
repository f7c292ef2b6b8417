/* SPDX-License-Identifier: MIT */
/*
 * Are huge pages worth asking for just now? A huge page is populated in a third of the time that
 * its bytes take as ordinary pages, unless the kernel has to make room for it first (compaction),
 * or a virtual machine's host took back what lay free in one piece: then in ten times as long.
 * What populating takes is the only sign of it.
 *
 * Estimator: the mean time a byte of the last calls for ordinary pages (EWMA, 1/4), and
 * PRICE_SMALL_NS until there were PRICE_MIN_CALLS of them. Huge pages are dear when PRICE_MIN_CALLS
 * of theirs in a row took PRICE_DEAR times as long, for PRICE_MEMORY_NS; then one call more says
 * whether they still are, and if so for twice as long, up to PRICE_MEMORY_MAX_NS. Wrong for as long
 * after the machine changed. Memory: one struct; cost O(1). Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_PRICE_H
#define TIDE_PREDICT_PRICE_H

#include "base/compiler.h"

#define PRICE_DEAR 2.0
#define PRICE_MIN_CALLS 2u
#define PRICE_SMALL_NS 0.25 /* a byte: 1 us for 4 KiB, which is slow already */
#define PRICE_MEMORY_NS ((uint64_t)5000000000)
#define PRICE_MEMORY_MAX_NS (64 * PRICE_MEMORY_NS) /* 320 s */

struct price {
    double small_ns;      /* a byte */
    uint32_t small_calls; /* so far; it stops at PRICE_MIN_CALLS */
    uint32_t dear_calls;  /* in a row */
    uint64_t memory_ns;   /* for so long they were dear last; 0: they are not */
    uint64_t until_ns;    /* huge pages are dear until then; 0: they are not, or are to be tried */
};

/* So many bytes, more than 0, of one kind came in so much time. */
void price_note(struct price *price, bool huge, uint64_t now_ns, uint64_t bytes, uint64_t took_ns);
/* Is it better to do without huge pages? Begins anew when that was long ago. */
bool price_huge_is_dear(struct price *price, uint64_t now_ns);

#endif
