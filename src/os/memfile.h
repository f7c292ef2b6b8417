/* SPDX-License-Identifier: MIT */
/*
 * Files in memory that other processes find in /proc/PID/task/TID/fd by their name and may read,
 * not write.
 *
 * The thread that makes them has a table of descriptors of its own (memfile_own_table): in the
 * program's, a number that is ours for a moment only may be given to another file by dup2, and what
 * we do to our file then, is done to that. Descriptors are close-on-exec, and never 0 to 2, where
 * messages go. Functions follow the rules of os.h. (all slow)
 */
#ifndef TIDE_OS_MEMFILE_H
#define TIDE_OS_MEMFILE_H

#include "base/compiler.h"

/* All zero: none. */
typedef struct memfile {
    uint64_t inode; /* 0: none */
    int fd;
} memfile_t;

static inline bool
memfile_exists(const memfile_t *file)
{
    return file->inode != 0;
}

/* Gives the calling thread an empty table of descriptors of its own. False where the kernel cannot
 * (before 5.9), or the program has a system call filter: then no file is to be made. */
bool memfile_own_table(void);

/* Makes an empty one. 0, or an error: EMFILE, ENOSYS, EPERM in a sandbox… */
int memfile_make(memfile_t *file, const char *name);
/* Gives it that size and maps it, shared, writable, and not for children; NULL on failure. */
void *memfile_map(const memfile_t *file, size_t size);
/* Nobody can change it or its size any more, ourselves included. is_mapped: but through the mapping
 * that exists. EINVAL where the kernel cannot (before 5.1). */
int memfile_seal(const memfile_t *file, bool is_mapped);
/* Makes it none. */
void memfile_close(memfile_t *file);
/* Which of its first `count` bytes somebody holds a lock on: bit i is byte i. */
unsigned memfile_locks(const memfile_t *file, unsigned count);

#endif
