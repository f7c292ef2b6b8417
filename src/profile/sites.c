/* SPDX-License-Identifier: MIT */
/*
 * The table of sites; see sites.h.
 *
 * One mapping: the buckets, then sites and histogram cells in the order in which they came, found
 * by their place (in words of 8 bytes). Nothing is ever removed, so that a reader without the lock
 * finds valid sites; a new one is linked with a release store.
 *
 * Sites have the outer frames of their stacks in common, as a rule: main and what it calls. Beyond
 * its first one to eight frames a site's are in stems of eight, counted from the outermost, each
 * linked to the next one further out and kept once: 10,000 sites that differ in their first frames
 * only are 2 to 2.6 MB, whatever their depth.
 *
 * A site's histograms have 63 buckets of which most stay empty (a site has one size as a rule), so
 * only those in use exist: three to a cell of 32 bytes. A sixteenth of the memory is for cells
 * alone: old sites go on counting when there is no room for new ones.
 */
#include "profile/sites.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"

#define WORD_SHIFT 3
#define BYTES_PER_BUCKET 256u /* of sites; and of half as many stems */
#define STEM_FRAMES 8u
#define CELL_BUCKETS 3u
#define CELLS_SHARE 16u

typedef struct cells {
    uint64_t milli[CELL_BUCKETS]; /* lock(profile): blocks in thousandths */
    uint32_t next;                /* lock(profile): place; 0: none */
    uint8_t id[CELL_BUCKETS];     /* lock(profile): which bucket plus 1; 0: unused */
    uint8_t pad;
} cells_t;
TIDE_STATIC_ASSERT(sizeof(cells_t) == 32, "half a cache line");

typedef struct stem {
    uint32_t next;  /* const: place of the next stem of the bucket; 0: none */
    uint32_t outer; /* const: place of the one further out; 0: none */
    frame_t frames[STEM_FRAMES];
} stem_t;

static struct {
    char *base;             /* const after init; NULL before */
    uint32_t *buckets;      /* atomic: places */
    uint32_t *stem_buckets; /* lock(profile): places */
    size_t mask;            /* const after init: of buckets; stems have half as many */
    size_t used;            /* lock(profile): bytes */
    size_t size;            /* const after init: bytes */
    uint32_t overflow;      /* const after init: place */
} table;

lock_t profile_lock;
struct site_totals site_totals;

/* The histograms' first ids. */
static const uint8_t first_id[PROFILE_HISTOGRAMS + 1] = {
    [PROFILE_LIFETIME_NS] = 1,
    [PROFILE_LIFETIME_BYTES] = 1 + PROFILE_DECADES,
    [PROFILE_AGE_NS] = 1 + 2 * PROFILE_DECADES,
    [PROFILE_SIZES] = 1 + 2 * PROFILE_DECADES,
    [PROFILE_HISTOGRAMS] = 1 + 2 * PROFILE_DECADES + PROFILE_SIZE_BUCKETS,
};

/* --- buckets ---------------------------------------------------------------------------------- */

static unsigned
decade(uint64_t value, uint64_t limit)
{
    unsigned i = 0;

    while (i < PROFILE_DECADES - 1 && value >= limit) {
        limit *= 10;
        i++;
    }
    return i;
}

unsigned
bucket_of_time(uint64_t ns)
{
    return decade(ns, 1000);
}

unsigned
bucket_of_bytes(uint64_t bytes)
{
    return decade(bytes, 1000);
}

unsigned
bucket_of_size(size_t size)
{
    unsigned log2 = log2_ceil(size);

    if (log2 <= 4) {
        return 0;
    }
    return log2 - 4 < PROFILE_SIZE_BUCKETS ? log2 - 4 : PROFILE_SIZE_BUCKETS - 1;
}

unsigned
histogram_buckets(enum profile_histogram histogram)
{
    return histogram == PROFILE_SIZES ? PROFILE_SIZE_BUCKETS : PROFILE_DECADES;
}

uint64_t
milli_of(double weight)
{
    return (uint64_t)(weight * 1000 + 0.5);
}

uint64_t
bytes_of(double weight, size_t size)
{
    return (uint64_t)(weight * (double)size + 0.5);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *
at(uint32_t place)
{
    return table.base + ((size_t)place << WORD_SHIFT);
}

/* Zeroed. 0: no room, and `spare` bytes are not for this purpose. lock(profile) held. */
static uint32_t
take(size_t bytes, size_t spare)
{
    size_t from = table.used;

    if (table.size - from < bytes + spare) {
        return 0;
    }
    table.used = from + align_up(bytes, 1u << WORD_SHIFT);
    return (uint32_t)(from >> WORD_SHIFT);
}

site_t *
site_at(uint32_t place)
{
    return at(place);
}

/* The cell that counts the bucket of that id; NULL: no room. lock(profile) held. */
static uint64_t *
bucket_cell(site_t *site, unsigned id)
{
    uint32_t *link = &site->cells;

    for (;;) {
        cells_t *cells;

        if (*link == 0 && (*link = take(sizeof *cells, 0)) == 0) {
            return NULL;
        }
        cells = at(*link);
        for (unsigned i = 0; i < CELL_BUCKETS; i++) {
            if (cells->id[i] == 0) {
                cells->id[i] = (uint8_t)id;
            }
            if (cells->id[i] == id) {
                return &cells->milli[i];
            }
        }
        link = &cells->next;
    }
}

static void
count(site_t *site, enum profile_histogram histogram, unsigned bucket, uint64_t milli)
{
    uint64_t *cell = bucket_cell(site, first_id[histogram] + bucket);

    if (cell != NULL) {
        *cell += milli;
    }
}

int
sites_init(size_t bytes)
{
    size_t buckets = (size_t)1 << log2_ceil(bytes / BYTES_PER_BUCKET);
    char *base;
    site_t *overflow;

    bytes = align_up(bytes, OS_PAGE);
    base = os_map(bytes, "tidemalloc profile: sites");
    if (base == NULL) {
        return ENOMEM;
    }
    table.buckets = (uint32_t *)(void *)base;
    table.stem_buckets = table.buckets + buckets;
    table.mask = buckets - 1;
    table.used = align_up((buckets + buckets / 2) * sizeof table.buckets[0], TIDE_CACHE_LINE);
    table.size = bytes;
    table.base = base;
    lock_acquire(&profile_lock);
    table.overflow = take(sizeof *overflow, 0);
    overflow = at(table.overflow);
    for (unsigned id = 1; id < first_id[PROFILE_HISTOGRAMS]; id++) {
        (void)bucket_cell(overflow, id); /* it must not be short of memory when it is needed */
    }
    site_totals.sites = 1;
    lock_release(&profile_lock);
    return 0;
}

/* --- sites ------------------------------------------------------------------------------------ */

uint64_t
site_hash(const frame_t *frames, size_t depth)
{
    uint64_t hash = depth;

    for (size_t i = 0; i < depth; i++) {
        hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}

/* How many of a stack's frames are its site's own. */
static size_t
own_frames(size_t depth)
{
    return depth == 0 ? 0 : (depth - 1) % STEM_FRAMES + 1;
}

static bool
is_same(const frame_t *a, const frame_t *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) == 0;
}

static bool
site_is(const site_t *site, const frame_t *frames, size_t depth)
{
    size_t from = own_frames(depth);

    if (site->depth != depth || !is_same(site->frames, frames, from)) {
        return false;
    }
    for (uint32_t place = site->stem; place != 0; from += STEM_FRAMES) {
        const stem_t *stem = at(place);

        if (!is_same(stem->frames, frames + from, STEM_FRAMES)) {
            return false;
        }
        place = stem->outer;
    }
    return true;
}

frame_t
site_frame(const site_t *site, size_t i)
{
    size_t own = own_frames(site->depth);
    const stem_t *stem;

    if (i < own) {
        return site->frames[i];
    }
    stem = at(site->stem);
    for (i -= own; i >= STEM_FRAMES; i -= STEM_FRAMES) {
        stem = at(stem->outer);
    }
    return stem->frames[i];
}

/* The stem of these frames and what is further out; 0: no room. lock(profile) held. */
static uint32_t
take_stem(const frame_t *frames, uint32_t outer)
{
    uint64_t hash = site_hash(frames, STEM_FRAMES) + outer * 0x9e3779b97f4a7c15u;
    uint32_t *bucket = &table.stem_buckets[(hash >> 32) & (table.mask >> 1)];
    uint32_t place = *bucket;
    stem_t *stem;

    for (; place != 0; place = stem->next) {
        stem = at(place);
        if (stem->outer == outer && is_same(stem->frames, frames, STEM_FRAMES)) {
            return place;
        }
    }
    place = take(sizeof *stem, table.size / CELLS_SHARE);
    if (place != 0) {
        stem = at(place);
        stem->outer = outer;
        memcpy(stem->frames, frames, sizeof stem->frames);
        stem->next = *bucket;
        *bucket = place;
    }
    return place;
}

uint32_t
sites_find(const frame_t *frames, size_t depth, uint64_t hash)
{
    uint32_t place = atomic_load_acquire(&table.buckets[hash & table.mask]);

    while (place != 0) {
        const site_t *site = at(place);

        if (site->hash == hash && site_is(site, frames, depth)) {
            return place;
        }
        place = site->next;
    }
    return 0;
}

uint32_t
sites_take_locked(const frame_t *frames, size_t depth, uint64_t hash)
{
    uint32_t *bucket = &table.buckets[hash & table.mask];
    uint32_t place = depth == 0 ? table.overflow : sites_find(frames, depth, hash);
    size_t own = own_frames(depth);
    uint32_t stem = 0;
    site_t *site;

    if (place != 0) {
        return place;
    }
    for (size_t end = depth; end > own; end -= STEM_FRAMES) {
        stem = take_stem(frames + end - STEM_FRAMES, stem);
        if (stem == 0) {
            return table.overflow;
        }
    }
    place = take(sizeof *site + own * sizeof frames[0], table.size / CELLS_SHARE);
    if (place == 0) {
        return table.overflow;
    }
    site = at(place);
    site->hash = hash;
    site->depth = (uint32_t)depth;
    site->index = site_totals.sites++;
    site->stem = stem;
    memcpy(site->frames, frames, own * sizeof frames[0]);
    site->next = atomic_load_relaxed(bucket);
    atomic_store_release(bucket, place); /* pairs with sites_find */
    return place;
}

uint32_t
sites_next(uint32_t place)
{
    size_t bucket = 0;

    if (place == 0) {
        return table.overflow;
    }
    if (place != table.overflow) {
        const site_t *site = at(place);

        if (site->next != 0) {
            return site->next;
        }
        bucket = (site->hash & table.mask) + 1;
    }
    for (; bucket <= table.mask; bucket++) {
        uint32_t first = atomic_load_acquire(&table.buckets[bucket]);

        if (first != 0) {
            return first;
        }
    }
    return 0;
}

/* --- figures ---------------------------------------------------------------------------------- */

/* Brings the live bytes at the beginnings of slots up to date: before each change. */
static void
advance(site_t *site, uint64_t now_ns)
{
    uint32_t slot = (uint32_t)(now_ns / SITE_SLOT_NS);
    uint32_t from = site->slot + 1;

    if (slot <= site->slot) {
        return;
    }
    if (slot - site->slot > SITE_SLOTS) {
        from = slot - SITE_SLOTS + 1;
    }
    for (uint32_t i = from; i <= slot; i++) {
        site->live_before[i % SITE_SLOTS] = site->figures.live_bytes;
    }
    site->slot = slot;
}

static void
add_live(site_t *site, int64_t bytes)
{
    struct profile_figures *f = &site->figures;

    f->live_bytes += bytes;
    site_totals.live_bytes += bytes;
    if (f->live_bytes > f->peak_live_bytes) {
        f->peak_live_bytes = f->live_bytes;
    }
}

void
site_allocated_locked(const sample_t *sample)
{
    site_t *site = at(sample->site);
    struct profile_figures *f = &site->figures;
    uint64_t bytes = bytes_of(sample->weight, sample->size);
    uint64_t milli = milli_of(sample->weight);

    advance(site, sample->born_ns);
    f->allocated_bytes += (int64_t)bytes;
    f->allocated_blocks += (int64_t)milli;
    f->live_blocks += (int64_t)milli;
    f->samples++;
    f->live_samples++;
    add_live(site, (int64_t)bytes);
    count(site, PROFILE_SIZES, bucket_of_size(sample->size), milli);
    counter_add(&site_totals.allocated_bytes, bytes);
    site_totals.allocated_milli += milli;
    site_totals.overflow += sample->site == table.overflow;
}

void
site_freed_locked(const sample_t *sample, uint64_t now_ns, uint32_t thread)
{
    site_t *site = at(sample->site);
    struct profile_figures *f = &site->figures;
    uint64_t bytes = bytes_of(sample->weight, sample->size);
    uint64_t milli = milli_of(sample->weight);
    uint64_t age_ns = now_ns > sample->born_ns ? now_ns - sample->born_ns : 0;

    advance(site, now_ns);
    f->live_blocks -= (int64_t)milli;
    f->live_samples--;
    if (thread == sample->thread) {
        f->freed_same_blocks += (int64_t)milli;
    } else {
        f->freed_other_blocks += (int64_t)milli;
    }
    add_live(site, -(int64_t)bytes);
    count(site, PROFILE_LIFETIME_NS, bucket_of_time(age_ns), milli);
    count(site, PROFILE_LIFETIME_BYTES,
          bucket_of_bytes(site_totals.allocated_bytes - sample->born_clock), milli);
    site_totals.freed_bytes += bytes;
}

void
site_resized_locked(const sample_t *from, const sample_t *to, uint64_t now_ns)
{
    site_t *site = at(from->site);
    struct profile_figures *f = &site->figures;
    uint64_t bytes = bytes_of(to->weight, to->size) - bytes_of(from->weight, from->size);
    uint64_t milli = milli_of(to->weight) - milli_of(from->weight); /* both may wrap: below 0 */

    advance(site, now_ns);
    f->allocated_bytes += (int64_t)bytes;
    f->allocated_blocks += (int64_t)milli;
    f->live_blocks += (int64_t)milli;
    f->live_samples -= to->weight <= 0;
    add_live(site, (int64_t)bytes);
    count(site, PROFILE_SIZES, bucket_of_size(from->size), 0 - milli_of(from->weight));
    count(site, PROFILE_SIZES, bucket_of_size(to->size), milli_of(to->weight));
    if ((int64_t)bytes > 0) {
        counter_add(&site_totals.allocated_bytes, bytes);
    } else {
        site_totals.freed_bytes -= bytes;
    }
}

struct profile_figures
site_figures_locked(site_t *site, uint64_t now_ns)
{
    struct profile_figures figures;

    advance(site, now_ns);
    figures = site->figures;
    figures.growth_bytes = figures.live_bytes - site->live_before[(site->slot + 1) % SITE_SLOTS];
    return figures;
}

void
site_histograms_locked(const site_t *site, struct site_histograms *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t place = site->cells; place != 0;) {
        const cells_t *cells = at(place);

        for (unsigned i = 0; i < CELL_BUCKETS && cells->id[i] != 0; i++) {
            unsigned h = cells->id[i] >= first_id[PROFILE_SIZES]            ? PROFILE_SIZES
                         : cells->id[i] >= first_id[PROFILE_LIFETIME_BYTES] ? PROFILE_LIFETIME_BYTES
                                                                            : PROFILE_LIFETIME_NS;

            out->buckets[h][cells->id[i] - first_id[h]] = cells->milli[i];
        }
        place = cells->next;
    }
}
