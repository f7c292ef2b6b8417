/* SPDX-License-Identifier: MIT */
/*
 * api/info.c - the C library's questions about the heap: mallopt, mallinfo, mallinfo2,
 * malloc_stats, malloc_info.
 *
 * Owns: the translation of our figures into the words of those interfaces. They describe an
 * allocator with arenas, bins and mapped blocks; the counting identities their readers rely on are
 * kept:
 *   what the program holds       = uordblks + hblkhd          (allocated_bytes)
 *   what the allocator took      = arena + hblkhd
 *   free inside                  = fordblks = arena - uordblks
 * A large block, which has a span of its own, counts as a mapped one.
 *
 * malloc_info writes to a stream, which may allocate: no lock is held meanwhile.
 */
#include "tidemalloc.h"

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "api/stats.h"

/* The parameters of mallopt go from M_ARENA_MAX to M_MXFAST and beyond; the C library's header no
 * longer names M_CHECK_ACTION (-5), but old programs set it. */
#define MALLOPT_FIRST M_ARENA_MAX
#define MALLOPT_LAST M_KEEP

/* The figures in the terms of these interfaces. */
struct view {
    uint64_t arena;       /* bytes of spans that share, free ones still in RAM included */
    uint64_t used;        /* bytes in blocks there */
    uint64_t free;        /* the rest */
    uint64_t free_blocks; /* blocks that could be handed out without a new span */
    uint64_t keep;        /* bytes a trim would give back */
    uint64_t peak;        /* the most that was taken, as far as known */
};

static uint64_t
minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0; /* the figures are not of one instant */
}

static uint64_t
free_in_class(const struct tide_class_stats *class_stats)
{
    return minus(class_stats->capacity, class_stats->used);
}

static void
view_make(struct view *view, const struct tide_stats *stats)
{
    view->arena = minus(stats->active_bytes + stats->retained_bytes, stats->large_bytes);
    view->used = minus(stats->allocated_bytes, stats->large_bytes);
    view->free = minus(view->arena, view->used);
    view->keep = stats->retained_bytes;
    view->peak = stats->peak_active_bytes;
    view->free_blocks = 0;
    for (size_t i = 0; i < TIDE_CLASS_COUNT; i++) {
        view->free_blocks += free_in_class(&stats->classes[i]);
    }
    if (view->peak < view->arena + stats->large_bytes) {
        view->peak = view->arena + stats->large_bytes;
    }
}

TIDE_EXPORT int
tide_mallopt(int parameter, int value)
{
    (void)value;
    return parameter >= MALLOPT_FIRST && parameter <= MALLOPT_LAST && parameter != 0;
}

TIDE_EXPORT TIDE_COLD void
tide_malloc_stats(void)
{
    tide_stats_print(STDERR_FILENO);
}

/* ---- malloc_info --------------------------------------------------------------------------- */

TIDE_COLD static int
sink_stream(void *arg, const char *text, size_t len)
{
    errno = 0;
    if (fwrite(text, 1, len, arg) == len) {
        return 0;
    }
    return errno != 0 ? errno : EIO;
}

static void
write_attribute(fmt_t *out, const char *name, uint64_t value)
{
    fmt_printf(out, " %s=\"", name);
    fmt_u64(out, value);
    fmt_char(out, '"');
}

/* <total type="..." count="..." size="..."/> */
static void
write_total(fmt_t *out, const char *type, uint64_t count, uint64_t size)
{
    fmt_printf(out, "<total type=\"%s\"", type);
    write_attribute(out, "count", count);
    write_attribute(out, "size", size);
    fmt_str(out, "/>\n");
}

/* <system type="..." size="..."/> and its like. */
static void
write_amount(fmt_t *out, const char *element, const char *type, uint64_t size)
{
    fmt_printf(out, "<%s type=\"%s\"", element, type);
    write_attribute(out, "size", size);
    fmt_str(out, "/>\n");
}

/* Free blocks, one line for each class that has some. */
static void
write_sizes(fmt_t *out, const struct tide_stats *stats)
{
    uint64_t from = 1;

    fmt_str(out, "<sizes>\n");
    for (size_t i = 0; i < TIDE_CLASS_COUNT; i++) {
        uint64_t to = stats->classes[i].block_bytes;
        uint64_t count = free_in_class(&stats->classes[i]);

        if (count > 0) {
            fmt_str(out, "  <size");
            write_attribute(out, "from", from);
            write_attribute(out, "to", to);
            write_attribute(out, "total", count * to);
            write_attribute(out, "count", count);
            fmt_str(out, "/>\n");
        }
        from = to + 1;
    }
    fmt_str(out, "</sizes>\n");
}

static void
write_xml(fmt_t *out)
{
    struct tide_stats stats;
    struct view view;

    stats_take(&stats);
    view_make(&view, &stats);
    fmt_str(out, "<malloc version=\"1\">\n<heap nr=\"0\">\n");
    write_sizes(out, &stats);
    write_total(out, "fast", 0, 0);
    write_total(out, "rest", view.free_blocks, view.free);
    write_amount(out, "system", "current", view.arena);
    write_amount(out, "system", "max", minus(view.peak, stats.large_bytes));
    write_amount(out, "aspace", "total", view.arena);
    write_amount(out, "aspace", "mprotect", view.arena);
    fmt_str(out, "</heap>\n");
    write_total(out, "fast", 0, 0);
    write_total(out, "rest", view.free_blocks, view.free);
    write_total(out, "mmap", stats.large_blocks, stats.large_bytes);
    write_amount(out, "system", "current", view.arena + stats.large_bytes);
    write_amount(out, "system", "max", view.peak);
    write_amount(out, "aspace", "total", stats.committed_bytes);
    write_amount(out, "aspace", "mprotect", stats.committed_bytes);
    fmt_str(out, "</malloc>\n");
}

TIDE_EXPORT TIDE_COLD int
tide_malloc_info(int options, FILE *stream)
{
    int saved_errno = errno;
    char buf[1024];
    fmt_t out;
    int error;

    if (options != 0) {
        return EINVAL;
    }
    fmt_init_sink(&out, sink_stream, stream, buf, sizeof buf);
    write_xml(&out);
    error = fmt_flush(&out);
    errno = saved_errno;
    return error;
}

/* ---- the C library's names ----------------------------------------------------------------- */

#ifndef TIDE_NO_OVERRIDE

static struct mallinfo2
info_make(void)
{
    struct tide_stats stats;
    struct view view;

    stats_take(&stats);
    view_make(&view, &stats);
    return (struct mallinfo2){
        .arena = view.arena,
        .ordblks = view.free_blocks,
        .hblks = stats.large_blocks,
        .hblkhd = stats.large_bytes,
        .uordblks = view.used,
        .fordblks = view.free,
        .keepcost = view.keep,
    };
}

TIDE_EXPORT int
mallopt(int parameter, int value)
{
    return tide_mallopt(parameter, value);
}

TIDE_EXPORT TIDE_COLD void
malloc_stats(void)
{
    tide_malloc_stats();
}

TIDE_EXPORT TIDE_COLD int
malloc_info(int options, FILE *stream)
{
    return tide_malloc_info(options, stream);
}

TIDE_EXPORT TIDE_COLD struct mallinfo2
mallinfo2(void)
{
    return info_make();
}

/* The old form has ints, which wrap: that is its known defect. */
TIDE_EXPORT TIDE_COLD struct mallinfo
mallinfo(void)
{
    struct mallinfo2 info = info_make();

    return (struct mallinfo){
        .arena = (int)info.arena,
        .ordblks = (int)info.ordblks,
        .hblks = (int)info.hblks,
        .hblkhd = (int)info.hblkhd,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}

#endif
