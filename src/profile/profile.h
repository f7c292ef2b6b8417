/* SPDX-License-Identifier: MIT */
/*
 * The profile: which call sites the process's memory comes from, and how long it lives. Off until
 * profile_start(). See README.md.
 */
#ifndef TIDE_PROFILE_PROFILE_H
#define TIDE_PROFILE_PROFILE_H

#include "base/fmt.h"

struct writer;

struct profile_config {
    size_t memory;                    /* init: bytes for sites */
    unsigned depth;                   /* init: frames of a site at most */
    unsigned unwinder;                /* init: enum unwind_how */
    unsigned signal;                  /* init: SIGRTMIN + this writes the profile; 0: none does */
    bool secure;                      /* init: raised privileges: replace no file */
    const char *out;                  /* init: pattern of the file's name; "" or NULL: none */
    size_t rate;                      /* runtime: bytes between samples */
    uint64_t every_bytes;             /* runtime: allocated between two writings; 0: never */
    uint32_t every_seconds;           /* runtime: likewise */
    void (*statistics)(fmt_t *out);   /* init: writes the STAT section's text; NULL: none */
    void (*series)(struct writer *w); /* init: writes SERI sections of others; NULL: none */
    bool keeper;                      /* init: samples want a keeper, which others may ask */
};
extern struct profile_config profile_config;

/* Begins or goes on. 0, ENOMEM. at_start: the program runs in one thread and has loaded nothing by
 * dlopen yet; then nothing is made before the first sample, unless the rate is a low one. Otherwise
 * it may load a library here: without locks. */
int profile_start(bool at_start);
/* Makes what a profile needs, if it was started and nobody did; are the tables there? The unwinder
 * is a library that is loaded. */
bool profile_begin(bool with_unwinder);
/* No more samples; those that live are followed on, and what is known is kept. */
void profile_stop(void);
bool profile_is_on(void);
/* Was it ever on, and has what it needs, or will have? */
bool profile_exists(void);
/* Are its tables there? */
bool profile_is_made(void);
/* Follows a change of the rate, if it is on. */
void profile_set_rate(size_t rate);

/* Writes the profile to the file, which bears its name only when it is complete. 0; ENODATA: there
 * never was a profile; or the error of the file. */
int profile_dump(const char *path);
/* The same to an open file, and to profile_config.out; the latter complains on standard error. */
int profile_write(int fd);
void profile_dump_configured(void);
/* Only what there is of the process as a whole, whether it has a profile or not. */
int profile_write_statistics(int fd);

/* What all samples come to; all 0 without a profile. */
struct profile_totals {
    uint64_t allocated_bytes;
    uint64_t allocated_blocks; /* in thousandths */
    uint64_t freed_bytes;
    uint64_t live_bytes;
    uint64_t sites;
    uint64_t lost_samples;
};
struct profile_totals profile_totals(void);

/* The calling thread has a table of descriptors of its own: it does not unwind, since libunwind
 * keeps descriptors for the whole process. */
void profile_without_files(void);

/* What is due, and closes intervals of the series: by the keeper, without locks. */
void profile_pass(void);
/* Nanoseconds until the next pass is wanted; 0: none is. */
uint64_t profile_next_pass_ns(void);
/* Something is due: defined by the keeper. Async-signal-safe. */
void profile_poke_keeper(void);
/* A pass is wanted, soon and now and then: may start a thread. False: there is none. Defined by the
 * keeper. */
bool profile_want_keeper(void);
bool profile_has_keeper(void);

/* fork: before all locks, whose holders may be waited for by who unwinds; and the lock itself. */
void profile_prefork(void);
void profile_lock_acquire(void);
void profile_postfork(bool in_child);
/* The child of a fork without handlers: before profile_postfork. */
void profile_fork_abrupt(void);

#endif
