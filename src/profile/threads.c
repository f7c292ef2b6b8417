/* SPDX-License-Identifier: MIT */
/* See threads.h. */
#include "profile/threads.h"

#include <errno.h>

#include "base/bits.h"
#include "os/os.h"

#define OTHERS THREADS_MAX
#define NOBODY (THREADS_MAX + 1)

static TIDE_TLS uint32_t own_number; /* 0: none yet */

/* All: lock(profile). */
static uint32_t numbers; /* dealt out so far */
/* Whose it is; 0: nobody's. Apart from the rest: it is searched. */
static TIDE_SPARSE uint32_t slot_number[THREADS_MAX];
static TIDE_SPARSE struct {
    char name[THREAD_NAME_BYTES];
    uint64_t named; /* tick */
    int tid;
} slots[THREADS_MAX];
static TIDE_SPARSE series_t series[THREADS_MAX + 1]; /* values NULL: unused */
static char *memory;                                 /* const after init */

static void *
memory_of(unsigned slot)
{
    return memory + slot * series_bytes(SERIES_THREAD_FIGURES);
}

int
threads_init(void)
{
    size_t bytes = align_up((THREADS_MAX + 1) * series_bytes(SERIES_THREAD_FIGURES), OS_PAGE);

    memory = os_map(bytes, "tidemalloc profile: threads");
    return memory == NULL ? ENOMEM : 0;
}

static unsigned
slot_of(uint32_t number)
{
    unsigned slot = 0;

    while (slot < THREADS_MAX && slot_number[slot] != number) {
        slot++;
    }
    return slot; /* or OTHERS */
}

static series_t *
series_at(unsigned slot)
{
    if (slot == OTHERS && series[OTHERS].figures == 0) {
        series_make_locked(&series[OTHERS], SERIES_THREAD_FIGURES, memory_of(OTHERS));
    }
    series_follow_locked(&series[slot]);
    return &series[slot];
}

static void
add(series_totals_t *to, const series_totals_t *more)
{
    to->allocated_bytes += more->allocated_bytes;
    to->allocated_milli += more->allocated_milli;
    to->freed_bytes += more->freed_bytes;
    to->live_bytes += more->live_bytes;
}

/* What the slot's thread was is part of the others. Their rates stay what they are. */
static void
join_others(unsigned slot)
{
    series_t *gone = series_at(slot);
    series_t *others = series_at(OTHERS);

    add(&others->totals, &gone->totals);
    for (unsigned ring = 0; ring < SERIES_RINGS; ring++) {
        add(&others->rings[ring].before, &gone->rings[ring].before);
    }
}

/* A slot for another thread, or OTHERS. */
static unsigned
free_slot(void)
{
    unsigned slot = slot_of(0);
    int pid = os_pid();

    if (slot < THREADS_MAX) {
        return slot;
    }
    slot = NOBODY;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        bool is_less = slot == NOBODY ||
                       series[i].totals.allocated_bytes < series[slot].totals.allocated_bytes;

        if (is_less && !os_thread_exists(pid, slots[i].tid)) {
            slot = i;
        }
    }
    if (slot == NOBODY) {
        return OTHERS;
    }
    join_others(slot);
    return slot;
}

static void
introduce_self(void)
{
    unsigned slot = free_slot();

    own_number = ++numbers;
    if (slot < THREADS_MAX) {
        slot_number[slot] = own_number;
        slots[slot].tid = os_tid();
        os_get_thread_name(slots[slot].name);
        slots[slot].named = series_tick_locked();
        series_make_locked(&series[slot], SERIES_THREAD_FIGURES, memory_of(slot));
    }
}

uint32_t
threads_self_locked(void)
{
    uint64_t tick = series_tick_locked();
    unsigned slot;

    if (unlikely(own_number == 0)) {
        introduce_self();
        return own_number;
    }
    slot = slot_of(own_number);
    if (slot < THREADS_MAX && slots[slot].named != tick) {
        os_get_thread_name(slots[slot].name);
        slots[slot].named = tick;
    }
    return own_number;
}

void
threads_note_locked(uint32_t owner, uint32_t actor, const series_totals_t *before)
{
    series_totals_t now = series_totals_locked();
    series_totals_t *theirs = &series_at(slot_of(actor))->totals;

    theirs->allocated_bytes += now.allocated_bytes - before->allocated_bytes;
    theirs->allocated_milli += now.allocated_milli - before->allocated_milli;
    theirs->freed_bytes += now.freed_bytes - before->freed_bytes;
    if (owner != actor) {
        theirs = &series_at(slot_of(owner))->totals;
    }
    theirs->live_bytes += now.live_bytes - before->live_bytes;
}

void
threads_follow_locked(void)
{
    for (unsigned slot = 0; slot <= OTHERS; slot++) {
        series_follow_locked(&series[slot]);
    }
}

bool
threads_view_locked(unsigned index, struct thread_view *view)
{
    bool is_others = index == OTHERS;

    if (series[index].figures == 0) {
        return false;
    }
    *view = (struct thread_view){
        .series = &series[index],
        .name = is_others ? "others" : slots[index].name,
        .tid = is_others ? 0 : slots[index].tid,
    };
    return true;
}

void
threads_fork_child(void)
{
    unsigned slot = own_number == 0 ? OTHERS : slot_of(own_number);

    if (slot < THREADS_MAX) {
        slots[slot].tid = os_tid();
    }
}
