/* SPDX-License-Identifier: MIT */
/*
 * pretouch.c - writes to MIB mebibytes of memory and exits.
 *
 * A virtual machine's host takes back pages that the guest has left free for about two seconds, and
 * the first touch then costs five times as much. Run before each timed run, this makes every
 * allocator find the same, backed, free memory. The memory is written once as huge pages and once
 * as ordinary ones, held at the same time, for both kinds are taken from different free lists.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { OS_PAGE = 4096 };
static const size_t mebibyte = (size_t)1 << 20;

/* Writes to every os page; returns 0, or the errno of the kernel's refusal to map. */
static int
touch(size_t bytes, int advice)
{
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if ((void *)memory == MAP_FAILED) {
        return errno;
    }
    madvise((void *)memory, bytes, advice); /* may be refused: then pages are what they are */
    for (size_t at = 0; at < bytes; at += OS_PAGE) {
        memory[at] = 1;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long long mib;
    int error;

    if (argc != 2 || (mib = strtoull(argv[1], &end, 10)) > 1u << 20 || end == argv[1] || *end) {
        fprintf(stderr, "usage: pretouch MIB\n");
        return 2;
    }
    if (mib == 0) {
        return 0;
    }
    error = touch(mib * mebibyte, MADV_HUGEPAGE);
    error = error ? error : touch(mib * mebibyte, MADV_NOHUGEPAGE);
    if (error != 0) {
        fprintf(stderr, "pretouch: cannot map %llu MiB: %s\n", mib, strerror(error));
        return 1;
    }
    return 0;
}
