/* SPDX-License-Identifier: MIT */
/* See rise.h. */
#include "keeper/rise.h"

#include "arena/arena.h"
#include "heap/ready.h"
#include "keeper/huge.h"
#include "keeper/learn.h"
#include "keeper/promise.h"
#include "os/machine.h"
#include "os/os.h"
#include "predict/rise.h"

#define LEAD_NS ((uint64_t)6000000)
#define LEAST_BYTES ((uint64_t)3 << 20)
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
#define RETRY_DOUBLINGS 5u
#define BUSY_LOOKS_MAX 10u /* in a row, where no CPU was idle */
#define CALM_LOOKS_MAX 8u  /* by the clock, after the last look that found something to do */
#define LEARNED_BYTES_MAX ((uint64_t)32 << 20) /* ready for growth that earlier runs had */
#define LEARNED_NS ((uint64_t)24000000)
#define DEMAND_NS ((uint64_t)12000000) /* what is asked for in which form is counted over it */

struct rise_counters rise_counters;

static const struct rise_params params = {.lead_ns = LEAD_NS, .least_bytes = LEAST_BYTES};
static struct rise_state state; /* lock(pass), as the next */
static uint64_t level_bytes;    /* in use, at the last look */
static bool is_begun;           /* the thread has a table of files of its own */
static uint64_t want_bytes;     /* atomic(relaxed): free memory that is to keep its pages */
static uint32_t is_able;        /* atomic(relaxed): see rise_is_able */
static uint32_t ability;        /* 0 to ABLE_MOST */
static uint32_t fruitless;      /* looks in a row that made nothing of what was missing */
static uint32_t calm;           /* looks in a row that found nothing to do */

/* What was made, and what became of it. */
static uint64_t clean_taken; /* slices, by the last look */
static size_t ready_free;    /* bytes of slices populated, and as far as is known still free */
static uint64_t blocks_made; /* bytes, as the next: of blocks made to measure */
static uint64_t blocks_gone; /* that were used, or given up */
static size_t promised_left; /* of all that: made since the program said so; no credit is for it */

/* What is asked for. */
static uint64_t asked_for[CHUNK_KINDS];
static int64_t owed[CHUNK_KINDS]; /* slices asked for and not yet replaced by ready ones */
static uint64_t asked_blocks[READY_PAGES_MAX + 1];
static uint32_t rates[READY_PAGES_MAX + 1]; /* blocks of so many pages asked for of late */
static uint32_t rate_slices;                /* slices asked for otherwise, likewise */
static uint64_t slices_asked;               /* since the rates were brought up to date */
static uint64_t demand_ns;                  /* when they were */
static double block_bytes;                  /* rates, in bytes of blocks made to measure */
static double block_part;                   /* what part of the demand these are */

/* What the last look came to. */
static struct {
    uint64_t at_ns;
    uint64_t advised_bytes;
    uint64_t granted_bytes;
    uint64_t learned_bytes;
    uint64_t promised_bytes;
    enum rise_reason reason;
} last;

/* What the machine has. */
static uint64_t headroom_bytes;
static unsigned cpus;
static uint64_t asked_ns;  /* when that was asked */
static uint32_t forks;     /* atomic(relaxed): of late */
static uint64_t forgot_ns; /* when they were last halved */

void
rise_begin(void)
{
    rise_init(&state);
    is_begun = true;
}

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

bool
rise_holds(void)
{
    return rise_keeps_bytes() > 0 || atomic_load_relaxed(&ready_slices) > 0;
}

bool
rise_is_able(void)
{
    return atomic_load_relaxed(&is_able) != 0;
}

static size_t
free_bytes(void)
{
    return atomic_load_relaxed(&arena_counters.free_dirty_slices) << SLICE_SHIFT;
}

/* ---- the score ------------------------------------------------------------------------------- */

/* Of so many bytes, those that were made by the rules and not by what the program said. */
static size_t
made_by_rules(size_t bytes)
{
    size_t promised = min_zu(promised_left, bytes);

    promised_left -= promised;
    return bytes - promised;
}

static void
count_used(size_t bytes)
{
    counter_add(&rise_counters.used_bytes, bytes);
    rise_score(&state, made_by_rules(bytes), 0);
}

static void
count_regretted(size_t bytes)
{
    counter_add(&rise_counters.regretted_bytes, bytes);
    rise_score(&state, 0, made_by_rules(bytes));
}

/* What was ready and is free no more was used; what was taken without pages would have been, as far
 * as that much could have been ready. */
static void
score(void)
{
    uint64_t clean = atomic_load_relaxed(&arena_counters.clean_taken);
    size_t left = min_zu(ready_free, free_bytes());
    uint64_t blocks = blocks_made - blocks_gone - ready_bytes();

    rise_score(&state, min_zu((clean - clean_taken) << SLICE_SHIFT, rise_bound(&state, &params)),
               0);
    clean_taken = clean;
    count_used(ready_free - left + blocks);
    ready_free = left;
    blocks_gone += blocks;
}

void
rise_purged_locked(size_t bytes)
{
    size_t wasted = min_zu(ready_free, bytes);

    if (wasted > 0) {
        ready_free -= wasted;
        count_regretted(wasted);
    }
}

static void
give_up_blocks(unsigned pages, uint32_t keep)
{
    while (ready_count(pages) > keep) {
        size_t bytes = ready_drop(pages);

        if (bytes == 0) {
            break;
        }
        blocks_gone += bytes;
        count_regretted(bytes);
    }
}

void
rise_drop_locked(void)
{
    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        give_up_blocks(pages, 0);
    }
}

/* ---- the machine ----------------------------------------------------------------------------- */

static uint32_t
forks_of_late(uint64_t now_ns)
{
    uint32_t forked = atomic_load_relaxed(&forks);
    uint64_t periods = (now_ns - forgot_ns) / FORK_MEMORY_NS;

    if (periods > 0) {
        forked = periods < 32 ? forked >> periods : 0;
        atomic_store_relaxed(&forks, forked);
        forgot_ns = now_ns;
    }
    return forked;
}

/* What the machine's state leaves of it; 0: nothing now. */
static uint64_t
permitted(uint64_t want, uint64_t now_ns)
{
    uint32_t forked = forks_of_late(now_ns);

    if (forked >= FORKS_MAX || os_is_filtered()) {
        last.reason = forked >= FORKS_MAX ? RISE_forks : RISE_filtered;
        return 0;
    }
    if (now_ns - asked_ns >= HEADROOM_NS) {
        headroom_bytes = os_headroom_bytes();
        cpus = os_usable_cpus();
        asked_ns = now_ns;
    }
    if (os_idle_cpus(cpus) == 0) {
        last.reason = RISE_no_cpu;
        return 0;
    }
    last.reason = RISE_no_headroom; /* unless it permits something */
    return min_zu(want >> forked, headroom_bytes / HEADROOM_SHARE);
}

/* Some refusals weigh more than as many permissions: to be wrong about it costs page faults. */
static void
note_result(bool made)
{
    ability = made ? ability + (ability < ABLE_MOST) : ability - (ability < 4 ? ability : 4);
    fruitless = made ? 0 : fruitless + (fruitless < BUSY_LOOKS_MAX);
}

/* ---- the demand ------------------------------------------------------------------------------ */

/* Follows up at once and down by a quarter each time. */
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
    for (unsigned k = 0; k < CHUNK_KINDS; k++) {
        uint64_t now = atomic_load_relaxed(&arena_counters.asked_for[k]);

        slices_asked += now - asked_for[k];
        owed[k] += (int64_t)(now - asked_for[k]);
        owed[k] = owed[k] > CHUNK_SLICES * 4 ? CHUNK_SLICES * 4 : owed[k];
        asked_for[k] = now;
    }
}

/* What is asked for in which form. Between two looks is too short a time to tell, and what was
 * asked for over a long one is no hint. */
static void
note_demand(uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - demand_ns;
    bool is_recent = elapsed_ns < 8 * DEMAND_NS;

    note_slices();
    if (elapsed_ns < DEMAND_NS) {
        return;
    }
    demand_ns = now_ns;
    rate_slices = follow(rate_slices, is_recent ? slices_asked : 0);
    slices_asked = 0;
    block_bytes = 0;
    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        uint64_t asked = ready_asked(pages);

        rates[pages] = follow(rates[pages], is_recent ? asked - asked_blocks[pages] : 0);
        asked_blocks[pages] = asked;
        block_bytes += (double)rates[pages] * (double)(pages << OS_PAGE_SHIFT);
    }
    block_part = block_bytes / (block_bytes + (double)rate_slices * (double)SLICE_BYTES + 1);
}

/* ---- making ready ---------------------------------------------------------------------------- */

/* The kind that is asked for and has not been made ready. */
static enum chunk_kind
kind_to_populate(void)
{
    return owed[CHUNK_HUGE_PAGES] > owed[CHUNK_SMALL_PAGES] && !huge_is_dear() ? CHUNK_HUGE_PAGES
                                                                               : CHUNK_SMALL_PAGES;
}

/* What it takes of the CPU is its price; waiting for locks and CPUs is not. */
static size_t
populate(size_t bytes, enum chunk_kind kind)
{
    uint64_t begin_ns = os_cpu_ns();
    size_t got = arena_populate(bytes, kind);

    if (got > 0) {
        huge_note(kind, got, os_cpu_ns() - begin_ns);
    }
    return got;
}

static size_t
make_slices_ready(uint64_t want, size_t most)
{
    size_t done = 0;

    while (done < most && free_bytes() < want) {
        enum chunk_kind kind = kind_to_populate();
        size_t missing = max_zu(want - free_bytes(), STEP_LEAST_BYTES);
        size_t got = populate(min_zu(missing, STEP_BYTES), kind);

        if (got == 0) {
            break;
        }
        owed[kind] -= (int64_t)(got >> SLICE_SHIFT);
        owed[kind] = owed[kind] < -CHUNK_SLICES ? -CHUNK_SLICES : owed[kind];
        ready_free += got;
        done += got;
    }
    return done;
}

/* Of so many bytes: as many of each size as its part of them is, so that all run out at the same
 * time. */
static uint32_t
blocks_wanted(uint64_t want, unsigned pages)
{
    return block_bytes < 1 ? 0 : (uint32_t)((double)want * rates[pages] / block_bytes + 0.5);
}

static bool
blocks_are_missing(uint64_t want)
{
    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        if (ready_count(pages) < blocks_wanted(want, pages)) {
            return true;
        }
    }
    return false;
}

static size_t
make_blocks_ready(uint64_t want, size_t most)
{
    size_t done = 0;

    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        uint32_t count = blocks_wanted(want, pages);
        size_t got = 1;

        while (ready_count(pages) < count && done < most && got != 0) {
            got = ready_make(pages);
            done += got;
        }
    }
    blocks_made += done;
    return done;
}

/* And gives up what is far more than wanted. */
static void
set_block_marks(uint64_t want, bool listen)
{
    for (unsigned pages = 0; pages <= READY_PAGES_MAX; pages++) {
        uint32_t count = blocks_wanted(want, pages);

        give_up_blocks(pages, want == 0 ? 0 : 2 * count + 2);
        ready_set_low(pages, listen ? count / 2 : 0);
    }
}

/* ---- a look ---------------------------------------------------------------------------------- */

struct wanted {
    uint64_t slices; /* bytes, as the next */
    uint64_t blocks; /* made to measure */
};

/* Freed memory that has its pages serves as well as what would be made. */
static struct wanted
split(uint64_t want)
{
    struct wanted wanted = {.blocks = (uint64_t)(block_part * (double)want)};
    uint64_t have = free_bytes();
    uint64_t spare;

    wanted.slices = want - wanted.blocks;
    spare = have > wanted.slices ? have - wanted.slices : 0;
    spare = spare > CHUNK_BYTES ? spare - CHUNK_BYTES : 0; /* a step may be too much */
    wanted.blocks -= min_zu(wanted.blocks, spare);
    return wanted;
}

static size_t
make(uint64_t want, uint64_t now_ns)
{
    uint64_t granted = permitted(want, now_ns);
    struct wanted wanted = split(granted);
    size_t done = 0;

    counter_add(&rise_counters.advised, 1);
    if (granted > 0) {
        counter_add(&rise_counters.tried, 1);
        space_prepare();
        done = make_blocks_ready(wanted.blocks, LOOK_BYTES_MAX / 2);
        done += make_slices_ready(wanted.slices, LOOK_BYTES_MAX - done);
        counter_add(&rise_counters.applied, done > 0);
        last.reason = done == 0 ? RISE_refused : granted < want ? RISE_made_less : RISE_made;
    }
    last.granted_bytes = granted;
    promised_left += last.promised_bytes >= want ? done : 0;
    note_result(done > 0);
    return done;
}

static void
observe(uint64_t now_ns)
{
    score();
    level_bytes = ready_program_bytes(atomic_load_relaxed(&arena_counters.used_slices));
    rise_observe(&state, &params, now_ns, level_bytes);
    learn_observe_locked(now_ns, level_bytes);
    note_demand(now_ns);
}

/* By the growth of late, by earlier runs, or as the program said. */
static uint64_t
advise(uint64_t now_ns)
{
    uint64_t want = rise_advise(&state, &params);

    last.learned_bytes = learn_advise_locked(now_ns, level_bytes, LEARNED_NS);
    last.promised_bytes = promise_expected(now_ns, level_bytes);
    want = max_zu(want, state.credit < 0 ? 0 : min_zu(last.learned_bytes, LEARNED_BYTES_MAX));
    return max_zu(want, last.promised_bytes);
}

/* Unless something is missing. */
static void
note_advice(uint64_t want, uint64_t now_ns)
{
    last.at_ns = now_ns;
    last.advised_bytes = last.granted_bytes = want;
    last.reason = want > 0                      ? RISE_is_ready
                  : state.seen < RISE_MIN_SLOTS ? RISE_few_samples
                  : state.credit < 0            ? RISE_no_credit
                                                : RISE_no_growth;
}

/* Soon, by the clock: to be woken costs whoever runs low 10 us and more. Who took the CPU may be
 * gone in a moment; not if it was so for several looks. */
static bool
looks_again(size_t made, uint64_t want)
{
    if (last.reason == RISE_is_ready) {
        calm += calm < CALM_LOOKS_MAX;
    } else {
        calm = made > 0 ? 0 : CALM_LOOKS_MAX;
    }
    return calm < CALM_LOOKS_MAX ||
           (want > 0 && last.reason == RISE_no_cpu && fruitless < BUSY_LOOKS_MAX);
}

TIDE_COLD uint64_t
rise_look_locked(void)
{
    uint64_t now_ns = os_now_ns();
    uint64_t until = CLEAN_UNTIL_LOOK;
    struct wanted wanted;
    uint64_t want;
    size_t low;
    size_t made = 0;

    if (!is_begun) {
        last.reason = RISE_impossible;
        rise_end();
        return 0;
    }
    observe(now_ns);
    want = advise(now_ns);
    note_advice(want, now_ns);
    wanted = split(want);
    atomic_store_relaxed(&want_bytes, wanted.slices); /* what is there is kept in any case */
    low = (size_t)(wanted.slices / 2) >> SLICE_SHIFT;
    if (wanted.slices > free_bytes() || blocks_are_missing(wanted.blocks)) {
        made = make(want, now_ns);
        if (made == 0) { /* who runs low need not say so */
            low = 0;
            until = CLEAN_UNTIL_RETRY << min_zu(fruitless, RETRY_DOUBLINGS);
        }
    }
    set_block_marks((uint64_t)(block_part * (double)want), until == CLEAN_UNTIL_LOOK);
    atomic_store_relaxed(&is_able, ability >= ABLE_FROM && state.credit >= 0);
    arena_set_marks(low, atomic_load_relaxed(&arena_counters.clean_taken) + until);
    return looks_again(made, want) ? LEAD_NS / 4 : 0;
}

void
rise_end(void)
{
    arena_set_marks(0, UINT64_MAX);
    atomic_store_relaxed(&want_bytes, 0);
    atomic_store_relaxed(&is_able, 0);
    ability = 0;
}

TIDE_COLD void
rise_report_locked(struct rise_report *out)
{
    *out = (struct rise_report){
        .looked_ns = last.at_ns,
        .lead_ns = params.lead_ns,
        .growth_bytes = rise_growth(&state),
        .bound_bytes = rise_bound(&state, &params),
        .advised_bytes = last.advised_bytes,
        .granted_bytes = last.granted_bytes,
        .learned_bytes = last.learned_bytes,
        .promised_bytes = last.promised_bytes,
        .ready_slice_bytes = min_zu(ready_free, free_bytes()),
        .ready_block_bytes = ready_bytes(),
        .credit_bytes = state.credit,
        .reason = last.reason,
    };
}
