/* SPDX-License-Identifier: MIT */
/*
 * What earlier runs of the program grew by (predict/phase), kept in a directory: a file for each
 * build-id, read at the start, written when its phases are over and at the exit. So a program's
 * second run has its memory made ready from the first moment on.
 *
 * A file is written whole under another name and then renamed, so that readers never see half of
 * one; of two processes that end at the same time one's run may be lost. A file that is damaged, of
 * another version, of another build or of another user is as none, and replaced.
 */
#ifndef TIDE_KEEPER_LEARN_H
#define TIDE_KEEPER_LEARN_H

#include "base/compiler.h"

struct learn_counters {
    uint64_t known;    /* phases read at the start */
    uint64_t begun;    /* phases of this run */
    uint64_t forecast; /* of these: known */
    uint64_t saved;    /* times the file was written */
    uint64_t failed;   /* times it could not be */
};
extern struct learn_counters learn_counters; /* relaxed to read */

/* By the constructor, once: reads what is known of the program. The path, of a directory that is
 * made if need be, must remain valid. Bytes the program is expected to grow to. (slow) */
uint64_t learn_begin(const char *directory);

/* The level now, for what is learned. lock(pass) held. */
void learn_observe_locked(uint64_t now_ns, uint64_t level);
/* Bytes of growth expected within so long; 0: nothing is. lock(pass) held. */
uint64_t learn_advise_locked(uint64_t now_ns, uint64_t level, uint64_t within_ns);

/* Is anything learned in this process? */
bool learn_is_on(void);
/* Have all phases of the run ended, as they have at the exit, and is that not written yet?
 * lock(pass) held. */
bool learn_is_due_locked(uint64_t now_ns, bool at_exit);
/* How long until the phases of the run will have ended; 0: they have. The keeper's thread, or
 * before it is started. */
uint64_t learn_next_pass_ns(void);
/* To write what the run has shown until now, these three in turn; the first and the last without
 * locks. (slow) False: nothing is learned, or another thread is at it. */
bool learn_save_begin(void);
void learn_save_locked(void); /* lock(pass) held. */
void learn_save_end(bool changed);
bool learn_is_saving(void); /* between the first and the last */
/* The process ends, and what it learned is lost: counted. */
void learn_note_failure(void);
/* In a child of fork, whose growth is another program's: nothing is learned. */
void learn_fork_child(void);

#endif
