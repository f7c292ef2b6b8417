/* SPDX-License-Identifier: MIT */
/*
 * Linux behind os.h. System calls used: mmap, munmap, mprotect, madvise, process_madvise, mremap,
 * mincore, futex, getpid, gettid, getrlimit, prctl(PR_SET_VMA, PR_SET_NAME), arch_prctl,
 * openat/read/close for three files at start, clock_gettime (vdso), write, prctl(PR_GET_SECCOMP)
 * before calls that filters may not know; for profiles unlinkat, renameat2, linkat, readlinkat,
 * process_vm_readv, prctl(PR_GET_NAME) and tgkill as well; pthread_create for the background
 * thread, which waits by futex_waitv, and for the one that loads an unwinder. Thin wrappers: no
 * retry loops, no alignment, no policy; those live in arena/.
 *
 * All go through raw syscall() where libc's wrapper would be a cancellation point; errno is saved.
 */
#include "os/os.h"

#ifdef __x86_64__
#include <asm/prctl.h>
#endif
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)
#endif

#define THREAD_STACK_BYTES ((size_t)128 << 10) /* dlopen's paths lie on one */
#define POPULATE_STEP ((size_t)256 << 10)      /* 64 page faults: 0.1 ms */

static size_t static_tls_bytes; /* init: 0: not known, and stacks are as large as usual */

TIDE_STATIC_ASSERT(sizeof(struct os_range) == sizeof(struct iovec) &&
                       offsetof(struct os_range, size) == offsetof(struct iovec, iov_len),
                   "ranges are handed to the kernel as they are");

struct os_info os_info = {.address_limit = SIZE_MAX};
int (*os_fault_hook)(const char *call);

int
os_injected_fault(const char *call)
{
    int (*hook)(const char *) = atomic_load_relaxed(&os_fault_hook);

    return unlikely(hook != NULL) ? hook(call) : 0;
}

/* The error of a call that returned -1, with the caller's errno put back. */
static void
drop_feature(enum os_feature feature)
{
    uint32_t features = atomic_load_relaxed(&os_info.features);

    atomic_store_relaxed(&os_info.features, features & ~(uint32_t)feature);
}

/* Reads the start of a small file; bytes read, 0 when it cannot be had. */
static size_t
read_file(const char *path, char *buffer, size_t size)
{
    int saved_errno = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    long got = 0;

    if (fd >= 0) {
        got = syscall(SYS_read, fd, buffer, size - 1);
        syscall(SYS_close, fd);
    }
    errno = saved_errno;
    if (got < 0) {
        got = 0;
    }
    buffer[got] = '\0';
    return (size_t)got;
}

/* The first letter of the choice in brackets; 0: there is none. */
static char
chosen_letter(const char *text)
{
    while (*text != '\0' && *text != '[') {
        text++;
    }
    return *text == '[' ? text[1] : '\0';
}

static void
detect_huge_pages(void)
{
    TIDE_WARM_TEXT(enabled_path, "/sys/kernel/mm/transparent_hugepage/enabled");
    TIDE_WARM_TEXT(zero_page_path, "/sys/kernel/mm/transparent_hugepage/use_zero_page");
    char text[64];
    char chosen; /* of always, madvise and never */

    if (read_file(enabled_path, text, sizeof text) == 0) {
        return;
    }
    chosen = chosen_letter(text); /* strstr would be 64 KiB more of libc in RAM */
    if (chosen == 'n') {
        return;
    }
    os_info.features |= OS_FEATURE_THP;
    os_info.huge_page = (size_t)2 << 20;
    if (chosen == 'a') {
        os_info.features |= OS_FEATURE_THP_ALWAYS;
    }
    if (read_file(zero_page_path, text, sizeof text) > 0 && text[0] == '1') {
        os_info.features |= OS_FEATURE_HUGE_ZERO;
    }
}

void
os_init(void)
{
    TIDE_WARM_TEXT(overcommit_path, "/proc/sys/vm/overcommit_memory");
    int saved_errno = errno;
    struct rlimit limit;
    char text[16];

    /* Assumed until a call is refused: asking in advance would cost every tiny process a call. */
    os_info.features = OS_FEATURE_POPULATE_WRITE | OS_FEATURE_MREMAP_DONTUNMAP |
                       OS_FEATURE_DONTNEED | OS_FEATURE_VMA_NAMES | OS_FEATURE_THREADS |
                       OS_FEATURE_FUTEX_WAITV | OS_FEATURE_PURGE_RANGES;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        os_info.address_limit = (size_t)limit.rlim_cur;
    }
    if (read_file(overcommit_path, text, sizeof text) > 0) {
        os_info.overcommit = (uint32_t)(text[0] - '0');
    }
    detect_huge_pages();
    errno = saved_errno;
}

static int
advise(void *address, size_t size, int advice, const char *call)
{
    int saved_errno = errno;
    int error = os_injected_fault(call);

    if (error == 0 && madvise(address, size, advice) != 0) {
        error = os_take_error(saved_errno);
    }
    return error;
}

/* The kernel does not dump what holds no pages; gdb's gcore reads all there is, a terabyte. */
static void
keep_out_of_dumps(void *address, size_t size)
{
    (void)advise(address, size, MADV_DONTDUMP, "dump"); /* refused: no harm */
}

void *
os_reserve(void *hint, size_t size)
{
    int saved_errno = errno;
    void *p;

    if (os_injected_fault("reserve") != 0) {
        return NULL;
    }
    p = mmap(hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved_errno;
    if (p == MAP_FAILED) {
        return NULL;
    }
    keep_out_of_dumps(p, size);
    return p;
}

TIDE_COLD int
os_reserve_at(void *address, size_t size)
{
    int saved_errno = errno;
    int error = os_injected_fault("reserve");
    void *p;

    if (error != 0) {
        return error;
    }
    p = mmap(address, size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == MAP_FAILED) {
        return os_take_error(saved_errno);
    }
    if (p != address) { /* a kernel before 4.17 took the address for a hint */
        munmap(p, size);
        errno = saved_errno;
        return EEXIST;
    }
    keep_out_of_dumps(p, size);
    return 0;
}

void
os_unreserve(void *address, size_t size)
{
    int saved_errno = errno;

    munmap(address, size);
    errno = saved_errno;
}

TIDE_EARLY uintptr_t
os_thread_pointer(void)
{
#ifdef __x86_64__
    uintptr_t base = 0;
    long result = SYS_arch_prctl;

    /* Not by libc's syscall, which may be another library's. */
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(ARCH_GET_FS), "S"(&base)
                     : "rcx", "r11", "memory");
    return result == 0 ? base : 0;
#else
    return (uintptr_t)__builtin_thread_pointer();
#endif
}

int
os_commit(void *address, size_t size)
{
    int saved_errno = errno;
    int error = os_injected_fault("commit");

    if (error == 0 && mprotect(address, size, PROT_READ | PROT_WRITE) != 0) {
        error = os_take_error(saved_errno);
    }
    if (error == 0) { /* refused: no harm */
        (void)advise(address, size, MADV_DODUMP, "dump");
    }
    return error;
}

int
os_purge(void *address, size_t size)
{
    int error;

    if (!os_has(OS_FEATURE_DONTNEED)) {
        return EPERM;
    }
    error = advise(address, size, MADV_DONTNEED, "purge");
    if (error == EPERM || error == ENOSYS || error == EACCES) {
        drop_feature(OS_FEATURE_DONTNEED);
    }
    return error;
}

/* Not under a system call filter: it may end the process for a call that it does not know. */
static bool
can_purge_at_once(void)
{
    return os_has(OS_FEATURE_PURGE_RANGES) && os_has(OS_FEATURE_DONTNEED) &&
           atomic_load_relaxed(&os_fault_hook) == NULL && !os_is_filtered();
}

/* How many of the ranges, from the first on, went back by one call; *error: why it did nothing. */
static size_t
purge_by_one_call(const struct os_range *ranges, size_t count, int *error)
{
    int saved_errno = errno;
    size_t done = 0;
    long got = syscall(SYS_process_madvise, PIDFD_SELF_THREAD, ranges, count, MADV_DONTNEED, 0);

    *error = got < 0 ? os_take_error(saved_errno) : 0;
    while (got > 0 && done < count) {
        got -= (long)ranges[done++].size;
    }
    return done;
}

TIDE_COLD int
os_purge_ranges(struct os_range *ranges, size_t count)
{
    bool at_once = count > 1 && can_purge_at_once();
    int refused = 0; /* behind such a range they go singly until one goes */
    int error = 0;

    for (size_t i = 0; i < count; i++) {
        int not_called = 0;

        if (at_once && refused == 0 && count - i > 1) {
            i += purge_by_one_call(ranges + i, count - i, &not_called);
            if (i == count) {
                break;
            }
        }
        refused = os_purge(ranges[i].start, ranges[i].size);
        if (refused != 0) {
            ranges[i].size = 0;
            error = refused;
        } else if (not_called != 0 && not_called != ENOMEM && not_called != EAGAIN) {
            drop_feature(OS_FEATURE_PURGE_RANGES); /* it was the call, not the range */
            at_once = false;
        }
    }
    return error;
}

int
os_show_zeros(void *address, size_t size)
{
    int saved_errno = errno;
    int error = os_injected_fault("commit");

    if (error == 0 && mprotect(address, size, PROT_READ) != 0) {
        error = os_take_error(saved_errno);
    }
    if (error == 0) { /* refused: no harm */
        (void)os_advise_huge(address, size, os_has(OS_FEATURE_HUGE_ZERO));
    }
    return error;
}

int
os_commit_shown(void *address, size_t size)
{
    int error = os_commit(address, size);

    if (error == 0) {
        (void)os_advise_huge(address, size, false);
    }
    return error;
}

int
os_advise_huge(void *address, size_t size, bool huge)
{
    return advise(address, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, "huge");
}

/* One call holds the process's mappings for reading, and who is to change them waits for it. */
TIDE_COLD int
os_populate(void *address, size_t size)
{
    int error = 0;

    if (!os_has(OS_FEATURE_POPULATE_WRITE)) {
        char nothing = 0;

        TIDE_OPAQUE(nothing); /* or the compiler knows that a load is enough */
        for (size_t at = 0; at < size; at += OS_PAGE) {
            (void)atomic_or_relaxed((char *)address + at, nothing); /* others may write there */
        }
        return 0;
    }
    for (size_t at = 0; at < size && error == 0; at += POPULATE_STEP) {
        error = advise((char *)address + at, min_zu(size - at, POPULATE_STEP), MADV_POPULATE_WRITE,
                       "populate");
    }
    if (error == EINVAL || error == EPERM || error == ENOSYS || error == EACCES) {
        drop_feature(OS_FEATURE_POPULATE_WRITE);
    }
    return error;
}

TIDE_COLD int
os_move_pages(void *from, void *to, size_t size)
{
    int saved_errno = errno;
    int error = os_injected_fault("move");

    if (error != 0 || !os_has(OS_FEATURE_MREMAP_DONTUNMAP)) {
        return error != 0 ? error : ENOSYS;
    }
    if (mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) ==
        MAP_FAILED) {
        error = os_take_error(saved_errno);
        if (error == EINVAL || error == EPERM || error == ENOSYS || error == EACCES) {
            drop_feature(OS_FEATURE_MREMAP_DONTUNMAP);
        }
    }
    return error;
}

TIDE_COLD int
os_renew(void *address, size_t size)
{
    int saved_errno = errno;
    int error = os_injected_fault("renew");

    if (error == 0 &&
        mmap(address, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        error = os_take_error(saved_errno);
    }
    return error;
}

TIDE_COLD bool
os_is_locked(void *address)
{
    int saved_errno = errno;

    /* Linux 5.4; the page is about to be moved or written, so it may be called cold. */
    return madvise(address, OS_PAGE, MADV_COLD) != 0 && os_take_error(saved_errno) == EINVAL;
}

TIDE_COLD bool
os_is_mapped(const void *address, size_t size)
{
    int saved_errno = errno;
    unsigned char pages[512];

    for (size_t at = 0; at < size; at += sizeof pages * OS_PAGE) {
        size_t part = size - at < sizeof pages * OS_PAGE ? size - at : sizeof pages * OS_PAGE;

        if (mincore((char *)(uintptr_t)address + at, part, pages) != 0 && errno == ENOMEM) {
            errno = saved_errno;
            return false;
        }
    }
    errno = saved_errno;
    return true;
}

TIDE_COLD bool
os_resident_pages(const void *address, size_t size, unsigned char *pages)
{
    int saved_errno = errno;
    bool told = mincore((void *)(uintptr_t)address, size, pages) == 0;

    if (!told) {
        memset(pages, 0, size >> OS_PAGE_SHIFT);
    }
    errno = saved_errno;
    return told;
}

TIDE_COLD size_t
os_resident_range(const void *address, size_t size)
{
    unsigned char pages[512];
    size_t resident = 0;

    for (size_t at = 0; at < size; at += sizeof pages * OS_PAGE) {
        size_t part = size - at < sizeof pages * OS_PAGE ? size - at : sizeof pages * OS_PAGE;

        if (!os_resident_pages((const char *)address + at, part, pages)) {
            break;
        }
        for (size_t i = 0; i < part >> OS_PAGE_SHIFT; i++) {
            resident += (pages[i] & 1u) << OS_PAGE_SHIFT;
        }
    }
    return resident;
}

TIDE_COLD size_t
os_rss_bytes(void)
{
    char text[128];
    const char *p = text;
    size_t pages = 0;

    if (read_file("/proc/self/statm", text, sizeof text) == 0) {
        return 0;
    }
    while (*p != '\0' && *p != ' ') {
        p++;
    }
    while (*p == ' ') {
        p++;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        pages = pages * 10 + (size_t)(*p - '0');
    }
    return pages << OS_PAGE_SHIFT;
}

TIDE_COLD unsigned
os_thread_count(void)
{
    struct stat status;
    int saved_errno = errno;
    unsigned links = stat("/proc/self/task", &status) == 0 ? (unsigned)status.st_nlink : 0;

    errno = saved_errno;
    return links > 2 ? links - 2 : 0; /* a directory's own two */
}

uint64_t
os_now_ns(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
os_real_ns(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

TIDE_COLD uint64_t
os_cpu_ns(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t
os_random(void)
{
    unsigned long at = getauxval(AT_RANDOM);
    uint64_t seed = 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)&seed;

    if (at != 0) {
        /* The second half: libc's stack and pointer guards are made of the first. */
        memcpy(&seed, (const char *)at + 8, sizeof seed);
    }
    /* One round of a 64-bit mixer, so that the guard itself is never published. */
    seed ^= seed >> 31;
    seed *= 0xbf58476d1ce4e5b9u;
    return seed ^ (seed >> 29);
}

int
os_pid(void)
{
    return (int)syscall(SYS_getpid);
}

TIDE_COLD int
os_tid(void)
{
    return (int)syscall(SYS_gettid);
}

void
os_futex_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    int saved_errno = errno;
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
                               (long)(timeout_ns % 1000000000u)};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns == 0 ? NULL : &timeout, NULL,
            0);
    errno = saved_errno;
}

TIDE_COLD void
os_futex_wait_or_bell(uint32_t *word, uint32_t expected, uint32_t *bell, uint64_t timeout_ns)
{
    int saved_errno = errno;
    uint64_t end_ns = os_now_ns() + timeout_ns; /* this call wants the time, not the span of it */
    struct timespec end = {(time_t)(end_ns / 1000000000u), (long)(end_ns % 1000000000u)};
    struct futex_waitv both[] = {
        {.val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
        {.val = 0, .uaddr = (uintptr_t)bell, .flags = FUTEX_32},
    };

    if (os_has(OS_FEATURE_FUTEX_WAITV)) {
        if (syscall(SYS_futex_waitv, both, TIDE_ARRAY_LEN(both), 0, timeout_ns == 0 ? NULL : &end,
                    CLOCK_MONOTONIC) >= 0 ||
            (errno != ENOSYS && errno != EPERM && errno != EINVAL && errno != EACCES)) {
            errno = saved_errno;
            return;
        }
        drop_feature(OS_FEATURE_FUTEX_WAITV);
        errno = saved_errno;
    }
    os_futex_wait(word, expected, timeout_ns);
}

void
os_futex_wake(uint32_t *word, int count)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
    errno = saved_errno;
}

static int
add_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t *sum = arg;

    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            *sum += info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;
        }
    }
    return 0;
}

/* At every start: not cold. */
void
os_note_static_tls(void)
{
    size_t sum = OS_PAGE; /* libc's own, and what it keeps for libraries to come */

    dl_iterate_phdr(add_tls, &sum);
    atomic_store_relaxed(&static_tls_bytes, sum);
}

TIDE_COLD int
os_thread_start(void *(*run)(void *), void *arg)
{
    int saved_errno = errno;
    int error = os_injected_fault("thread");
    size_t tls_bytes = atomic_load_relaxed(&static_tls_bytes);
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;

    if (error != 0) {
        return error;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (tls_bytes != 0) {
        pthread_attr_setstacksize(&attr, align_up(THREAD_STACK_BYTES + tls_bytes, OS_PAGE));
    }
    error = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        drop_feature(OS_FEATURE_THREADS);
    }
    errno = saved_errno;
    return error;
}

TIDE_COLD void
os_name_thread(const char *name)
{
    int saved_errno = errno;

    prctl(PR_SET_NAME, name, 0, 0, 0);
    errno = saved_errno;
}

TIDE_COLD void
os_get_thread_name(char *name)
{
    int saved_errno = errno;

    if (prctl(PR_GET_NAME, name, 0, 0, 0) != 0) { /* refused by a filter */
        name[0] = '\0';
    }
    errno = saved_errno;
}

TIDE_COLD bool
os_thread_exists(int pid, int tid)
{
    int saved_errno = errno;
    bool exists = syscall(SYS_tgkill, pid, tid, 0) == 0 || errno != ESRCH;

    errno = saved_errno;
    return exists;
}

TIDE_COLD size_t
os_read_memory(const void *from, void *to, size_t size)
{
    int saved_errno = errno;
    struct iovec here = {.iov_base = to, .iov_len = size};
    struct iovec there = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
    long count = syscall(SYS_process_vm_readv, os_pid(), &here, 1UL, &there, 1UL, 0UL);

    errno = saved_errno;
    return count > 0 ? (size_t)count : 0;
}

TIDE_COLD void
os_write(int fd, const char *text, size_t len)
{
    int saved_errno = errno;

    while (len > 0) {
        long n = syscall(SYS_write, fd, text, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        text += n;
        len -= (size_t)n;
    }
    errno = saved_errno;
}

void
os_name_range(void *address, size_t size, const char *name)
{
    int saved_errno = errno;

    if (os_has(OS_FEATURE_VMA_NAMES) &&
        prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, size, name) != 0) {
        drop_feature(OS_FEATURE_VMA_NAMES);
    }
    errno = saved_errno;
}

TIDE_COLD void *
os_map(size_t size, const char *name)
{
    void *p = os_reserve(NULL, size);

    if (p == NULL) {
        return NULL;
    }
    if (os_commit(p, size) != 0) {
        os_unreserve(p, size);
        return NULL;
    }
    (void)os_advise_huge(p, size, false);
    os_name_range(p, size, name);
    return p;
}

TIDE_COLD bool
os_is_filtered(void)
{
    int saved_errno = errno;
    int mode = prctl(PR_GET_SECCOMP);
    bool filtered = mode > 0 || (mode < 0 && errno != EINVAL); /* EINVAL: there are none */

    errno = saved_errno;
    return filtered;
}
