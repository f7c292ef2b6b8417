/* SPDX-License-Identifier: MIT */
/* See rise.h. */
#include "keeper/rise.h"

#include "arena/arena.h"
#include "heap/ready.h"
#include "os/machine.h"
#include "os/os.h"
#include "predict/rise.h"

#define LEAD_NS ((uint64_t)12000000)
#define LEAST_BYTES ((uint64_t)2 << 20)
#define STEP_BYTES CHUNK_BYTES /* a call holds the process's mappings for reading */
#define STEP_LEAST_BYTES ((size_t)256 << 10)
#define LOOK_BYTES_MAX ((size_t)8 << 20) /* a fork waits for it */
#define CLEAN_UNTIL_LOOK ((uint64_t)16)  /* slices that may be taken without pages */
#define CLEAN_UNTIL_RETRY ((uint64_t)32) /* the same, where the machine has no room or CPU */
#define HEADROOM_SHARE 8u
#define HEADROOM_NS ((uint64_t)200000000)
#define RATE_SHIFT 4u /* rates are kept in sixteenths */
#define ABLE_FROM 8u
#define ABLE_MOST 16u
#define FORK_MEMORY_NS ((uint64_t)1000000000)
#define FORKS_MAX 4u /* within that time: no pages for any of them */

struct rise_counters rise_counters;

static const struct rise_params params = {.lead_ns = LEAD_NS, .least_bytes = LEAST_BYTES};
static struct rise_state state; /* lock(pass), as the next */
static bool is_begun;
static uint32_t ability;     /* atomic(relaxed): 0 to ABLE_MOST; of late, it was permitted */
static uint64_t want_bytes;  /* atomic(relaxed) */
static uint64_t clean_taken; /* slices, by the last look */
static size_t ready_bytes;   /* populated, and as far as is known still free */
static uint64_t asked_for[CHUNK_KINDS];
static int64_t owed[CHUNK_KINDS]; /* slices asked for and not yet replaced by ready ones */
static uint64_t asked_blocks[READY_PAGES_MAX + 1];
static uint32_t rates[READY_PAGES_MAX + 1]; /* blocks of so many pages asked for in a lead */
static uint32_t rate_slices;                /* slices asked for otherwise, likewise */
static uint64_t slices_asked;               /* since the rates were brought up to date */
static uint64_t demand_ns;                  /* when they were */
static double block_bytes;                  /* rates, in bytes of blocks made to measure */
static double block_part;                   /* what part of the demand these are */
static uint64_t headroom_bytes;
static uint64_t headroom_ns;
static uint32_t forks;     /* atomic(relaxed): of late */
static uint64_t forgot_ns; /* when they were last halved */

void
rise_note_fork(void)
{
    atomic_add_relaxed(&forks, 1);
}

size_t
rise_keeps_bytes(void)
{
    size_t want = (size_t)atomic_load_relaxed(&want_bytes);

    return want == 0 ? 0 : want + CHUNK_BYTES; /* which one step may be too much */
}

static size_t
free_bytes(void)
{
    return atomic_load_relaxed(&arena_counters.free_dirty_slices) << SLICE_SHIFT;
}

/* What was ready and is not free any more was used; what was taken without pages would have been.
 */
static void
count_used(void)
{
    uint64_t clean = atomic_load_relaxed(&arena_counters.clean_taken);
    size_t left = min_zu(ready_bytes, free_bytes());

    rise_score(&state, (clean - clean_taken) << SLICE_SHIFT, 0);
    clean_taken = clean;

    if (left < ready_bytes) {
        counter_add(&rise_counters.used_bytes, ready_bytes - left);
        rise_score(&state, ready_bytes - left, 0);
        ready_bytes = left;
    }
}

void
rise_purged_locked(size_t bytes)
{
    size_t wasted = min_zu(ready_bytes, bytes);

    if (wasted > 0) {
        counter_add(&rise_counters.regretted_bytes, wasted);
        rise_score(&state, 0, wasted);
        ready_bytes -= wasted;
    }
}

/* What the machine's state leaves of it; 0: nothing now. */
static uint64_t
permitted(uint64_t want, uint64_t now_ns)
{
    uint32_t forked = atomic_load_relaxed(&forks);

    if (now_ns - forgot_ns >= FORK_MEMORY_NS) {
        atomic_store_relaxed(&forks, forked / 2);
        forgot_ns = now_ns;
    }
    if (forked >= FORKS_MAX || os_idle_cpus() == 0) {
        return 0;
    }
    if (now_ns - headroom_ns >= HEADROOM_NS) {
        headroom_bytes = os_headroom_bytes();
        headroom_ns = now_ns;
    }
    return min_zu(want >> forked, headroom_bytes / HEADROOM_SHARE);
}

/* Some refusals weigh more than as many permissions: to be wrong about it costs page faults. */
static void
note_permission(bool permitted)
{
    uint32_t now = atomic_load_relaxed(&ability);

    now = permitted ? now + (now < ABLE_MOST) : now - (now < 4 ? now : 4);
    atomic_store_relaxed(&ability, now);
}

bool
rise_is_able(void)
{
    return atomic_load_relaxed(&ability) >= ABLE_FROM;
}

/* The kind that is asked for and has not been made ready. */
static enum chunk_kind
kind_to_populate(void)
{
    return owed[CHUNK_HUGE_PAGES] > owed[CHUNK_SMALL_PAGES] ? CHUNK_HUGE_PAGES : CHUNK_SMALL_PAGES;
}

static size_t
make_ready(uint64_t want)
{
    size_t done = 0;

    while (done < LOOK_BYTES_MAX && free_bytes() < want) {
        enum chunk_kind kind = kind_to_populate();
        size_t missing = max_zu(want - free_bytes(), STEP_LEAST_BYTES);
        size_t got = arena_populate(min_zu(missing, STEP_BYTES), kind);

        if (got == 0) {
            break;
        }
        owed[kind] -= (int64_t)(got >> SLICE_SHIFT);
        owed[kind] = owed[kind] < -CHUNK_SLICES ? -CHUNK_SLICES : owed[kind];
        ready_bytes += got;
        done += got;
    }
    return done;
}

/* Follows up at once and down by a quarter a lead. */
static uint32_t
follow(uint32_t rate, uint64_t now)
{
    uint32_t down = rate - (rate + 3) / 4;
    uint32_t up = (uint32_t)min_zu(now << RATE_SHIFT, UINT32_MAX / 2);

    return up > down ? up : down;
}

static void
note_slices(void)
{
    uint64_t slices = 0;

    for (unsigned k = 0; k < CHUNK_KINDS; k++) {
        uint64_t now = atomic_load_relaxed(&arena_counters.asked_for[k]);

        slices += now - asked_for[k];
        owed[k] += (int64_t)(now - asked_for[k]);
        owed[k] = owed[k] > CHUNK_SLICES * 4 ? CHUNK_SLICES * 4 : owed[k];
        asked_for[k] = now;
    }
    slices_asked += slices;
}

/* What is asked for in which form. Between two looks is too short a time to tell. */
static void
note_demand(uint64_t now_ns)
{
    note_slices();
    if (now_ns - demand_ns < LEAD_NS) {
        return;
    }
    demand_ns = now_ns;
    rate_slices = follow(rate_slices, slices_asked);
    slices_asked = 0;
    block_bytes = 0;
    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        uint64_t asked = ready_asked(pages);

        rates[pages] = follow(rates[pages], asked - asked_blocks[pages]);
        asked_blocks[pages] = asked;
        block_bytes += (double)rates[pages] * (double)(pages << OS_PAGE_SHIFT);
    }
    block_part = block_bytes / (block_bytes + (double)rate_slices * (double)SLICE_BYTES + 1);
}

/* As many of each size as its part of them is, so that all run out at the same time. */
static size_t
make_blocks_ready(uint64_t want)
{
    size_t done = 0;

    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        uint32_t count =
            block_bytes < 1 ? 0 : (uint32_t)((double)want * rates[pages] / block_bytes + 0.5);
        size_t got = 1;

        while (ready_count(pages) > 2 * count + 1) {
            if (ready_drop(pages) == 0) {
                break;
            }
        }
        while (ready_count(pages) < count && done < LOOK_BYTES_MAX && got != 0) {
            got = ready_make(pages);
            done += got;
        }
        ready_set_low(pages, count / 2);
    }
    return done;
}

static void
observe(uint64_t now_ns)
{
    if (!is_begun) {
        rise_init(&state);
        is_begun = true;
    }
    count_used();
    rise_observe(&state, &params, now_ns,
                 (uint64_t)(atomic_load_relaxed(&arena_counters.used_slices) -
                            atomic_load_relaxed(&ready_slices))
                     << SLICE_SHIFT);
}

TIDE_COLD uint64_t
rise_look_locked(void)
{
    uint64_t now_ns = os_now_ns();
    uint64_t until = CLEAN_UNTIL_LOOK;
    uint64_t want;
    uint64_t slices_want;
    size_t made;

    observe(now_ns);
    note_demand(now_ns);
    want = rise_advise(&state, &params);
    slices_want = want - (uint64_t)(block_part * (double)want);
    atomic_store_relaxed(&want_bytes, slices_want); /* what is there is kept in any case */
    if (want > 0 && (slices_want > free_bytes() || slices_want < want)) {
        counter_add(&rise_counters.advised, 1);
        want = permitted(want, now_ns);
        note_permission(want > 0);
        if (want == 0) {
            until = CLEAN_UNTIL_RETRY;
        } else {
            counter_add(&rise_counters.tried, 1);
        }
        slices_want = want - (uint64_t)(block_part * (double)want);
    }
    made = make_blocks_ready(want - slices_want) + make_ready(slices_want);
    counter_add(&rise_counters.applied, made > 0);
    arena_set_marks((size_t)(slices_want / 2) >> SLICE_SHIFT,
                    atomic_load_relaxed(&arena_counters.clean_taken) + until);
    return made > 0 ? LEAD_NS / 4 : 0;
}

void
rise_end(void)
{
    arena_set_marks(0, UINT64_MAX);
    atomic_store_relaxed(&want_bytes, 0);
    atomic_store_relaxed(&ability, 0);
}
