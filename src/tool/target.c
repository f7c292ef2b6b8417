/* SPDX-License-Identifier: MIT */
/*
 * The reader of the page. It is read by pread, never through a mapping: a file that is cut off
 * would end us by SIGBUS. The mapping is there for its address alone, by which the kernel knows the
 * bell.
 */
#include "tool/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tool/process.h"

enum { RING_MS = 10, READS_MAX = 200, ANSWER_MAX = 1 << 28 };

#define KEEPER_NAME "tide-keeper"

static const char page_link[] = "/memfd:" PAGE_NAME " (deleted)";

static bool TIDE_PRINTF(3, 4)
    fail(struct target *t, enum target_state state, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(t->problem, sizeof t->problem, format, arguments);
    va_end(arguments);
    t->state = state;
    return false;
}

/* ---- Finding it ------------------------------------------------------------------------------ */

static bool
fail_to_look(struct target *t, int error)
{
    struct stat status;
    struct passwd *owner = NULL;

    if (error == ENOENT || error == ESRCH) {
        return fail(t, TARGET_GONE, "process %d does not exist", t->pid);
    }
    if (fstat(t->directory, &status) == 0) {
        owner = getpwuid(status.st_uid);
    }
    if (error == EACCES || error == EPERM) {
        return fail(t, TARGET_FORBIDDEN,
                    "process %d may not be looked at (its owner is %s): run tide as that user, or "
                    "as root",
                    t->pid, owner != NULL ? owner->pw_name : "another user");
    }
    return fail(t, TARGET_BROKEN, "process %d: /proc/%d/fd cannot be read: %s", t->pid, t->pid,
                strerror(error));
}

/* Why there is no page, as far as that can be told. */
static bool
fail_without_page(struct target *t, bool inherited)
{
    if (process_state(t->directory) == 'Z') {
        return fail(t, TARGET_GONE, "process %d has ended", t->pid);
    }
    if (!process_is_on_tidemalloc(t->directory)) {
        return fail(t, TARGET_FOREIGN,
                    "process %d is not on tidemalloc: start the program by `tide run`", t->pid);
    }
    return fail(t, TARGET_PAGELESS,
                "process %d has no statistics page%s: it never held 16 MiB and was not sampled, "
                "has page:off or no background thread, or a system call filter; TIDE_CONF=page:on "
                "makes one at once",
                t->pid, inherited ? " of its own (it has inherited its parent's)" : "");
}

static void
close_task(struct target *t)
{
    if (t->task >= 0) {
        close(t->task);
    }
    t->task = -1;
}

/* The number is a link's name in /proc/PID/task/TID/fd. */
static bool
is_page(int directory, const char *number)
{
    char target[sizeof page_link + 1];
    ssize_t length = readlinkat(directory, number, target, sizeof target);

    return length == (ssize_t)sizeof page_link - 1 &&
           memcmp(target, page_link, (size_t)length) == 0;
}

/* A page that is being made is too short at first, and then marked as being written. */
static bool
read_page(struct target *t)
{
    const off_t at = offsetof(struct page_head, sequence);
    bool whole = false;

    for (unsigned i = 0; i < READS_MAX; i++) {
        uint32_t before = 1, after = 0;

        memset(t->copy, 0, sizeof t->copy);
        whole = pread(t->file, &before, sizeof before, at) == sizeof before &&
                pread(t->file, t->copy, sizeof t->copy, 0) >= (ssize_t)sizeof(struct page_head) &&
                pread(t->file, &after, sizeof after, at) == sizeof after;
        if (whole && before == after && (before & 1) == 0) {
            return target_check(t);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return fail(t, TARGET_BROKEN, "process %d: its statistics page %s", t->pid,
                whole ? "is always being written: it may have been stopped meanwhile"
                      : "cannot be read");
}

bool
target_check(struct target *t)
{
    struct page_head *head = &t->head;

    memcpy(head, t->copy, sizeof *head);
    head->library[sizeof head->library - 1] = '\0';
    if (memcmp(head->magic, PAGE_MAGIC, PAGE_MAGIC_BYTES) != 0) {
        return fail(t, TARGET_BROKEN, "process %d: its statistics page is none", t->pid);
    }
    if (head->version != PAGE_VERSION) {
        return fail(t, TARGET_BROKEN,
                    "process %d: its statistics page has version %" PRIu32
                    ", this tide reads version %u: use the tide that came with the library",
                    t->pid, head->version, PAGE_VERSION);
    }
    if (head->head_bytes < sizeof *head || head->head_bytes > PAGE_BYTES ||
        head->figure_bytes < sizeof(struct page_figure) || head->figure_bytes > PAGE_BYTES ||
        head->figure_count > (PAGE_BYTES - head->head_bytes) / head->figure_bytes) {
        return fail(t, TARGET_BROKEN, "process %d: its statistics page is damaged", t->pid);
    }
    t->state = TARGET_OPEN;
    return true;
}

/* One of the process's files that bears the page's name. False: it cannot be read, or is its
 * parent's; *inherited tells. */
static bool
open_candidate(struct target *t, int directory, const char *number, bool *inherited)
{
    struct stat status;

    t->file = tool_open_file(directory, number, &status);
    if (t->file < 0) {
        return fail(t, TARGET_BROKEN, "process %d: its statistics page cannot be opened: %s",
                    t->pid, strerror(errno));
    }
    t->number = atoi(number);
    /* Asked again: while it is made, it has another number for a moment. */
    if (read_page(t) && t->head.pid == process_own_id(t->directory) && target_refresh(t)) {
        t->mapping = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, t->file, 0);
        return true;
    }
    *inherited |= t->state == TARGET_OPEN && t->head.pid != process_own_id(t->directory);
    close(t->file);
    t->file = -1;
    return false;
}

/* Among the files of the thread that t->task is. */
static bool
find_page_of_task(struct target *t, bool *inherited)
{
    int fd = openat(t->task, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    bool found = false;

    if (files == NULL) {
        return fail_to_look(t, errno);
    }
    while (!found && (entry = readdir(files)) != NULL) {
        if (is_page(dirfd(files), entry->d_name)) {
            found = open_candidate(t, dirfd(files), entry->d_name, inherited);
        }
    }
    closedir(files);
    return found;
}

/* Is that thread of the process a keeper? */
static bool
is_keeper(int tasks, const char *number)
{
    char path[32], name[sizeof KEEPER_NAME + 1] = "";
    int fd;

    snprintf(path, sizeof path, "%.10s/comm", number);
    fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (read(fd, name, sizeof name - 1) < 0) {
        name[0] = '\0';
    }
    close(fd);
    return strncmp(name, KEEPER_NAME "\n", sizeof KEEPER_NAME) == 0;
}

static bool
find_page(struct target *t)
{
    int fd = openat(t->directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    bool inherited = false, found = false;
    struct dirent *entry;

    if (tasks == NULL) {
        return fail_to_look(t, errno);
    }
    while (!found && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.' && is_keeper(dirfd(tasks), entry->d_name)) {
            close_task(t);
            t->task = openat(dirfd(tasks), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
            found = t->task >= 0 && find_page_of_task(t, &inherited);
        }
    }
    closedir(tasks);
    if (!found && (t->problem[0] == '\0' || inherited)) {
        return fail_without_page(t, inherited);
    }
    if (found) {
        t->problem[0] = '\0'; /* of another file of that name */
    }
    return found;
}

bool
target_open(struct target *t, int pid)
{
    char path[32];

    *t = (struct target){
        .pid = pid, .directory = -1, .task = -1, .file = -1, .mapping = TARGET_UNMAPPED};
    snprintf(path, sizeof path, "/proc/%d", pid);
    t->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->directory < 0) {
        return fail_to_look(t, errno);
    }
    return find_page(t);
}

void
target_close(struct target *t)
{
    if (t->mapping != TARGET_UNMAPPED) {
        munmap(t->mapping, PAGE_BYTES);
    }
    if (t->file >= 0) {
        close(t->file);
    }
    if (t->directory >= 0) {
        close(t->directory);
    }
    close_task(t);
    t->mapping = TARGET_UNMAPPED;
    t->file = t->directory = -1;
}

/* Our file stays when the process has ended, and when it has closed it or made another. */
bool
target_refresh(struct target *t)
{
    char state = process_state(t->directory), path[32];
    struct stat ours, theirs;

    if (state == '\0' || state == 'Z' || state == 'X') {
        return fail(t, TARGET_GONE, "process %d has ended", t->pid);
    }
    snprintf(path, sizeof path, "fd/%d", t->number);
    if (fstat(t->file, &ours) != 0 || fstatat(t->task, path, &theirs, 0) != 0 ||
        ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) {
        return fail(t, TARGET_PAGELESS,
                    "process %d has closed its statistics page; it may make another", t->pid);
    }
    return read_page(t);
}

/* ---- Figures --------------------------------------------------------------------------------- */

const struct page_figure *
target_figure_at(const struct target *t, size_t index, struct page_figure *out)
{
    if (index >= t->head.figure_count) {
        return NULL;
    }
    memcpy(out, t->copy + t->head.head_bytes + index * t->head.figure_bytes, sizeof *out);
    out->name[sizeof out->name - 1] = '\0';
    for (char *c = out->name; *c != '\0'; c++) {
        if ((*c < 'a' || *c > 'z') && (*c < '0' || *c > '9') && *c != '_') {
            *c = '?';
        }
    }
    return out;
}

bool
target_figure(const struct target *t, const char *name, uint64_t *value)
{
    struct page_figure figure;

    for (size_t i = 0; target_figure_at(t, i, &figure) != NULL; i++) {
        if (strcmp(figure.name, name) == 0) {
            *value = figure.value;
            return true;
        }
    }
    return false;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static bool
lock_byte(struct target *t, enum page_question question, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)question, .l_len = 1};

    return fcntl(t->file, F_OFD_SETLK, &lock) == 0;
}

bool
target_ask(struct target *t, enum page_question question)
{
    if (!target_refresh(t)) {
        return false;
    }
    if ((t->head.flags & PAGE_ANSWERS) == 0) {
        return fail(t, t->state,
                    "process %d cannot answer: it has no background thread (background:false, or "
                    "threads are forbidden)",
                    t->pid);
    }
    if (question == PAGE_PROFILE && (t->head.flags & PAGE_HAS_PROFILE) == 0) {
        return fail(t, t->state,
                    "process %d keeps no profile: start the program by `tide run`, or with "
                    "TIDE_CONF=profile:true",
                    t->pid);
    }
    if (!lock_byte(t, question, F_RDLCK)) {
        return fail(t, t->state, "process %d cannot be asked: locking its page: %s", t->pid,
                    strerror(errno));
    }
    t->serials[question] = t->head.answers[question].serial;
    return true;
}

static void
ring(struct target *t)
{
    if (t->mapping != TARGET_UNMAPPED) {
        syscall(SYS_futex, (char *)t->mapping + offsetof(struct page_head, bell), FUTEX_WAKE, 1,
                NULL, NULL, 0);
    }
}

void
target_watch(struct target *t)
{
    if (t->state == TARGET_OPEN && lock_byte(t, PAGE_FIGURES, F_RDLCK)) {
        ring(t);
    }
}

/* The bytes of the open file. NULL: problem. */
static unsigned char *
read_answer(struct target *t, int fd, size_t size)
{
    unsigned char *bytes = malloc(size + 1);
    size_t got = 0;
    ssize_t n = 1;

    while (bytes != NULL && n > 0 && got < size) {
        n = pread(fd, bytes + got, size - got, (off_t)got);
        got += n > 0 ? (size_t)n : 0;
    }
    if (got < size || bytes == NULL) {
        free(bytes);
        fail(t, t->state, "process %d: its answer of %zu bytes cannot be read", t->pid, size);
        return NULL;
    }
    return bytes;
}

/* The answer the page speaks of. WAIT: it is gone already, or is another file. */
static enum target_reply
take_answer(struct target *t, const struct page_answer *answer, unsigned char **bytes,
            size_t *length)
{
    const int sealed = F_SEAL_WRITE | F_SEAL_SHRINK;
    enum target_reply reply = TARGET_WAIT;
    struct stat status;
    char path[32];
    int fd, seals;

    snprintf(path, sizeof path, "fd/%" PRId32, answer->fd);
    fd = tool_open_file(t->task, path, &status);
    if (fd < 0) {
        return TARGET_WAIT;
    }
    seals = fcntl(fd, F_GET_SEALS);
    if ((uint64_t)status.st_ino == answer->inode && seals >= 0 && (seals & sealed) == sealed) {
        *length = (size_t)status.st_size;
        if (status.st_size > ANSWER_MAX) {
            fail(t, t->state, "process %d: its answer has %zu bytes, which is absurd", t->pid,
                 *length);
        } else {
            *bytes = read_answer(t, fd, *length);
        }
        reply = *bytes != NULL ? TARGET_ANSWERED : TARGET_REFUSED;
    }
    close(fd);
    return reply;
}

enum target_reply
target_poll(struct target *t, enum page_question question, unsigned char **bytes, size_t *length)
{
    const struct page_answer *answer = &t->head.answers[question];
    enum target_reply reply;

    *bytes = NULL;
    if (!target_refresh(t)) {
        return TARGET_REFUSED;
    }
    if (answer->serial == t->serials[question]) {
        ring(t);
        return TARGET_WAIT;
    }
    t->serials[question] = answer->serial;
    if (answer->error != 0) {
        fail(t, t->state, "process %d could not answer: %s", t->pid, strerror(answer->error));
        reply = TARGET_REFUSED;
    } else {
        reply = take_answer(t, answer, bytes, length);
    }
    if (reply != TARGET_WAIT) {
        (void)lock_byte(t, question, F_UNLCK);
    }
    return reply;
}

static void
fail_to_wait(struct target *t, unsigned timeout_ms)
{
    char state = process_state(t->directory);

    if (state == 'T' || state == 't') {
        fail(t, t->state, "process %d does not answer: it is stopped", t->pid);
    } else {
        fail(t, t->state,
             "process %d did not answer within %u s: it is overloaded or frozen, or has closed its "
             "files%s",
             t->pid, timeout_ms / 1000,
             (t->head.flags & PAGE_HEARS) == 0 ? ", or its kernel cannot wake it (before 5.16)"
                                               : "");
    }
}

unsigned char *
target_answer(struct target *t, enum page_question question, unsigned timeout_ms, size_t *length)
{
    unsigned char *bytes;

    if (!target_ask(t, question)) {
        return NULL;
    }
    for (unsigned waited_ms = 0; waited_ms < timeout_ms; waited_ms += RING_MS) {
        switch (target_poll(t, question, &bytes, length)) {
        case TARGET_ANSWERED:
            return bytes;
        case TARGET_REFUSED:
            return NULL;
        case TARGET_WAIT:
        default:
            nanosleep(&(struct timespec){.tv_nsec = RING_MS * 1000000L}, NULL);
        }
    }
    fail_to_wait(t, timeout_ms);
    return NULL;
}

unsigned char *
target_read(int pid, enum page_question question, unsigned timeout_s, size_t *length)
{
    struct target target;
    unsigned char *bytes = NULL;

    if (target_open(&target, pid)) {
        bytes = target_answer(&target, question, timeout_s * 1000, length);
    }
    if (bytes == NULL) {
        tool_die(TOOL_INPUT, "%s", target.problem);
    }
    target_close(&target);
    return bytes;
}

void
target_profile(struct target *t, int pid, enum page_question question, unsigned timeout_s,
               struct profile *p)
{
    struct profile_problem problem;
    unsigned char *bytes = NULL;
    size_t length;

    if (target_open(t, pid)) {
        bool has_profile = (t->head.flags & PAGE_HAS_PROFILE) != 0;

        bytes =
            target_answer(t, has_profile ? question : PAGE_STATISTICS, timeout_s * 1000, &length);
    }
    if (bytes == NULL) {
        tool_die(TOOL_INPUT, "%s", t->problem);
    }
    *p = (struct profile){0};
    if (!profile_parse(p, bytes, length, 0, &problem)) {
        tool_die(TOOL_INPUT, "process %d: its answer is damaged at byte %" PRIu64 ": %s", pid,
                 problem.offset, problem.text);
    }
    free(bytes);
}
