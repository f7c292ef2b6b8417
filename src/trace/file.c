/* SPDX-License-Identifier: MIT */
/*
 * The file: whether there is one, its head, and its chunks.
 *
 * What is recorded is written to shared mappings of the file, so nothing has to be done when the
 * process ends, by whatever. The file is open only while a chunk is claimed: programs close
 * descriptors that they do not know, and write to what then has their number. Zeros are written
 * before a chunk is mapped, for a mapped hole of a full disk is a SIGBUS.
 *
 * A forked child has none of its parent's mappings (MADV_DONTFORK) and begins a file of its own, or
 * is not recorded.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "trace/trace.h"

#define OUT_VARIABLE "TIDE_TRACE_OUT"
#define MAX_VARIABLE "TIDE_TRACE_MAX"
#define PID_VARIABLE "TIDE_TRACE_PID"
#define MAX_DEFAULT ((uint64_t)1 << 30)

/* Names of further images of one process: FILE.1, … */
enum { IMAGES_MAX = 1000 };

static struct trace_gate first_gate;
struct trace_gate *trace_gate = &first_gate;

static struct {
    struct trace_head *head; /* init: mapped */
    uint64_t seq;            /* atomic(relaxed): the last number given out */
    uint32_t generation;     /* init: */
    int owner;               /* init: the process that is recorded */
    bool follows;            /* init: forked children, too */
    uint64_t end;            /* lock: bytes of the file */
    uint64_t max;            /* init: bytes that it may have */
    dev_t device;            /* init: what the name must still mean */
    ino_t inode;
    char path[PATH_MAX]; /* init: */
} file;

/* ---- Words ----------------------------------------------------------------------------------- */

static void
say(const char *what, int error)
{
    char buffer[256];
    fmt_t out;

    fmt_init_fd(&out, 2, buffer, sizeof buffer);
    fmt_printf(&out, "libtidetrace: %s%s%s", file.path, file.path[0] != '\0' ? ": " : "", what);
    if (error != 0) {
        fmt_str(&out, ": ");
        fmt_error(&out, error);
    }
    fmt_char(&out, '\n');
    fmt_flush(&out);
}

void
trace_lock(void)
{
    while (atomic_exchange_acquire(&trace_gate->lock, 1) != 0) {
        sched_yield();
    }
}

/* Acquired by trace_lock. */
void
trace_unlock(void)
{
    atomic_store_release(&trace_gate->lock, 0);
}

uint32_t
trace_generation(void)
{
    return file.generation;
}

/* Relaxed is enough: two draws of which one happens before the other are in that order. */
uint64_t
trace_next_seq(void)
{
    return atomic_add_relaxed(&file.seq, 1);
}

uint64_t
trace_last_seq(void)
{
    return atomic_load_relaxed(&file.seq);
}

uint64_t
trace_now_ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) >> TRACE_TICK_SHIFT;
}

void
trace_count_lost(void)
{
    if (file.head != NULL) {
        atomic_add_relaxed(&file.head->lost, 1);
    }
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

void
trace_stop_locked(enum trace_stop why, int error)
{
    if (atomic_load_relaxed(&trace_gate->state) != GATE_ON) {
        return;
    }
    file.head->stop_seq = trace_last_seq();
    file.head->stop = why;
    atomic_store_relaxed(&trace_gate->state, GATE_OFF);
    say(why == TRACE_STOP_SIZE ? "the trace is as large as it may be (--max-size), and ends here"
                               : "the trace cannot be made longer, and ends here",
        error);
}

static int
write_zeros(int fd, uint64_t at, uint32_t bytes)
{
    static const char zeros[TRACE_PAGE];
    long written;

    while (bytes > 0) {
        written = pwrite(fd, zeros, bytes < sizeof zeros ? bytes : sizeof zeros, (off_t)at);
        if (written > 0) {
            at += (uint64_t)written;
            bytes -= (uint32_t)written;
        } else if (written == 0 || errno != EINTR) {
            return written == 0 ? ENOSPC : errno;
        }
    }
    return 0;
}

/* Zeros of the file at its end, mapped; NULL and errno. */
static void *
map_more(int fd, uint32_t bytes)
{
    struct rlimit limit;
    int error;
    void *at;

    /* A write beyond it would be a signal; the program may have lowered it. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && file.end + bytes > limit.rlim_cur) {
        error = EFBIG;
    } else {
        error = write_zeros(fd, file.end, bytes);
    }
    if (error != 0) {
        errno = error;
        return NULL;
    }
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)file.end);
    if (at == MAP_FAILED) {
        return NULL;
    }
    madvise(at, bytes, MADV_DONTFORK);
    file.end += bytes;
    return at;
}

/* The file that has the name may be another by now. */
static int
open_again(void)
{
    int fd = open(file.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;

    if (fd >= 0 &&
        (fstat(fd, &status) != 0 || status.st_dev != file.device || status.st_ino != file.inode)) {
        close(fd);
        errno = ESTALE;
        return -1;
    }
    return fd;
}

struct trace_chunk *
trace_chunk_claim_locked(enum trace_kind kind, uint32_t bytes)
{
    struct trace_chunk *chunk = NULL;
    uint64_t offset = file.end;
    int fd;

    if (atomic_load_relaxed(&trace_gate->state) != GATE_ON) {
        return NULL;
    }
    if (bytes > file.max - file.end) {
        trace_stop_locked(TRACE_STOP_SIZE, 0);
        return NULL;
    }
    fd = open_again();
    if (fd >= 0) {
        chunk = map_more(fd, bytes);
        close(fd);
    }
    if (chunk == NULL) {
        trace_stop_locked(TRACE_STOP_FILE, errno);
        return NULL;
    }
    chunk->kind = kind;
    chunk->offset = offset;
    chunk->bytes = bytes;
    chunk->magic = TRACE_CHUNK_MAGIC;
    return chunk;
}

void
trace_chunk_close(struct trace_chunk *chunk, uint32_t used)
{
    chunk->sum = trace_sum(chunk + 1, used);
    chunk->used = used;
    munmap(chunk, chunk->bytes);
}

/* ---- The beginning --------------------------------------------------------------------------- */

/* Bytes of a whole file of /proc, at most as many as there is room for. */
static size_t
read_whole(const char *path, char *to, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, to, room);

    if (fd >= 0) {
        close(fd);
    }
    return n < 0 ? 0 : (size_t)n;
}

static void
fill_head(struct trace_head *head)
{
    struct timespec now;
    ssize_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    head->version = TRACE_VERSION;
    head->tick_ns = 1u << TRACE_TICK_SHIFT;
    head->pid = (uint32_t)file.owner;
    head->start_real_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    head->start_tick = trace_now_ticks();
    head->first_seq = trace_last_seq();
    n = readlink("/proc/self/exe", head->program, sizeof head->program - 1);
    head->program[n < 0 ? 0 : n] = '\0';
    read_whole("/proc/self/cmdline", head->command, sizeof head->command - 1);
    memcpy(head->magic, TRACE_MAGIC, TRACE_MAGIC_BYTES);
}

/* A file that did not exist: the name, or the name and a number. */
static int
create(const char *pattern)
{
    int fd = -1;
    fmt_t out;

    for (unsigned image = 0; image < IMAGES_MAX && fd < 0; image++) {
        char name[PATH_MAX];

        fmt_init_buffer(&out, name, sizeof name);
        fmt_path(&out, pattern, file.owner);
        if (image > 0) {
            fmt_printf(&out, ".%u", image);
        }
        if (fmt_is_truncated(&out)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(file.path, name, sizeof name);
        fd = open(file.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return fd;
}

static uint64_t
size_allowed(void)
{
    const char *text = secure_getenv(MAX_VARIABLE);
    uint64_t max = text == NULL ? MAX_DEFAULT : strtoull(text, NULL, 10);
    struct rlimit limit;

    /* A write beyond it would be a signal. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < max) {
        max = limit.rlim_cur;
    }
    return max & ~(uint64_t)(TRACE_PAGE - 1);
}

static bool
make_file(const char *pattern)
{
    int fd = create(pattern);
    struct stat status;

    file.end = 0;
    file.max = size_allowed();
    file.head = NULL;
    if (fd >= 0 && fstat(fd, &status) == 0) {
        file.device = status.st_dev;
        file.inode = status.st_ino;
        errno = EFBIG;
        file.head = file.max < TRACE_PAGE ? NULL : map_more(fd, TRACE_PAGE);
    }
    if (file.head == NULL) {
        say("the trace cannot be written", errno);
    } else {
        fill_head(file.head);
    }
    if (fd >= 0) {
        close(fd);
    }
    return file.head != NULL;
}

/* Where a child of fork will find zeros. */
static void
make_gate(void)
{
    struct trace_gate *gate =
        mmap(NULL, TRACE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (gate != MAP_FAILED && madvise(gate, TRACE_PAGE, MADV_WIPEONFORK) == 0) {
        trace_gate = gate;
    } else {
        /* Kernels before 4.14: rather no trace than two processes in one file. */
        say("this kernel cannot tell a forked child (MADV_WIPEONFORK): no trace", errno);
        first_gate.state = GATE_OFF;
    }
}

static bool
decide(void)
{
    const char *pattern = secure_getenv(OUT_VARIABLE), *pid = secure_getenv(PID_VARIABLE);
    int self = getpid();
    bool is_child = file.owner != 0;

    file.generation++; /* what a child's threads remember of chunks is its parent's */
    if (pattern == NULL || pattern[0] == '\0' || (is_child && !file.follows)) {
        return false;
    }
    /* A name without the process's number is for the first process alone. */
    file.follows = strstr(pattern, "%p") != NULL;
    if (!file.follows && (pid == NULL || strtol(pid, NULL, 10) != self)) {
        return false;
    }
    file.owner = self;
    if (is_child) {
        trace_sites_forget();
    }
    return make_file(pattern);
}

TIDE_COLD void
trace_begin(void)
{
    int saved_errno = errno, cancel;

    if (environ == NULL) { /* libc is not yet there: later */
        return;
    }
    if (trace_gate == &first_gate) { /* the process's first moments: nobody else is there */
        make_gate();
    }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    trace_lock();
    if (atomic_load_relaxed(&trace_gate->state) == GATE_UNKNOWN) {
        atomic_store_relaxed(&trace_gate->state, decide() ? GATE_ON : GATE_OFF);
    }
    trace_unlock();
    pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
}

/* A program that allocates nothing has a trace, too: an empty one. */
__attribute__((constructor)) static void
begin_at_last(void)
{
    if (atomic_load_relaxed(&trace_gate->state) == GATE_UNKNOWN) {
        trace_begin();
    }
}
