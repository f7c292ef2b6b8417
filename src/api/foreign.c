/* SPDX-License-Identifier: MIT */
/*
 * Recognises a block of glibc's heap by its header, read through the kernel so that a wild pointer
 * cannot fault, and hands it to glibc's own functions. The tests, all of which must hold:
 *   16-byte alignment; a chunk size that is a multiple of 16 and at least 32; and
 *   a chunk of its own mapping: the mapping's start and length are whole pages; or
 *   one of a thread arena: its 64 MiB-aligned heap header names an arena and covers the block; or
 *   one of the main arena: between the program break at our start and now, and the next chunk
 *   says that this one is in use.
 * Known limit: blocks of a main arena that had to continue in mmap'ed memory are not recognised.
 *
 * The other way, a block of ours in glibc's free, ends in a crash there: see deepbind.h.
 */
#include "api/foreign.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "heap/alloc.h"
#include "heap/heap.h"
#include "heap/report.h"
#include "os/os.h"

#define CHUNK_IN_USE 1u
#define CHUNK_MAPPED 2u
#define CHUNK_THREAD_ARENA 4u
#define THREAD_HEAP_BYTES ((uintptr_t)64 << 20)

extern void *dlsym(void *handle, const char *name) __attribute__((weak));
#define NEXT_OBJECT ((void *)-1l)

static uintptr_t break_at_init; /* init: */
static uint64_t forwarded;      /* atomic(relaxed) */

static uintptr_t
program_break(void)
{
    return (uintptr_t)syscall(SYS_brk, 0);
}

void
foreign_init(void)
{
    break_at_init = program_break();
}

uint64_t
foreign_free_count(void)
{
    return atomic_load_relaxed(&forwarded);
}

/* Two words at an address that may not be mapped. */
static bool
peek(uintptr_t at, uintptr_t words[2])
{
    int saved_errno = errno;
    struct iovec to = {words, 2 * sizeof words[0]};
    struct iovec from = {(void *)at, 2 * sizeof words[0]};
    long got = syscall(SYS_process_vm_readv, os_pid(), &to, 1, &from, 1, 0);

    errno = saved_errno;
    return got == (long)(2 * sizeof words[0]);
}

static bool
is_libc_block(const void *p)
{
    uintptr_t at = (uintptr_t)p;
    uintptr_t head[2];
    uintptr_t other[2];
    uintptr_t size;

    if (at % 16 != 0 || at < OS_PAGE || !peek(at - 16, head)) {
        return false;
    }
    size = head[1] & ~(uintptr_t)7;
    if (size < 32 || size % 16 != 0 || size > PTRDIFF_MAX) {
        return false;
    }
    if ((head[1] & CHUNK_MAPPED) != 0) {
        return (at - 16 - head[0]) % OS_PAGE == 0 && (head[0] + size) % OS_PAGE == 0 &&
               head[0] < OS_PAGE * 16;
    }
    if ((head[1] & CHUNK_THREAD_ARENA) != 0) {
        uintptr_t base = at & ~(THREAD_HEAP_BYTES - 1);

        return peek(base, head) && head[0] != 0 && peek(base + 16, other) &&
               other[0] <= THREAD_HEAP_BYTES && at + size <= base + other[0] + 16;
    }
    return at >= break_at_init && at + size <= program_break() && peek(at - 16 + size, other) &&
           (other[1] & CHUNK_IN_USE) != 0;
}

/* glibc's function of that name, or NULL (a static program has no second heap). */
static void *
libc_function(const char *name)
{
    return dlsym == NULL ? NULL : dlsym(NEXT_OBJECT, name);
}

TIDE_COLD void
foreign_free(void *p)
{
    void (*libc_free)(void *) = NULL;
    int saved_errno = errno;
    void *symbol;

    if (p == NULL) {
        return;
    }
    if (is_libc_block(p) && (symbol = libc_function("__libc_free")) != NULL) {
        memcpy(&libc_free, &symbol, sizeof libc_free);
        atomic_add_relaxed(&forwarded, 1);
        libc_free(p);
        errno = saved_errno;
        return;
    }
    report_pointer("free", REPORT_FOREIGN, p, NULL);
    errno = saved_errno;
}

TIDE_COLD size_t
foreign_usable_size(void *p)
{
    uintptr_t head[2];

    if (is_libc_block(p) && peek((uintptr_t)p - 16, head)) {
        size_t size = head[1] & ~(uintptr_t)7;

        return (head[1] & CHUNK_MAPPED) != 0 ? size - 16 : size - 8;
    }
    report_pointer("malloc_usable_size", REPORT_FOREIGN, p, NULL);
    return 0;
}

TIDE_COLD void *
foreign_realloc(void *p, size_t size)
{
    uintptr_t head[2];
    void *to;

    if (!is_libc_block(p) || !peek((uintptr_t)p - 16, head)) {
        report_pointer("realloc", REPORT_FOREIGN, p, NULL);
        errno = ENOMEM;
        return NULL;
    }
    to = heap_alloc(size); /* the block moves into our heap */
    if (to != NULL) {
        memcpy(to, p, min_zu(size, foreign_usable_size(p)));
        foreign_free(p);
    }
    return to;
}
