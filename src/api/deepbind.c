/* SPDX-License-Identifier: MIT */
/* See deepbind.h. */
#include "api/deepbind.h"

#include "api/options.h"
#include "heap/heap.h"
#include "os/libc_names.h"
#include "tidemalloc.h"

/* All there is in libc that gives or takes a block: one left out would mean another heap than the
 * rest. Those of C23 are in newer ones. */
static const struct libc_name ours[] = {
    {"malloc", (void (*)(void))tide_malloc},
    {"free", (void (*)(void))tide_free},
    {"calloc", (void (*)(void))tide_calloc},
    {"realloc", (void (*)(void))tide_realloc},
    {"memalign", (void (*)(void))tide_memalign},
    {"aligned_alloc", (void (*)(void))tide_aligned_alloc},
    {"posix_memalign", (void (*)(void))tide_posix_memalign},
    {"malloc_usable_size", (void (*)(void))tide_malloc_usable_size},
    {"valloc", (void (*)(void))tide_valloc},
    {"pvalloc", (void (*)(void))tide_pvalloc},
    {"cfree", (void (*)(void))tide_free},
    {"free_sized", (void (*)(void))tide_free_sized},
    {"free_aligned_sized", (void (*)(void))tide_free_aligned_sized},
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
        (void)libc_names_lead(ours, TIDE_ARRAY_LEN(ours));
    }
}
