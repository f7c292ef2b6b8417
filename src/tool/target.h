/* SPDX-License-Identifier: MIT */
/*
 * A running process on tidemalloc, seen through its statistics page (page/format.h): without
 * stopping it, and with no right but to look into /proc/PID/fd.
 *
 * The process may end, be malicious, or have closed the page at any time: every function says so
 * instead of ending the program, in words that say what to do.
 */
#ifndef TIDE_TOOL_TARGET_H
#define TIDE_TOOL_TARGET_H

#include "page/format.h"
#include "tool/profile.h"

enum target_state {
    TARGET_OPEN,
    TARGET_GONE,      /* there is no such process (any more) */
    TARGET_FORBIDDEN, /* somebody else's */
    TARGET_FOREIGN,   /* not on tidemalloc */
    TARGET_PAGELESS,  /* on tidemalloc, but it has no page */
    TARGET_BROKEN,    /* the page cannot be understood */
};

/* No mapping. */
#define TARGET_UNMAPPED ((void *)-1)

struct target {
    int pid;
    int directory; /* /proc/PID: stays this process's whatever becomes of the number */
    int task;      /* of its keeper there, whose files the page and the answers are; -1: none */
    int file;      /* the page; -1: none */
    void *mapping; /* of the page, for the bell; nothing is read through it */
    enum target_state state;
    char problem[320];                /* why it is not open, or why there is no answer */
    unsigned char copy[PAGE_BYTES];   /* of the page, whole */
    struct page_head head;            /* as in the copy, checked */
    uint64_t serials[PAGE_QUESTIONS]; /* of the answers that were there when it was asked */
    int number;                       /* of the page's descriptor in the keeper */
};

/* Finds the page and reads it. False: state and problem say why. target_close() in either case. */
bool target_open(struct target *t, int pid);
void target_close(struct target *t);

/* Reads the page anew. False as above. */
bool target_refresh(struct target *t);
/* A figure of the copy. False: it has none of that name. */
bool target_figure(const struct target *t, const char *name, uint64_t *value);
/* The index-th figure; NULL: there are no more. Its name is terminated and printable. */
const struct page_figure *target_figure_at(const struct target *t, size_t index,
                                           struct page_figure *out);

/* As long as the target is open, its page is to have figures of spans, too; from the next time the
 * process comes round to it, for which it is woken. Again before each target_refresh(). */
void target_watch(struct target *t);

enum target_reply { TARGET_WAIT, TARGET_ANSWERED, TARGET_REFUSED };

/* Asks: the process answers until target_poll() has had an answer; false as above. */
bool target_ask(struct target *t, enum page_question question);
/* Is there an answer from after target_ask()? ANSWERED: *bytes, of malloc, a .tide file that nobody
 * has checked. WAIT: the bell was rung; come again. REFUSED: problem says why. */
enum target_reply target_poll(struct target *t, enum page_question question, unsigned char **bytes,
                              size_t *length);
/* Asks and waits for at most that time. NULL: problem says why. */
unsigned char *target_answer(struct target *t, enum page_question question, unsigned timeout_ms,
                             size_t *length);

enum { TARGET_TIMEOUT_S = 10, TARGET_TIMEOUT_MAX_S = 3600 };
/* All of it for one answer. Ends the program if there is none. */
unsigned char *target_read(int pid, enum page_question question, unsigned timeout_s,
                           size_t *length);

/* The same as a profile, with the target left open for more, and to be closed. Of a process that
 * keeps no profile PAGE_PROFILE is PAGE_STATISTICS. */
void target_profile(struct target *t, int pid, enum page_question question, unsigned timeout_s,
                    struct profile *p);

/* The checks alone, for tests: is this copy of a page one that can be used? Fills head. */
bool target_check(struct target *t);

#endif
