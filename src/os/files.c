/* SPDX-License-Identifier: MIT */
/* Files, by their system calls; see os.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "os/os.h"

#define PATH_BYTES 4096u

TIDE_COLD int
os_file_open(const char *path, int flags, unsigned mode)
{
    int saved_errno = errno;
    int error = os_injected_fault("open");
    long fd;

    if (error != 0) {
        return -error;
    }
    do {
        fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, mode);
    } while (fd < 0 && errno == EINTR);
    return fd >= 0 ? (int)fd : -os_take_error(saved_errno);
}

TIDE_COLD long
os_file_read(int fd, void *buffer, size_t size)
{
    int saved_errno = errno;
    long count;

    do {
        count = syscall(SYS_read, fd, buffer, size);
    } while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -os_take_error(saved_errno);
}

TIDE_COLD void
os_file_close(int fd)
{
    int saved_errno = errno;

    syscall(SYS_close, fd);
    errno = saved_errno;
}

TIDE_COLD bool
os_file_is_own(int fd)
{
    struct stat status;
    int saved_errno = errno;
    bool own = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid();

    errno = saved_errno;
    return own;
}

TIDE_COLD int
os_file_remove(const char *path)
{
    int saved_errno = errno;

    return syscall(SYS_unlinkat, AT_FDCWD, path, 0) == 0 ? 0 : os_take_error(saved_errno);
}

TIDE_COLD int
os_file_rename(const char *from, const char *to, bool replace)
{
    int saved_errno = errno;
    int error = os_injected_fault("rename");
    long result;

    if (error != 0) {
        return error;
    }
    if (replace) {
        result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    } else { /* every file system can link; not all can rename so */
        result = syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
        if (result == 0) {
            result = syscall(SYS_unlinkat, AT_FDCWD, from, 0);
        }
    }
    return result == 0 ? 0 : os_take_error(saved_errno);
}

/* A file that grows beyond the process's limit would end it: the write is to fail instead. */
static int
write_unsignalled(int fd, int (*write)(int fd, void *arg), void *arg)
{
    static const struct timespec no_time;
    sigset_t only;
    sigset_t before;
    sigset_t pending;
    int error;

    sigemptyset(&only);
    sigaddset(&only, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    error = write(fd, arg);
    if (error == EFBIG && !sigismember(&pending, SIGXFSZ)) {
        (void)sigtimedwait(&only, NULL, &no_time);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

TIDE_COLD int
os_file_replace(const char *path, bool replace, int (*write)(int fd, void *arg), void *arg)
{
    char beside[PATH_BYTES];
    fmt_t name;
    int error;
    int fd;

    fmt_init_buffer(&name, beside, sizeof beside);
    fmt_printf(&name, "%s.tmp.%d", path, os_pid());
    if (fmt_is_truncated(&name)) {
        return ENAMETOOLONG;
    }
    if (replace) {
        (void)os_file_remove(beside); /* of a process of that number that was killed */
    }
    fd = os_file_open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -fd;
    }
    error = write_unsignalled(fd, write, arg);
    os_file_close(fd);
    if (error == 0) {
        error = os_file_rename(beside, path, replace);
    }
    if (error != 0) {
        (void)os_file_remove(beside);
    }
    return error;
}

TIDE_COLD int
os_make_directory(const char *path, unsigned mode)
{
    int saved_errno = errno;

    return syscall(SYS_mkdirat, AT_FDCWD, path, mode) == 0 ? 0 : os_take_error(saved_errno);
}

TIDE_COLD size_t
os_read_link(const char *path, char *buffer, size_t size)
{
    int saved_errno = errno;
    long count = syscall(SYS_readlinkat, AT_FDCWD, path, buffer, size - 1);

    errno = saved_errno;
    if (count < 0) {
        count = 0;
    }
    buffer[count] = '\0';
    return (size_t)count;
}
