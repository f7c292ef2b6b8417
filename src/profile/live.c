/* SPDX-License-Identifier: MIT */
/*
 * The samples stand close together in the order in which they came, the last one in the place of
 * one that is taken out. They are found by a hash table of their numbers with linear probing, at
 * most half full, whose holes are filled by moving others back, so that there are no tombstones.
 * Both are in one mapping, which doubles: 48 bytes of RAM for a live sample, and 8 to 16 for its
 * number. (A table of the samples themselves took 96 to 192.)
 */
#include "profile/live.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"

#define FIRST_CAPACITY 128u

static struct {
    sample_t *samples; /* lock(profile): NULL: none yet */
    uint32_t *numbers; /* lock(profile): index plus 1, by address; 0: empty */
    size_t capacity;   /* lock(profile): of samples; twice as many numbers */
    size_t count;      /* lock(profile): */
} live;

static size_t
mapping_bytes(size_t capacity)
{
    return align_up(capacity * (sizeof *live.samples + 2 * sizeof *live.numbers), OS_PAGE);
}

/* Of slots. */
static size_t
mask(void)
{
    return 2 * live.capacity - 1;
}

static size_t
next(size_t slot)
{
    return (slot + 1) & mask();
}

static size_t
home_of(uintptr_t address)
{
    return (size_t)((uint64_t)(address >> 4) * 0x9e3779b97f4a7c15u >> 20) & mask();
}

static sample_t *
sample_in(size_t slot)
{
    return &live.samples[live.numbers[slot] - 1];
}

/* The slot that has the address, or the empty one where it would be. */
static size_t
slot_of(uintptr_t address)
{
    size_t slot = home_of(address);

    while (live.numbers[slot] != 0 && sample_in(slot)->address != address) {
        slot = next(slot);
    }
    return slot;
}

static int
grow(void)
{
    size_t capacity = live.samples == NULL ? FIRST_CAPACITY : 2 * live.capacity;
    sample_t *old = live.samples;
    size_t old_bytes = mapping_bytes(live.capacity);
    void *memory = os_map(mapping_bytes(capacity), "tidemalloc profile: live");

    if (memory == NULL) {
        return ENOMEM;
    }
    live.samples = memory;
    live.numbers = (uint32_t *)(void *)(live.samples + capacity);
    live.capacity = capacity;
    if (old == NULL) {
        return 0;
    }
    memcpy(live.samples, old, live.count * sizeof *old);
    for (size_t i = 0; i < live.count; i++) {
        live.numbers[slot_of(old[i].address)] = (uint32_t)i + 1;
    }
    os_unreserve(old, old_bytes);
    return 0;
}

int
live_add_locked(const sample_t *sample)
{
    if (live.count == live.capacity && grow() != 0) {
        return ENOMEM;
    }
    live.samples[live.count] = *sample;
    live.numbers[slot_of(sample->address)] = (uint32_t)++live.count;
    return 0;
}

sample_t *
live_find_locked(const void *address)
{
    size_t slot;

    if (live.samples == NULL) {
        return NULL;
    }
    slot = slot_of((uintptr_t)address);
    return live.numbers[slot] == 0 ? NULL : sample_in(slot);
}

static void
empty(size_t hole)
{
    for (size_t slot = next(hole); live.numbers[slot] != 0; slot = next(slot)) {
        /* May it stand in the hole: is its home not between the hole (excluded) and it? */
        if (((slot - home_of(sample_in(slot)->address)) & mask()) >= ((slot - hole) & mask())) {
            live.numbers[hole] = live.numbers[slot];
            hole = slot;
        }
    }
    live.numbers[hole] = 0;
}

void
live_remove_locked(sample_t *sample)
{
    sample_t *last = &live.samples[live.count - 1];

    empty(slot_of(sample->address));
    if (sample != last) {
        live.numbers[slot_of(last->address)] = (uint32_t)(sample - live.samples) + 1;
        *sample = *last;
    }
    live.count--;
}

size_t
live_count_locked(void)
{
    return live.count;
}

const sample_t *
live_entry_locked(size_t index)
{
    return index < live.count ? &live.samples[index] : NULL;
}
