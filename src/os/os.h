/* SPDX-License-Identifier: MIT */
/*
 * The contract with the kernel. Everything that leaves the process goes through here, so that
 * tests can fail the Nth call and so that an absent feature has one place to be absent in.
 *
 * Global rules: addresses and sizes are multiples of OS_PAGE and sizes are > 0 unless said.
 * Functions return 0 or an errno value; none sets errno (they save and restore it). None
 * allocates, none is a cancellation point, all are async-signal-safe and may be called under any
 * lock, though the slow ones (marked) should not be.
 */
#ifndef TIDE_OS_OS_H
#define TIDE_OS_OS_H

#include <errno.h>

#include "base/atomic.h"

#define OS_PAGE_SHIFT 12
#define OS_PAGE ((size_t)1 << OS_PAGE_SHIFT)

/* What the running kernel was found to offer. `init:` filled by os_init, refined when a call is
 * refused (a seccomp filter): then the bit is cleared and the fallback is used from there on. */
enum os_feature {
    OS_FEATURE_POPULATE_WRITE = 1u << 1,   /* 5.14 */
    OS_FEATURE_MREMAP_DONTUNMAP = 1u << 2, /* 5.7 */
    OS_FEATURE_THP = 1u << 3,              /* transparent huge pages are not `never` */
    OS_FEATURE_THP_ALWAYS = 1u << 4,       /* ... and `always`: one touched byte may cost 2 MiB */
    OS_FEATURE_DONTNEED = 1u << 5,         /* madvise(MADV_DONTNEED) is permitted */
    OS_FEATURE_VMA_NAMES = 1u << 6,        /* 5.17 with CONFIG_ANON_VMA_NAME */
    OS_FEATURE_THREADS = 1u << 7,          /* a background thread could be started (or not tried) */
    OS_FEATURE_HUGE_ZERO = 1u << 8,        /* a read of huge pages never written costs none */
    OS_FEATURE_FUTEX_WAITV = 1u << 9,      /* 5.16: a thread can wait for two words */
    OS_FEATURE_PURGE_RANGES = 1u << 10,    /* many ranges go back by one call; since 6.14 or so */
};

struct os_range {
    void *start;
    size_t size;
};
#define OS_RANGES_MAX 512u /* that one call should be asked for */

struct os_info {
    uint32_t features;    /* owner-w/any-r: enum os_feature */
    uint32_t overcommit;  /* init: vm.overcommit_memory, 0 when unknown */
    size_t address_limit; /* init: RLIMIT_AS in bytes, SIZE_MAX when unlimited */
    size_t huge_page;     /* init: bytes of a transparent huge page; 0 without THP */
};

extern struct os_info os_info;

/* Fills os_info. Opens two files below /proc and /sys when they exist. Called once. */
void os_init(void);

static inline bool
os_has(enum os_feature feature)
{
    return (atomic_load_relaxed(&os_info.features) & (uint32_t)feature) != 0;
}

/* errno, which is what it was before again: for functions that return an error. */
static inline int
os_take_error(int saved_errno)
{
    int error = errno;

    errno = saved_errno;
    return error;
}

/* Reserves address space, inaccessible, not charged, and in no core dump before it is committed.
 * `hint` may be NULL. NULL on failure. */
void *os_reserve(void *hint, size_t size);
/* Exactly at `address`, failing when anything is there: EEXIST, ENOMEM. */
int os_reserve_at(void *address, size_t size);
void os_unreserve(void *address, size_t size);

/* Where the calling thread's data is; 0: nowhere yet. Early: needs no thread-local data. */
uintptr_t os_thread_pointer(void);

/* Reserves and commits, without huge pages, under that name (os_name_range): a table of the
 * library's own. NULL on failure; os_unreserve takes it back. */
void *os_map(size_t size, const char *name);

/* Makes reserved pages readable and writable; fresh ones read as zero. ENOMEM. */
int os_commit(void *address, size_t size);
/* Makes reserved pages readable: zeros that cost no memory, and that mlockall need not populate one
 * by one where the kernel has a huge page of them. ENOMEM. */
int os_show_zeros(void *address, size_t size);
/* os_commit for a part of those. */
int os_commit_shown(void *address, size_t size);

/* Gives the pages back at once (MADV_DONTNEED, so that RSS tells the truth); they read as zero
 * afterwards. EPERM where a sandbox forbids it: nothing is given back then. */
int os_purge(void *address, size_t size);
/* The same for up to OS_RANGES_MAX ranges, by one call where the kernel can: 0.2 us a page instead
 * of 1.3. The last error; ranges that were refused have a size of 0 then, the others went. */
int os_purge_ranges(struct os_range *ranges, size_t count);

/* Asks for (or against) huge pages in the range. */
int os_advise_huge(void *address, size_t size, bool huge);

/* Faults the pages in, writable, from the calling thread: by the kernel, some at a time, or else by
 * touching them. Refused, some may be there. ENOMEM, EFAULT. (slow) */
int os_populate(void *address, size_t size);

/* Moves the pages of `from` to `to` (both committed, same size, `to` without contents wanted);
 * `from` reads as zero afterwards. ENOSYS when the kernel cannot. (slow) */
int os_move_pages(void *from, void *to, size_t size);

/* Replaces the range by fresh zero pages of one plain mapping (undoes os_move_pages's effect on
 * the mapping's identity so that neighbours merge again). (slow) */
int os_renew(void *address, size_t size);

/* Is every page of the range part of a mapping (mincore; yes where that is forbidden)? (slow) */
bool os_is_mapped(const void *address, size_t size);

/* Is the page of a mapping that mlock or mlockall keeps in RAM? Where pages can be moved, that can
 * be told. */
bool os_is_locked(void *address);

/* Which os pages of the range are in RAM (mincore): bit 0 of a byte each. False, and all 0: the
 * kernel does not tell. (slow) */
bool os_resident_pages(const void *address, size_t size, unsigned char *pages);
/* Bytes of the range that are in RAM. (slow) */
size_t os_resident_range(const void *address, size_t size);

/* VmRSS in bytes, 0 without /proc. (slow) */
size_t os_rss_bytes(void);

/* Threads of the process, 0 without /proc. */
unsigned os_thread_count(void);

uint64_t os_now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t os_real_ns(void); /* CLOCK_REALTIME */
uint64_t os_cpu_ns(void);  /* of the calling thread */
uint64_t os_random(void);  /* from the auxiliary vector; constant over the process's life */
int os_pid(void);          /* uncached */
int os_tid(void);

/* Waits while *word == expected, at most timeout_ns (0: for ever). Spurious returns allowed. */
void os_futex_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void os_futex_wake(uint32_t *word, int count);
/* The same, and for a bell, which is 0: it is rung by a FUTEX_WAKE, from another process as well.
 * Where the kernel cannot wait for both, nobody listens to the bell. */
void os_futex_wait_or_bell(uint32_t *word, uint32_t expected, uint32_t *bell, uint64_t timeout_ns);

/* Starts a detached thread, all signals blocked, small stack. EAGAIN, EPERM… */
int os_thread_start(void *(*run)(void *), void *arg);
/* Once, by a constructor: threads' stacks hold the static TLS of all that is loaded by then. */
void os_note_static_tls(void);
/* Is there a filter of system calls? It may end the process for one that it does not know. */
bool os_is_filtered(void);
/* Names the calling thread; and what it is called, 16 bytes. */
void os_name_thread(const char *name);
void os_get_thread_name(char *name);
/* Does the process `pid`, the caller's, have such a thread? */
bool os_thread_exists(int pid, int tid);

/* Files, by the system calls of the same names with O_CLOEXEC and O_NOCTTY; interruptions do not
 * show. The first two return a descriptor or a count, or minus an errno value. (slow) */
int os_file_open(const char *path, int flags, unsigned mode);
long os_file_read(int fd, void *buffer, size_t size);
void os_file_close(int fd);
/* A regular file of the process's user? */
bool os_file_is_own(int fd);
int os_file_remove(const char *path);
/* `replace`: whatever bears the name now; otherwise EEXIST. */
int os_file_rename(const char *from, const char *to, bool replace);
/* The file of that name is what `write` puts into a new one (mode 0600) beside it: whole, or not
 * there. 0, or what failed first. */
int os_file_replace(const char *path, bool replace, int (*write)(int fd, void *arg), void *arg);
/* With the mode; EEXIST. Not the directories above it. */
int os_make_directory(const char *path, unsigned mode);
/* Where the link points, terminated; 0 when it cannot be told. */
size_t os_read_link(const char *path, char *buffer, size_t size);

/* Copies what can be read of the process's own memory at `from`, which need not be mapped. Bytes
 * copied: all up to the first page that cannot be read; 0 where a sandbox forbids it. (slow) */
size_t os_read_memory(const void *from, void *to, size_t size);

/* write(2) until done or failed. */
void os_write(int fd, const char *text, size_t len);

/* Names a range in /proc/PID/maps where the kernel can. */
void os_name_range(void *address, size_t size, const char *name);

/* Tests only: when set, consulted before every fallible call; nonzero is returned as its error. */
extern int (*os_fault_hook)(const char *call); /* atomic(relaxed) */
/* Its answer, 0 without one. For os/. */
int os_injected_fault(const char *call);

#endif
