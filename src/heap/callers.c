/* SPDX-License-Identifier: MIT */
/* See callers.h. What was seen is found by a hash alone: two callers of one hash are one. */
#include "heap/callers.h"

#include "os/code.h"
#include "os/os.h"

#define SEEN_SLOTS 1024u
#define SEEN_PROBES 4u
#define HASH_FACTOR 0x9e3779b97f4a7c15u

struct note {
    struct growth_event event;
    uint32_t is_whole; /* atomic: */
};

uint32_t callers_on;

static TIDE_SPARSE uint64_t seen[SEEN_SLOTS]; /* atomic(relaxed): hashes; 0: none */
static TIDE_SPARSE struct note notes[CALLERS_MAX];
static uint32_t
    count; /* atomic(relaxed): of notes begun, and not more than a thread too many each */

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * HASH_FACTOR;
    return hash ^ hash >> 29;
}

/* True once for each hash; never where there is no room left for it. */
static bool
is_new(uint64_t hash)
{
    for (uint32_t i = 0; i < SEEN_PROBES; i++) {
        uint64_t *slot = &seen[(hash + i) % SEEN_SLOTS];
        uint64_t was = atomic_load_relaxed(slot);

        if (was == 0 && atomic_cas_acquire(slot, &was, hash)) {
            return true;
        }
        if (was == hash) {
            return false;
        }
    }
    return false;
}

/* Classes of a factor of two: the same code may ask for a little more in the next run. */
static unsigned
size_step(size_t slices)
{
    return slices <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(slices - 1);
}

static void
note(uint64_t address, uint64_t shape, size_t level)
{
    uint64_t place = os_code_key((uintptr_t)address);
    uint32_t at = place == 0 ? CALLERS_MAX : atomic_add_relaxed(&count, 1) - 1;

    if (at < CALLERS_MAX) {
        notes[at].event = (struct growth_event){
            .key = mix(place, shape), .at_ns = os_now_ns(), .level_bytes = level};
        atomic_store_release(&notes[at].is_whole, 1);
        heap_poke_rise();
    }
}

TIDE_COLD void
callers_grew(heap_t *heap, size_t slices)
{
    size_t used = atomic_load_relaxed(&arena_counters.used_slices);
    struct heap_caller caller = heap->caller;
    uint64_t shape;
    uint64_t hash;

    if (heap == &heap_empty || caller.address == 0) {
        return;
    }
    heap->caller.address = 0;
    if (used < atomic_load_relaxed(&arena_counters.used_highest) ||
        atomic_load_relaxed(&count) >= CALLERS_MAX) {
        return;
    }
    shape = (uint64_t)os_stack_height(caller.frame) << 8 | size_step(slices);
    hash = mix(mix(1, caller.address), shape);
    if (is_new(hash | 1)) {
        note(caller.address, shape, (used - min_zu(slices, used)) << SLICE_SHIFT);
    }
}

TIDE_COLD bool
callers_get(uint32_t i, struct growth_event *event)
{
    if (i >= CALLERS_MAX || atomic_load_acquire(&notes[i].is_whole) == 0) {
        return false;
    }
    *event = notes[i].event;
    return true;
}

TIDE_COLD void
callers_begin(void)
{
    atomic_store_relaxed(&callers_on, 1);
}

TIDE_COLD void
callers_end(void)
{
    atomic_store_relaxed(&callers_on, 0);
}
