/* SPDX-License-Identifier: MIT */
/*
 * tidemalloc.h - the interface of the tidemalloc memory allocator.
 *
 * A program needs nothing of this file to run on tidemalloc: link it with -ltidemalloc, or set
 * LD_PRELOAD to libtidemalloc.so.0, and malloc, free and the rest of the family, and C++'s new and
 * delete, are tidemalloc's. This header is for programs that want to name the allocator they
 * call, to read its figures or to set its options.
 *
 * Unless a function says otherwise:
 *   - sizes and alignments are in bytes, and every block is aligned to 16 at least;
 *   - it may be called by any thread at any time (MT-Safe), from constructors, destructors and
 *     atexit handlers included, and in the child of a multithreaded fork;
 *   - it must not be called from a signal handler that may have interrupted the allocator in the
 *     same thread (AS-Unsafe);
 *   - on failure it returns NULL with errno set to ENOMEM; on success errno means nothing;
 *   - a block may be freed by any thread, and by either name: blocks of tide_malloc() may be given
 *     to free() and the other way round.
 *
 * Misuse - freeing twice, freeing what is no block, giving the wrong size - is reported by one line
 * on standard error and ends the program by abort(), unless the option `abort` is false.
 */
#ifndef TIDEMALLOC_H
#define TIDEMALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TIDE_ATTR(list) __attribute__(list)
#else
#define TIDE_ATTR(list)
#endif

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define TIDE_ATTR_FREED_BY(f) __attribute__((malloc, malloc(f, 1)))
#else
#define TIDE_ATTR_FREED_BY(f) TIDE_ATTR((malloc))
#endif

#ifdef __cplusplus
#define TIDE_NOTHROW throw()
#if __cplusplus >= 201103L
#undef TIDE_NOTHROW
#define TIDE_NOTHROW noexcept
#endif
#else
#define TIDE_NOTHROW TIDE_ATTR((nothrow))
#endif

/* ----------------------------------------------------------------------------------------------
 * Blocks. The semantics are those of the C library's functions without the prefix.
 * ------------------------------------------------------------------------------------------- */

/**
 * Gives a block back. NULL is ignored. errno is preserved.
 */
void tide_free(void *block) TIDE_NOTHROW;

/**
 * As tide_free(), for a caller who knows the size the block was asked for with: malloc's argument,
 * the product of calloc's, or realloc's last. Another size is misuse and is reported. Not for
 * blocks of the aligned functions.
 */
void tide_free_sized(void *block, size_t size) TIDE_NOTHROW;

/**
 * As tide_free_sized(), for blocks of aligned_alloc(alignment, size).
 */
void tide_free_aligned_sized(void *block, size_t alignment, size_t size) TIDE_NOTHROW;

/**
 * A block of at least `size` bytes with undefined contents. Size 0 gives a block too, different
 * from every other, of which no byte may be used. Sizes above PTRDIFF_MAX fail.
 */
void *tide_malloc(size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((alloc_size(1), warn_unused_result));

/**
 * A block for `count` elements of `size` bytes, all bits zero. Fails when the product overflows or
 * exceeds PTRDIFF_MAX.
 */
void *tide_calloc(size_t count, size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((alloc_size(1, 2), warn_unused_result));

/**
 * Makes the block `size` bytes long, moving it if need be; the contents are kept up to the smaller
 * of the sizes. realloc(NULL, size) is malloc(size). realloc(block, 0) frees the block and returns
 * NULL, errno unchanged. On failure the block is left as it was. An alignment above 16 survives
 * only as long as the block does not move.
 */
void *tide_realloc(void *block, size_t size) TIDE_NOTHROW
    TIDE_ATTR((alloc_size(2), warn_unused_result));

/**
 * A block whose address is a multiple of `alignment`. Fails with EINVAL unless `alignment` is a
 * power of two. `size` need not be a multiple of it.
 */
void *tide_aligned_alloc(size_t alignment, size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((alloc_align(1), alloc_size(2), warn_unused_result));

/**
 * As tide_aligned_alloc(), but an alignment that is no power of two is rounded up to one. EINVAL
 * when there is none.
 */
void *tide_memalign(size_t alignment, size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((alloc_size(2), warn_unused_result));

/**
 * Stores an aligned block in *out and returns 0. Otherwise returns EINVAL (the alignment is no
 * power of two or no multiple of sizeof(void *)) or ENOMEM, and leaves *out and errno alone.
 */
int tide_posix_memalign(void **out, size_t alignment, size_t size) TIDE_NOTHROW
    TIDE_ATTR((nonnull(1), warn_unused_result));

/**
 * A block aligned to the size of a page.
 */
void *tide_valloc(size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((alloc_size(1), warn_unused_result));

/**
 * As tide_valloc(), with the size rounded up to whole pages.
 */
void *tide_pvalloc(size_t size) TIDE_NOTHROW TIDE_ATTR_FREED_BY(tide_free)
    TIDE_ATTR((warn_unused_result));

/**
 * How many bytes of the block may be used: at least what was asked for. All of them may be written.
 * 0 for NULL. The answer does not change while the block lives.
 */
size_t tide_malloc_usable_size(void *block) TIDE_NOTHROW;

/* ----------------------------------------------------------------------------------------------
 * The process as a whole
 * ------------------------------------------------------------------------------------------- */

/**
 * Gives all free memory back to the kernel, that of other threads' heaps included, and waits for a
 * pass of the background thread that is under way. Returns the number of bytes given back. This is
 * slow (milliseconds per GiB); the allocator does it by itself when the program is idle.
 */
size_t tide_trim(void) TIDE_NOTHROW;

/**
 * Says that the process will grow by `bytes` within `within_ns` nanoseconds: a request for a large
 * result, a cache that is loaded. The pages are made ready by the background thread meanwhile, up
 * to an eighth of the memory that the machine or the control group has left, and while a CPU is
 * idle, so that the program takes no page faults; what has not been used when the time is over goes
 * back. Of two expectations the one that reaches higher counts while it lasts. Returns at once: 0,
 * or ENOTSUP without the option predict:on or the background thread. MT-Safe, AS-Unsafe.
 */
int tide_expect(size_t bytes, uint64_t within_ns) TIDE_NOTHROW;

/**
 * Guarantees that the process has `bytes` of memory with pages, whether blocks use it or it is
 * free: what is missing is populated by the caller, now, and none of it is given back, by
 * tide_trim() neither. Later guarantees replace earlier ones; 0 ends them. Memory that is used
 * already counts, as far as it has pages. Returns 0, or ENOMEM, also if the machine or the control
 * group has not that much left, or does not say; then what was guaranteed before still is. While
 * one lasts, the pages between live blocks stay as well. A child of fork() shares the pages as
 * usual. Slow: it takes a fraction of a second per GiB. MT-Safe, AS-Unsafe.
 */
int tide_guarantee(size_t bytes) TIDE_NOTHROW;

/**
 * malloc_trim(): tide_trim(), returning 1 if anything was given back and 0 if not. `pad` is
 * ignored.
 */
int tide_malloc_trim(size_t pad) TIDE_NOTHROW;

/**
 * mallopt(): returns 1 for the parameters of <malloc.h>, 0 for others. The values have no effect:
 * what they tune does not exist here.
 */
int tide_mallopt(int parameter, int value) TIDE_NOTHROW;

/**
 * malloc_stats(): a page of text for people on standard error.
 */
void tide_malloc_stats(void);

/**
 * malloc_info(): the figures as XML in the form the C library made known, version 1. Returns 0;
 * EINVAL unless `options` is 0; or the error of the stream. Writing to a stream may allocate.
 */
int tide_malloc_info(int options, FILE *stream);

/**
 * The same page of text as malloc_stats(), on a file descriptor. AS-Unsafe.
 */
void tide_stats_print(int fd) TIDE_NOTHROW;

/**
 * Begins the profile of allocations, or goes on with it: which call sites memory comes from, and
 * how long it lives (see tidemalloc(3), PROFILES). The same as the option profile. Returns 0, or an
 * error number: ENOMEM.
 */
int tide_profile_start(void) TIDE_NOTHROW;

/**
 * Ends the sampling of further allocations. Blocks that were sampled are followed on.
 */
void tide_profile_stop(void) TIDE_NOTHROW;

/**
 * Writes the profile to a file, which gets its name when it is complete. Returns 0, or an error
 * number: ENODATA when there never was a profile, EDEADLK in a signal handler that interrupted the
 * profile itself, or what the file system says.
 */
int tide_profile_dump(const char *file) TIDE_NOTHROW;

/**
 * The version of the library, such as "0.1.0". MT-Safe, AS-Safe.
 */
const char *tide_version(void) TIDE_NOTHROW;

/**
 * Reads or writes by name; returns 0 or an error number (errno is preserved).
 *
 *   name              out                              in
 *   version           text                             -
 *   help              text: the options, for people    -
 *   options           text: JSON array of the options  -
 *   option.NAME       text: present value              text: new value
 *   features          text: JSON object, kernel        -
 *                     features found
 *   stats             text: for people                 -
 *   stats.json        text: JSON, all figures          -
 *   stats.NAME        uint64_t                         -
 *   trim              uint64_t: bytes given back       -
 *
 * The options and figures are listed in tidemalloc(3).
 *
 * Reading: *out_len holds the room at `out` and receives the size of the answer; a text includes
 * its terminating NUL. With out NULL and out_len not, only the size is told. Both NULL: the answer
 * is not wanted. A text may be longer when it is asked for again, since figures grow.
 *
 * Writing: the `in_len` bytes at `in` are text without a terminator (one at the end is ignored).
 * in NULL means nothing is written. When both are asked, the answer is the old value, and nothing
 * is written unless it fits.
 *
 * Errors:
 *   EINVAL   name is NULL; out without out_len; in_len without in; the value is not one of the
 *            option's type
 *   ENOENT   no such name
 *   EPERM    the name cannot be written, or the option is fixed once the program runs
 *   ERANGE   the value is out of the option's bounds
 *   ENOSPC   the answer does not fit; *out_len tells the room needed, the contents of out are
 *            undefined
 *
 * MT-Safe, AS-Unsafe. Uses about 8 KiB of stack for the statistics. Does not allocate.
 */
int tide_ctl(const char *name, void *out, size_t *out_len, const void *in,
             size_t in_len) TIDE_NOTHROW;

/**
 * A program may define this variable to carry its options with it, which is the way for static
 * programs:
 *
 *     const char *tide_conf = "background:false,purge_window_ms:200";
 *
 * It is read once, at the first allocation, so its value must be a constant. /etc/tidemalloc.conf
 * is read before it and the environment variable TIDE_CONF after it; the last one wins. A
 * dynamically linked program that is not linked with -ltidemalloc must export the variable
 * (-rdynamic) for a preloaded library to find it.
 */
extern const char *tide_conf TIDE_ATTR((weak));

#undef TIDE_ATTR
#undef TIDE_ATTR_FREED_BY
#undef TIDE_NOTHROW

#ifdef __cplusplus
}
#endif

#endif
