/* SPDX-License-Identifier: MIT */
/* See deepbind.h. */
#include "api/deepbind.h"

#include "api/options.h"
#include "heap/heap.h"
#include "os/libc_names.h"
#include "tidemalloc.h"

/* All there is in libc that gives or takes a block: one left out would mean another heap than the
 * rest. Those of C23 are in newer ones. */
#define OURS(f)                                                                                    \
    {                                                                                              \
        .name = #f, .function = (void (*)(void))tide_##f                                           \
    }
static const struct libc_name ours[] = {
    OURS(malloc),
    OURS(free),
    OURS(calloc),
    OURS(realloc),
    OURS(memalign),
    OURS(aligned_alloc),
    OURS(valloc),
    OURS(pvalloc),
    OURS(malloc_usable_size),
    OURS(free_sized),
    OURS(posix_memalign),
    OURS(free_aligned_sized),
    {"cfree", (void (*)(void))tide_free},
};

TIDE_NOINLINE TIDE_COLD void
deepbind_note_caller(uintptr_t caller)
{
    static uint32_t is_done; /* atomic */

    if (atomic_load_relaxed(&is_done) != 0 || !libc_names_is_linker(caller) ||
        tide_init_once() != 0) {
        return;
    }
    if (tide_opt.deepbind && atomic_exchange_acquire(&is_done, 1) == 0) {
        libc_names_lead(ours, TIDE_ARRAY_LEN(ours));
    }
}
