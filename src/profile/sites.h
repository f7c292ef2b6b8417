/* SPDX-License-Identifier: MIT */
/*
 * Sites: what is known of each call stack that allocates, in bounded memory.
 *
 * A frame is a module's number and an offset, so that a plug-in loaded again elsewhere is the same
 * site and one loaded at its old place is not. Site 0 has no frames and takes what has no room.
 *
 * Counting identity, for each site and so for their sum: allocated less freed is live, in blocks;
 * the size histogram sums up to the allocated blocks, the lifetimes to the freed ones.
 */
#ifndef TIDE_PROFILE_SITES_H
#define TIDE_PROFILE_SITES_H

#include "os/lock.h"
#include "profile/format.h"

/* All of the profile's tables. Whoever takes it has said so first (profile_enter): a signal
 * handler that allocates must not wait for the thread it interrupted. */
extern lock_t profile_lock; /* rank profile */

/* Module + 1 and the offset in its file; or 0 and an address. */
typedef uint64_t frame_t;
#define FRAME_OFFSET_BITS 48
#define FRAME_MODULES_MAX 65535u

static inline frame_t
frame_make(uint32_t module_plus_1, uint64_t offset)
{
    return (frame_t)module_plus_1 << FRAME_OFFSET_BITS |
           (offset & (((uint64_t)1 << FRAME_OFFSET_BITS) - 1));
}

static inline uint32_t
frame_module_plus_1(frame_t frame)
{
    return (uint32_t)(frame >> FRAME_OFFSET_BITS);
}

static inline uint64_t
frame_offset(frame_t frame)
{
    return frame & (((uint64_t)1 << FRAME_OFFSET_BITS) - 1);
}

/* Live bytes are kept as they were at the beginning of each of the last slots: growth. */
#define SITE_SLOTS 6u
#define SITE_SLOT_NS 10000000000u

typedef struct site {
    uint64_t hash;                  /* const: of the frames */
    uint32_t next;                  /* const: place of the next site of the bucket; 0: none */
    uint32_t index;                 /* const: sites before it */
    uint32_t cells;                 /* lock(profile): place of its first histogram cells; 0: none */
    uint32_t depth;                 /* const: frames */
    uint32_t stem;                  /* const: place of what comes after its own frames; 0: none */
    uint32_t slot;                  /* lock(profile): of the latest change */
    struct profile_figures figures; /* lock(profile): growth_bytes is made when asked for */
    int64_t live_before[SITE_SLOTS]; /* lock(profile): at the beginning of slot i % SITE_SLOTS */
    frame_t frames[];                /* const: the innermost ones, innermost first: site_frame */
} site_t;

/* An allocation that was sampled, while it lives. */
typedef struct sample {
    uintptr_t address;   /* 0: none */
    size_t size;         /* asked for */
    double weight;       /* allocations it stands for */
    uint64_t born_ns;    /* os_now_ns */
    uint64_t born_clock; /* bytes the process had allocated, this one included */
    uint32_t site;       /* its place */
    uint32_t thread;     /* that allocated it */
} sample_t;

/* What the samples of a process come to. */
struct site_totals {
    uint64_t
        allocated_bytes; /* lock(profile) to write, relaxed to read: growth included; a clock */
    uint64_t allocated_milli; /* lock(profile): blocks, in thousandths */
    uint64_t freed_bytes;     /* lock(profile): what shrank included */
    int64_t live_bytes;       /* lock(profile): */
    uint64_t overflow;        /* lock(profile): samples of sites that had no room */
    uint32_t sites;           /* lock(profile): with the overflow site */
};
extern struct site_totals site_totals;

/* Makes the table, at most `bytes` large; once. 0 or ENOMEM. */
int sites_init(size_t bytes);

uint64_t site_hash(const frame_t *frames, size_t depth);
/* The place of the site, or 0: there is none (or the overflow site). Any thread, no lock. */
uint32_t sites_find(const frame_t *frames, size_t depth, uint64_t hash);
/* Makes it when there is none; the overflow site when there is no room. lock(profile) held. */
uint32_t sites_take_locked(const frame_t *frames, size_t depth, uint64_t hash);

site_t *site_at(uint32_t place);
/* Innermost first, i below its depth. */
frame_t site_frame(const site_t *site, size_t i);

/* A sample begins, ends (by which thread), and changes size and weight: it is then counted as if it
 * had always been so; weight 0: as if it had never been. lock(profile) held. */
void site_allocated_locked(const sample_t *sample);
void site_freed_locked(const sample_t *sample, uint64_t now_ns, uint32_t thread);
void site_resized_locked(const sample_t *from, const sample_t *to, uint64_t now_ns);

/* The site's figures as of now, growth included. lock(profile) held. */
struct profile_figures site_figures_locked(site_t *site, uint64_t now_ns);
/* Its histograms but for the ages, which are not kept: buckets[PROFILE_AGE_NS] is cleared. */
struct site_histograms {
    uint64_t buckets[PROFILE_HISTOGRAMS][PROFILE_SIZE_BUCKETS]; /* blocks in thousandths */
};
void site_histograms_locked(const site_t *site, struct site_histograms *out);

/* The places of all sites, one after the other, from 0 (which gives the overflow site's). 0: no
 * more. Sites made meanwhile may be missed. */
uint32_t sites_next(uint32_t place);

/* Buckets of format.h. */
unsigned bucket_of_time(uint64_t ns);
unsigned bucket_of_bytes(uint64_t bytes);
unsigned bucket_of_size(size_t size);
unsigned histogram_buckets(enum profile_histogram histogram);
/* The weight in thousandths of a block. */
uint64_t milli_of(double weight);
/* The bytes that so many blocks of the size are, rounded. */
uint64_t bytes_of(double weight, size_t size);

#endif
