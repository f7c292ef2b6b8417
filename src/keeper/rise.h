/* SPDX-License-Identifier: MIT */
/*
 * Pages ready before they are asked for: free memory is populated by the keeper's thread as far as
 * predict/rise advises and the machine permits. Allocating threads say when what is ready runs low
 * (arena_runs_low), so a look costs nothing while nothing grows.
 */
#ifndef TIDE_KEEPER_RISE_H
#define TIDE_KEEPER_RISE_H

#include "base/compiler.h"

/* lock(pass) to write, relaxed to read. */
struct rise_counters {
    uint64_t advised; /* looks that found less ready than should be */
    uint64_t tried;   /* of those: the machine had room and an idle CPU */
    uint64_t applied; /* of those: something was made ready */
    uint64_t woken;   /* times that who ran low woke the thread */
    uint64_t used_bytes;
    uint64_t regretted_bytes; /* made ready, and given back unused */
};
extern struct rise_counters rise_counters;

enum rise_reason {
#define RISE_REASON(name, text) RISE_##name,
#include "keeper/reasons.def"
};

/* What the last look saw, and why it made ready what it did. */
struct rise_report {
    uint64_t looked_ns;         /* os_now_ns() of it; 0: none yet */
    uint64_t lead_ns;           /* growth is within that time */
    uint64_t growth_bytes;      /* the most it grew by within a lead */
    uint64_t bound_bytes;       /* the most that may be ready */
    uint64_t advised_bytes;     /* should be ready */
    uint64_t learned_bytes;     /* of these, for what earlier runs grew by at this time */
    uint64_t promised_bytes;    /* of these, that the program said it will need */
    uint64_t granted_bytes;     /* of these, that the machine has room for; if it was asked */
    uint64_t ready_slice_bytes; /* are, as free slices */
    uint64_t ready_block_bytes; /* are, as blocks made to measure */
    int64_t credit_bytes;
    enum rise_reason reason;
};
/* lock(pass) held. */
void rise_report_locked(struct rise_report *out);

/* Looks, makes ready what should be, and sets the marks for the next look. How long until that one,
 * while memory grows: to be woken for it costs the waking thread more; 0: when the marks say so.
 * lock(pass) held. (slow) */
uint64_t rise_look_locked(void);

/* Once, by the thread, which has a table of files of its own: without, there are no looks. */
void rise_begin(void);

/* Was what growth needed made ready, of late, and mostly used? */
bool rise_is_able(void);

/* Free memory that is to keep its pages for it. */
size_t rise_keeps_bytes(void);

/* So many bytes of free memory were given back. lock(pass) held. */
void rise_purged_locked(size_t bytes);

/* Is anything kept for growth that may not come? */
bool rise_holds(void);
/* Gives up the blocks made to measure. lock(pass) held. */
void rise_drop_locked(void);

/* No more looks: the thread ends, or it was another process's. */
void rise_end(void);

/* A fork is about to happen: pages made ready would be copied, or shared, for nothing. */
void rise_note_fork(void);

#endif
