/* SPDX-License-Identifier: MIT */
/* See huge.h. */
#include "keeper/huge.h"

#include "arena/arena.h"
#include "heap/heap.h"
#include "os/os.h"
#include "predict/price.h"

uint64_t huge_found_dear;

static uint32_t is_busy;    /* atomic: somebody works on the price; what others note is lost */
static struct price prices; /* whoever set is_busy */
static uint32_t is_dear;    /* atomic(relaxed): */

static bool
begin(void)
{
    return atomic_exchange_acquire(&is_busy, 1) == 0;
}

/* And tells the arena what the price says now. */
static void
end(uint64_t now_ns)
{
    uint32_t dear = price_huge_is_dear(&prices, now_ns);

    if (dear != atomic_load_relaxed(&is_dear)) {
        counter_add(&huge_found_dear, dear);
        atomic_store_relaxed(&is_dear, dear);
        arena_spare_huge(dear != 0);
    }
    atomic_store_release(&is_busy, 0);
}

TIDE_COLD void
huge_note(enum chunk_kind kind, size_t bytes, uint64_t took_ns)
{
    uint64_t now_ns = os_now_ns();

    if (begin()) {
        price_note(&prices, kind == CHUNK_HUGE_PAGES, now_ns, bytes, took_ns);
        end(now_ns);
    }
}

bool
huge_is_dear(void)
{
    if (atomic_load_relaxed(&is_dear) != 0 && begin()) {
        end(os_now_ns());
    }
    return atomic_load_relaxed(&is_dear) != 0;
}

void
heap_ask_for_huge(void)
{
    (void)huge_is_dear();
}

void
heap_note_huge_touch(uint64_t took_ns)
{
    huge_note(CHUNK_HUGE_PAGES, CHUNK_BYTES, took_ns);
}

void
huge_fork_child(void)
{
    is_busy = 0;
    arena_spare_huge(atomic_load_relaxed(&is_dear) != 0); /* a thread was between the two */
}
