/* SPDX-License-Identifier: MIT */
/*
 * Are huge pages worth asking for just now? A huge page is populated in a third of the time that
 * its bytes take as ordinary pages, unless the kernel has to make room for it first (compaction),
 * or a virtual machine's host took back what lay free in one piece: then in ten times as long.
 * What populating takes is the only sign of it.
 *
 * Estimator: the mean ns a byte of the last calls of each kind (EWMA, 1/4). Huge pages are dear
 * when they take PRICE_DEAR times as long as ordinary ones, both seen PRICE_MIN_CALLS times; after
 * PRICE_MEMORY_NS they are tried again. Wrong for up to PRICE_MEMORY_NS after the machine changed.
 * Memory: one struct; cost O(1). Pure; the caller synchronises.
 */
#ifndef TIDE_PREDICT_PRICE_H
#define TIDE_PREDICT_PRICE_H

#include "base/compiler.h"

#define PRICE_DEAR 2.0
#define PRICE_MIN_CALLS 2u
#define PRICE_MEMORY_NS ((uint64_t)5000000000)

struct price_kind {
    double ns_a_byte;
    uint32_t calls; /* so far; it stops at PRICE_MIN_CALLS */
};

struct price {
    struct price_kind small;
    struct price_kind huge;
    uint64_t until_ns; /* huge pages are dear until then; 0: they are not */
};

/* So many bytes, more than 0, of one kind were populated in that time. */
void price_note(struct price *price, bool huge, uint64_t now_ns, uint64_t bytes, uint64_t took_ns);
/* Is it better to do without huge pages? Begins anew when that was long ago. */
bool price_huge_is_dear(struct price *price, uint64_t now_ns);

#endif
