/* SPDX-License-Identifier: MIT */
/*
 * floor.c - what a program needs of memory at least, whatever allocator it has. Preloaded, it
 * counts on top of libc's malloc, and at the end appends one line to the file FLOOR_OUT:
 *
 *   base=KIB   the process without what malloc holds, at its end
 *   bytes=KIB  peak of the sum of requested bytes, each rounded up to 16
 *   blocks=KIB the same, rounded up to size classes (16 bytes apart to 256, then 8 a doubling)
 *   classes=KIB peaks of each class added up, in os pages: what size classes cost that never give
 *              a page from one to another, without caches, threads of their own, or metadata
 *   command=TEXT
 *
 * A header of 16 bytes before each block keeps its size. All of malloc is made to come from brk,
 * so that [heap] in smaps is what it holds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 16, EXACT_MAX = 256, SMALL_MAX = 32768, CLASSES = 16 + 7 * 8 };
#define MAGIC 0x71deu

struct header {
    uint64_t size;
    uint32_t offset; /* of the block in what libc gave */
    uint32_t magic;
};
_Static_assert(sizeof(struct header) == HEADER, "before every block");

struct level {
    _Atomic long now;
    _Atomic long peak;
};

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *p);
extern void *__libc_memalign(size_t align, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static struct level requested;
static struct level rounded;
static struct level of_class[CLASSES];
static struct level large;

static void
level_add(struct level *level, long bytes)
{
    long now = atomic_fetch_add(&level->now, bytes) + bytes;
    long peak = atomic_load_explicit(&level->peak, memory_order_relaxed);

    while (now > peak && !atomic_compare_exchange_weak(&level->peak, &peak, now)) {
    }
}

/* The block size of the size's class, or os pages. */
static size_t
class_size(size_t size)
{
    size_t step = 4096;

    size += size == 0;
    if (size <= EXACT_MAX) {
        step = 16;
    } else if (size <= SMALL_MAX) {
        step = (size_t)1 << (60 - __builtin_clzl(size - 1)); /* an eighth of the power below */
    }
    return (size + step - 1) & ~(step - 1);
}

static struct level *
level_of(size_t block)
{
    unsigned log2 = 63 - (unsigned)__builtin_clzl(block - 1);

    if (block > SMALL_MAX) {
        return &large;
    }
    if (block <= EXACT_MAX) {
        return &of_class[block / 16 - 1];
    }
    return &of_class[16 + (log2 - 8) * 8 + ((block - 1 - ((size_t)1 << log2)) >> (log2 - 3))];
}

static void
count(size_t size, long sign)
{
    size_t block = class_size(size);

    level_add(&requested, sign * (long)((size + (size == 0) + 15) & ~(size_t)15));
    level_add(&rounded, sign * (long)block);
    level_add(level_of(block), sign * (long)block);
}

static struct header *
header_of(void *p)
{
    struct header *header = (struct header *)((char *)p - HEADER);

    if (header->magic != MAGIC) {
        abort();
    }
    return header;
}

static void *
allocate(size_t align, size_t size)
{
    static bool told;
    size_t offset = align < HEADER ? HEADER : align;
    struct header *header;
    char *start;

    if (!told) {
        told = true;
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_MAX, 0);
    }
    if (size > PTRDIFF_MAX - 2 * offset) {
        errno = ENOMEM;
        return NULL;
    }
    start = align <= 16 ? __libc_malloc(size + offset) : __libc_memalign(align, size + offset);
    if (start == NULL) {
        return NULL;
    }
    header = (struct header *)(start + offset - HEADER);
    *header = (struct header){size, (uint32_t)offset, MAGIC};
    count(size, 1);
    return start + offset;
}

void *
malloc(size_t size)
{
    return allocate(16, size);
}

void
free(void *p)
{
    int saved_errno = errno;

    if (p != NULL) {
        struct header *header = header_of(p);

        count(header->size, -1);
        header->magic = 0;
        __libc_free((char *)p - header->offset);
    }
    errno = saved_errno;
}

void *
calloc(size_t n, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    p = allocate(16, bytes);
    return p == NULL ? NULL : memset(p, 0, bytes);
}

void *
realloc(void *p, size_t size)
{
    struct header *header;
    size_t old;
    void *to;

    if (p == NULL) {
        return malloc(size);
    }
    header = header_of(p);
    old = header->size;
    if (size == 0) {
        free(p);
        return NULL;
    }
    if (header->offset == HEADER && size <= PTRDIFF_MAX) {
        header = __libc_realloc(header, size + HEADER);
        if (header == NULL) {
            return NULL;
        }
        header->size = size;
        count(old, -1);
        count(size, 1);
        return header + 1;
    }
    to = malloc(size);
    if (to != NULL) {
        memcpy(to, p, old < size ? old : size);
        free(p);
    }
    return to;
}

void *
memalign(size_t align, size_t size)
{
    return allocate(align, size);
}

void *
aligned_alloc(size_t align, size_t size)
{
    return allocate(align, size);
}

int
posix_memalign(void **result, size_t align, size_t size)
{
    void *p = allocate(align, size);

    if (p == NULL) {
        return ENOMEM;
    }
    *result = p;
    return 0;
}

size_t
malloc_usable_size(void *p)
{
    return p == NULL ? 0 : header_of(p)->size;
}

/* Resident KiB outside [heap]. */
static long
resident_elsewhere(void)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    char line[8192];
    bool in_heap = false;
    long total = 0;
    long kib;

    if (smaps == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "Rss: %ld", &kib) == 1) {
            total += in_heap ? 0 : kib;
        } else if (strchr(line, '-') != NULL && strchr(line, '-') < line + 17) {
            in_heap = strstr(line, "[heap]") != NULL;
        }
    }
    fclose(smaps);
    return total;
}

__attribute__((destructor)) static void
write_line(void)
{
    const char *path = getenv("FLOOR_OUT");
    long pages = (large.peak + 4095) / 4096;
    char command[256] = "";
    char line[512];
    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, command, sizeof command - 1);

    close(fd);
    for (ssize_t i = 0; i < n; i++) {
        command[i] = command[i] < ' ' ? ' ' : command[i];
    }
    for (unsigned c = 0; c < CLASSES; c++) {
        pages += (of_class[c].peak + 4095) / 4096;
    }
    fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd >= 0) {
        n = snprintf(line, sizeof line, "base=%ld bytes=%ld blocks=%ld classes=%ld command=%s\n",
                     resident_elsewhere(), requested.peak / 1024, rounded.peak / 1024, pages * 4,
                     command);
        if (write(fd, line, (size_t)n) != n) {
            abort();
        }
        close(fd);
    }
}
