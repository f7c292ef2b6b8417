/* SPDX-License-Identifier: MIT */
/*
 * The statistics page: a file in memory of one os page, sealed, among the files of the process's
 * keeper: named PAGE_NAME in /proc/PID/task/TID/fd. Reading it needs the rights to look there, and
 * nothing of the process.
 *
 *   page = struct page_head, then figure_count times struct page_figure
 *
 * What is under the sequence changes; a reader copies the page, and copies it again when the
 * sequence was odd or is another afterwards. Figures are found by their names, which are those of
 * api/stats.def, and profile_* for what a profile has (profile_blocks in thousandths). Times are
 * nanoseconds since 1970. Integers are the machine's own.
 *
 * Questions. A reader that wants to know more holds a lock (fcntl, F_OFD_SETLK, F_RDLCK) on byte q
 * of the file as long as it wants answers to question q, and rings: FUTEX_WAKE, not private, on
 * `bell`, which is always 0, until the serial number of that answer has changed; a process that
 * does not hear (PAGE_HEARS) looks now and then. The answer is another file in memory, a .tide file
 * (profile/format.h): the descriptor of the process and the inode are in the page. It is sealed, so
 * that it never changes, and is gone some time after the lock. Answers come at most every
 * PAGE_ANSWER_NS, and at most a fiftieth of the time goes into them.
 *
 * A page that was inherited through fork is its parent's: `pid` says so (in the process's own
 * namespace of process ids: the last number of NSpid in /proc/PID/status).
 *
 * A reader believes nothing: sizes, counts and names are checked before they are used.
 */
#ifndef TIDE_PAGE_FORMAT_H
#define TIDE_PAGE_FORMAT_H

#include <stdint.h>

#define PAGE_NAME "tidemalloc"
#define PAGE_MAGIC "\x89TIDEpg\n"
#define PAGE_MAGIC_BYTES 8
#define PAGE_VERSION 1u /* of the head; figures and questions may be added without another */
#define PAGE_BYTES 4096u
#define PAGE_ANSWER_NS 200000000u

enum page_question {
    PAGE_STATISTICS = 0, /* META, the series of a profile, STAT */
    PAGE_PROFILE = 1,    /* all of a profile; PAGE_HAS_PROFILE says whether there is one */
    PAGE_QUESTIONS = 2,
    PAGE_FIGURES = 2, /* no answer: figures of spans, such as allocated_bytes, are in the page */
    PAGE_LOCKS = 3,
};

enum page_flag {
    PAGE_ANSWERS = 1u << 0,     /* there is a background thread, which answers */
    PAGE_HEARS = 1u << 1,       /* it hears the bell while it sleeps */
    PAGE_HAS_PROFILE = 1u << 2, /* sites have been sampled */
    PAGE_PROFILING = 1u << 3,   /* and are being sampled now */
};

struct page_answer {
    uint64_t serial;  /* answers so far; 0: none yet */
    uint64_t time_ns; /* of the latest */
    uint64_t inode;   /* of its file; 0: it is gone, or there was an error */
    int32_t fd;       /* its number in the process */
    int32_t error;    /* errno value: why there is no answer; 0: there is */
};

struct page_head {
    char magic[PAGE_MAGIC_BYTES];               /* const: */
    uint32_t version;                           /* const: */
    uint32_t head_bytes;                        /* const: of this struct */
    uint32_t figure_bytes;                      /* const: of a struct page_figure */
    int32_t pid;                                /* const: whose it is */
    char library[32];                           /* const: version of the library */
    uint64_t start_ns;                          /* const: when the page was made */
    uint32_t bell;                              /* const: 0 */
    uint32_t sequence;                          /* atomic: odd while what follows changes */
    uint64_t time_ns;                           /* atomic(relaxed): of the figures */
    uint32_t flags;                             /* atomic(relaxed): enum page_flag */
    uint32_t figure_count;                      /* atomic(relaxed): */
    struct page_answer answers[PAGE_QUESTIONS]; /* atomic(relaxed): */
};

struct page_figure {
    char name[32];
    uint64_t value;
};

#define PAGE_FIGURES_MAX ((PAGE_BYTES - sizeof(struct page_head)) / sizeof(struct page_figure))

#endif
