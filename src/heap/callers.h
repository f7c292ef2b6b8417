/* SPDX-License-Identifier: MIT */
/*
 * Who makes the process grow: the first time that a caller takes slices while no more were ever in
 * use, it is noted, for keeper/learn. A caller is where malloc returns to, how deep the stack is
 * there, and how many slices it takes. Nothing is asked before callers_begin.
 */
#ifndef TIDE_HEAP_CALLERS_H
#define TIDE_HEAP_CALLERS_H

#include "heap/alloc.h"

#define CALLERS_MAX 256u /* noted; later ones are not */

struct growth_event {
    uint64_t key; /* the same in every run of the program */
    uint64_t at_ns;
    uint64_t level_bytes; /* in use before */
};

extern uint32_t callers_on; /* atomic(relaxed) */

/* In a function that its caller, the program, entered by its name or by tail calls from there. */
#define CALLERS_NOTE(heap)                                                                         \
    do {                                                                                           \
        if (unlikely(atomic_load_relaxed(&callers_on) != 0) && (heap) != &heap_empty) {            \
            (heap)->caller.address = (uintptr_t)__builtin_return_address(0);                       \
            (heap)->caller.frame = (uintptr_t)__builtin_dwarf_cfa();                               \
        }                                                                                          \
    } while (0)

/* heap_alloc for such a function that does more than that. */
#define CALLERS_ALLOC(size)                                                                        \
    ({                                                                                             \
        void *block_ = heap_try_pop(size);                                                         \
        if (unlikely(block_ == NULL)) {                                                            \
            CALLERS_NOTE(heap_self());                                                             \
            block_ = heap_alloc_slow_inside(size);                                                 \
        }                                                                                          \
        block_;                                                                                    \
    })

/* The noted caller has taken so many slices. Without locks. */
void callers_grew(heap_t *heap, size_t slices);

void callers_begin(void);
/* None are noted any more. */
void callers_end(void);
/* The i-th of them, in no particular order; false: there is none yet. By one thread at a time. */
bool callers_get(uint32_t i, struct growth_event *event);

#endif
