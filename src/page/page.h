/* SPDX-License-Identifier: MIT */
/*
 * The statistics page of this process: who may look at it sees figures, and gets answers, without
 * the program's being stopped, signalled or asked. format.h has what is in it; see README.md.
 */
#ifndef TIDE_PAGE_PAGE_H
#define TIDE_PAGE_PAGE_H

#include "base/compiler.h"
#include "page/format.h"

enum page_when { PAGE_NEVER = 0, PAGE_LATER = 1, PAGE_AT_ONCE = 2 };

/* What the layers above put into it. Called without locks, by one thread at a time. */
struct page_config {
    unsigned when; /* init: enum page_when; LATER: when there is a keeper */
    /* init: writes at most max figures, and says how many. all: those that cost more, too. */
    size_t (*figures)(struct page_figure *out, size_t max, bool all);
    /* init: writes the answer, a .tide file. 0 or an errno value. */
    int (*answer)(enum page_question question, int fd);
    /* init: PAGE_HAS_PROFILE, PAGE_PROFILING */
    uint32_t (*flags)(void);
};
extern struct page_config page_config;

/* By the keeper's thread, which has a table of descriptors of its own (memfile_own_table), and
 * without locks. Makes the page; there is none, and what follows does nothing, where the kernel
 * refuses. */
void page_begin(void);
/* Refreshes the figures and answers readers. */
void page_pass(void);
/* Nanoseconds until it should pass again whatever happens; 0: it need not. */
uint64_t page_next_pass_ns(void);
/* What a reader wakes it by, for os_futex_wait_or_bell; NULL: there is no page. */
uint32_t *page_bell(void);
/* Nobody answers from here on. */
void page_end(void);

/* Are readers answered, so that a profile should have a keeper? */
bool page_is_wanted(void);

/* fork: the child has no page, and gets its own as any process does. */
void page_fork_child(void);

#endif
