/* SPDX-License-Identifier: MIT */
/* memfile.h by memfd_create. */
#include "os/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define FD_FIRST 3

bool
memfile_own_table(void)
{
    int saved_errno = errno;
    bool owns = !os_is_filtered() && syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0;

    errno = saved_errno;
    return owns;
}

static int
make_named(const char *name)
{
    long fd = syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) { /* before 6.3 */
        fd = syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return (int)fd;
}

/* The same file by a number from FD_FIRST on; -1 on failure. */
static int
move_up(int low)
{
    int fd = low < 0 || low >= FD_FIRST ? low : fcntl(low, F_DUPFD_CLOEXEC, FD_FIRST);

    if (fd != low) {
        os_file_close(low);
    }
    return fd;
}

int
memfile_make(memfile_t *file, const char *name)
{
    int saved_errno = errno;
    int error = os_injected_fault("memfile");
    struct stat status;
    int fd;

    *file = (memfile_t){0};
    if (error != 0) {
        return error;
    }
    fd = move_up(make_named(name));
    if (fd < 0 || fstat(fd, &status) != 0) {
        error = os_take_error(saved_errno);
        os_file_close(fd);
        return error;
    }
    (void)fchmod(fd, 0444); /* who may look into /proc/PID/fd is the kernel's rule */
    errno = saved_errno;
    *file = (memfile_t){.inode = (uint64_t)status.st_ino, .fd = fd};
    return 0;
}

void *
memfile_map(const memfile_t *file, size_t size)
{
    int saved_errno = errno;
    void *p = MAP_FAILED;

    /* Allocated now: a write to a page that cannot be had would be a SIGBUS. */
    if (syscall(SYS_fallocate, file->fd, 0, 0L, (long)size) == 0) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    }
    if (p != MAP_FAILED && madvise(p, size, MADV_DONTFORK) != 0) {
        (void)munmap(p, size);
        p = MAP_FAILED;
    }
    errno = saved_errno;
    return p == MAP_FAILED ? NULL : p;
}

int
memfile_seal(const memfile_t *file, bool is_mapped)
{
    int saved_errno = errno;
    int writes = is_mapped ? F_SEAL_FUTURE_WRITE : F_SEAL_WRITE;

    if (fcntl(file->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | writes | F_SEAL_SEAL) != 0) {
        return os_take_error(saved_errno);
    }
    return 0;
}

void
memfile_close(memfile_t *file)
{
    if (memfile_exists(file)) {
        os_file_close(file->fd);
    }
    *file = (memfile_t){0};
}

/* Is there a lock on these bytes? */
static bool
is_locked(int fd, unsigned from, unsigned count)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)from, .l_len = (off_t)count};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

unsigned
memfile_locks(const memfile_t *file, unsigned count)
{
    int saved_errno = errno;
    unsigned locks = 0;

    if (is_locked(file->fd, 0, count)) {
        for (unsigned i = 0; i < count; i++) {
            locks |= (unsigned)is_locked(file->fd, i, 1) << i;
        }
    }
    errno = saved_errno;
    return locks;
}
