/* SPDX-License-Identifier: MIT */
/*
 * api/stats.c - see stats.h.
 *
 * The struct is walked by tables of names and offsets that come from the same stats.def as its
 * fields, so a new figure appears in every form at once.
 *
 * Cost: a snapshot is about 4.5 KiB of stack, the report at exit some 6 KiB with its buffers.
 */
#include "api/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/forecasting.h"
#include "api/options.h"
#include "os/os.h"
#include "page/format.h"

struct figure {
    char name[32];
    char unit[8];
    char brief[104];
    size_t offset; /* in its struct */
};

/* Their ends included. */
#define TIDE_STAT(n, kind, u, b)                                                                   \
    TIDE_STATIC_ASSERT(sizeof #n <= sizeof(((struct figure *)0)->name), #n);                       \
    TIDE_STATIC_ASSERT(sizeof(u) <= sizeof(((struct figure *)0)->unit), #n);                       \
    TIDE_STATIC_ASSERT(sizeof(b) <= sizeof(((struct figure *)0)->brief), #n);
#include "api/stats.def"

TIDE_COLD_DATA static const struct figure figures[] = {
#define TIDE_STAT(name, kind, unit, brief) {#name, unit, brief, offsetof(struct tide_stats, name)},
#include "api/stats.def"
};

TIDE_COLD_DATA static const struct figure class_figures[] = {
#define TIDE_CLASS_STAT(name, brief) {#name, "", brief, offsetof(struct tide_class_stats, name)},
#include "api/stats.def"
};

TIDE_COLD_DATA static const struct figure lane_figures[] = {
#define TIDE_LANE_STAT(name, brief) {#name, "", brief, offsetof(struct tide_lane_stats, name)},
#include "api/stats.def"
};

TIDE_COLD_DATA static const char lane_names[TIDE_LANE_COUNT][8] = {"default"};

struct feature {
    char name[24];
    enum os_feature bit;
};

TIDE_COLD_DATA static const struct feature features[] = {
#define TIDE_FEATURE(name, bit, brief) {#name, bit},
#include "api/stats.def"
};

static uint64_t
figure_value(const void *from, const struct figure *figure)
{
    return *(const uint64_t *)(const void *)((const char *)from + figure->offset);
}

/* The page faults of the process as a whole. */
static void
take_faults(struct tide_stats *out)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->page_faults_minor = (uint64_t)usage.ru_minflt;
        out->page_faults_major = (uint64_t)usage.ru_majflt;
    }
}

TIDE_COLD void
stats_take(struct tide_stats *out)
{
    int saved_errno = errno;

    memset(out, 0, sizeof *out);
    stats_collect(out, STATS_ALL);
    out->process_rss_bytes = os_rss_bytes();
    take_faults(out);
    errno = saved_errno;
}

/* Does it come of a look at spans; and of more than that? */
static bool
is_of_spans(const struct figure *figure)
{
    static const uint16_t offsets[] = {
        offsetof(struct tide_stats, allocated_bytes), offsetof(struct tide_stats, active_bytes),
        offsetof(struct tide_stats, large_bytes),     offsetof(struct tide_stats, large_blocks),
        offsetof(struct tide_stats, spans),           offsetof(struct tide_stats, spans_pooled),
        offsetof(struct tide_stats, spans_cold),
    };
    bool found = false;

    for (size_t i = 0; i < TIDE_ARRAY_LEN(offsets); i++) {
        found |= figure->offset == offsets[i];
    }
    return found;
}

/* They stand together. */
static bool
is_of_os_pages(const struct figure *figure)
{
    return (figure->offset >= offsetof(struct tide_stats, resident_bytes) &&
            figure->offset <= offsetof(struct tide_stats, resident_metadata_bytes)) ||
           figure->offset == offsetof(struct tide_stats, process_rss_bytes);
}

TIDE_COLD size_t
stats_take_page(struct page_figure *out, size_t max, bool spans)
{
    struct tide_stats stats = {0};
    int saved_errno = errno;
    size_t count = 0;

    stats_collect(&stats, spans ? STATS_SPANS : STATS_COUNTERS);
    take_faults(&stats);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(figures) && count < max; i++) {
        if (!is_of_os_pages(&figures[i]) && (spans || !is_of_spans(&figures[i]))) {
            memcpy(out[count].name, figures[i].name, sizeof out[count].name);
            out[count++].value = figure_value(&stats, &figures[i]);
        }
    }
    errno = saved_errno;
    return count;
}

TIDE_COLD const uint64_t *
stats_find(const struct tide_stats *stats, const char *name, size_t name_len)
{
    for (size_t i = 0; i < TIDE_ARRAY_LEN(figures); i++) {
        const char *candidate = figures[i].name;

        if (strlen(candidate) == name_len && memcmp(candidate, name, name_len) == 0) {
            return (const uint64_t *)(const void *)((const char *)stats + figures[i].offset);
        }
    }
    return NULL;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void
write_member(fmt_t *out, const char *name, uint64_t value)
{
    fmt_printf(out, "\"%s\":", name);
    fmt_u64(out, value);
}

static void
write_members(fmt_t *out, const struct figure *table, size_t count, const void *from)
{
    for (size_t i = 0; i < count; i++) {
        fmt_str(out, i == 0 ? "" : ",");
        write_member(out, table[i].name, figure_value(from, &table[i]));
    }
}

TIDE_COLD void
stats_write_features_json(fmt_t *out)
{
    for (size_t i = 0; i < TIDE_ARRAY_LEN(features); i++) {
        fmt_printf(out, "%s\"%s\":%s", i == 0 ? "{" : ",", features[i].name,
                   os_has(features[i].bit) ? "true" : "false");
    }
    fmt_char(out, '}');
}

/* Classes nobody ever used are left out: a reader finds a class by its block_bytes. */
static void
write_classes_json(const struct tide_stats *stats, fmt_t *out)
{
    const char *separator = "";

    fmt_str(out, "[");
    for (size_t i = 0; i < TIDE_CLASS_COUNT; i++) {
        if (stats->classes[i].spans != 0) {
            fmt_printf(out, "%s\n  {", separator);
            write_members(out, class_figures, TIDE_ARRAY_LEN(class_figures), &stats->classes[i]);
            fmt_char(out, '}');
            separator = ",";
        }
    }
    fmt_char(out, ']');
}

static void
write_lanes_json(const struct tide_stats *stats, fmt_t *out)
{
    for (size_t i = 0; i < TIDE_LANE_COUNT; i++) {
        fmt_printf(out, "%s\n  {\"name\":\"%s\",", i == 0 ? "[" : ",", lane_names[i]);
        write_members(out, lane_figures, TIDE_ARRAY_LEN(lane_figures), &stats->lanes[i]);
        fmt_char(out, '}');
    }
    fmt_char(out, ']');
}

TIDE_COLD void
stats_write_json(const struct tide_stats *stats, fmt_t *out)
{
    fmt_printf(out, "{\"tidemalloc\":\"%s\",\"pid\":%d", TIDE_VERSION, os_pid());
    for (size_t i = 0; i < TIDE_ARRAY_LEN(figures); i++) {
        fmt_str(out, ",\n ");
        write_member(out, figures[i].name, figure_value(stats, &figures[i]));
    }
    fmt_str(out, ",\n \"features\":");
    stats_write_features_json(out);
    fmt_str(out, ",\n \"options\":");
    options_write_values_json(out);
    fmt_str(out, ",\n \"classes\":");
    write_classes_json(stats, out);
    fmt_str(out, ",\n \"lanes\":");
    write_lanes_json(stats, out);
    fmt_str(out, ",\n \"forecasts\":");
    forecasting_write_json(out);
    fmt_str(out, "}\n");
}

/* ---- plain text ---------------------------------------------------------------------------- */

static void
write_figure_text(const struct tide_stats *stats, const struct figure *figure, fmt_t *out)
{
    uint64_t value = figure_value(stats, figure);
    char text[32];
    fmt_t human;

    fmt_str(out, "  ");
    fmt_str_width(out, figure->name, 24);
    if (strcmp(figure->unit, "bytes") == 0) {
        fmt_init_buffer(&human, text, sizeof text);
        fmt_size_human(&human, value);
        fmt_pad(out, ' ', human.len < 14 ? 14 - human.len : 0);
        fmt_str(out, text);
    } else {
        fmt_u64_width(out, value, 14);
    }
    fmt_printf(out, "  %s\n", figure->brief);
}

static void
write_classes_text(const struct tide_stats *stats, fmt_t *out)
{
    fmt_str(out, "  block bytes       spans      pooled    capacity        used\n");
    for (size_t i = 0; i < TIDE_CLASS_COUNT; i++) {
        const struct tide_class_stats *class_stats = &stats->classes[i];

        if (class_stats->spans != 0) {
            fmt_u64_width(out, class_stats->block_bytes, 13);
            fmt_u64_width(out, class_stats->spans, 12);
            fmt_u64_width(out, class_stats->spans_pooled, 12);
            fmt_u64_width(out, class_stats->capacity, 12);
            fmt_u64_width(out, class_stats->used, 12);
            fmt_char(out, '\n');
        }
    }
}

TIDE_COLD void
stats_write_text(const struct tide_stats *stats, fmt_t *out)
{
    fmt_printf(out, "tidemalloc %s, process %d\n", TIDE_VERSION, os_pid());
    for (size_t i = 0; i < TIDE_ARRAY_LEN(figures); i++) {
        write_figure_text(stats, &figures[i], out);
    }
    write_classes_text(stats, out);
    fmt_str(out, "  kernel features: ");
    stats_write_features_json(out);
    fmt_str(out, "\n  options changed: ");
    options_write_changed(out);
    fmt_char(out, '\n');
}

/* ---- at start and at exit ------------------------------------------------------------------ */

/* Above the descriptors that programs and shells deal out by number. */
#define KEPT_FD_MIN 100

/* The copy of standard error, and what it was, should somebody have closed the copy too. */
static struct {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
} kept_stderr = {.fd = -1}; /* init: */

static bool
is_to_stderr(void)
{
    return strcmp(tide_opt.stats, "stderr") == 0;
}

void
stats_at_start(void)
{
    int saved_errno = errno;
    struct stat status;
    int fd;

    if (is_to_stderr() && fstat(STDERR_FILENO, &status) == 0) {
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, KEPT_FD_MIN);
        kept_stderr.device = status.st_dev;
        kept_stderr.inode = status.st_ino;
        kept_stderr.fd = fd;
    }
    errno = saved_errno;
}

/* Standard error, or the copy of it that is left. */
static int
stderr_fd(void)
{
    struct stat status;

    if (fstat(STDERR_FILENO, &status) != 0 && kept_stderr.fd >= 0 &&
        fstat(kept_stderr.fd, &status) == 0 && status.st_dev == kept_stderr.device &&
        status.st_ino == kept_stderr.inode) {
        return kept_stderr.fd;
    }
    return STDERR_FILENO;
}

/* False: too long for a path. */
static bool
expand_path(const char *pattern, char *path, size_t cap)
{
    fmt_t out;

    fmt_init_buffer(&out, path, cap);
    fmt_path(&out, pattern, os_pid());
    return !fmt_is_truncated(&out);
}

/* Creates or truncates the file. Returns a file descriptor, or minus an errno value. */
static int
open_report(const char *path)
{
    /* With raised privileges somebody else may have chosen what stands at a guessable name. */
    int how = options_is_secure() ? O_EXCL | O_NOFOLLOW : O_TRUNC;
    long fd =
        syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | how, 0644);

    return fd >= 0 ? (int)fd : -errno;
}

static int
write_report(int fd)
{
    char buf[1024];
    struct tide_stats stats;
    fmt_t out;

    stats_take(&stats);
    fmt_init_fd(&out, fd, buf, sizeof buf);
    stats_write_json(&stats, &out);
    return fmt_flush(&out);
}

TIDE_COLD static void
report_at_exit(void)
{
    int saved_errno = errno;
    char path[512];
    int error;
    int fd;

    if (is_to_stderr()) {
        write_report(stderr_fd());
    } else if (!expand_path(tide_opt.stats, path, sizeof path)) {
        fmt_cannot_write("stats", tide_opt.stats, ENAMETOOLONG);
    } else {
        fd = open_report(path);
        error = fd < 0 ? -fd : write_report(fd);
        if (fd >= 0) {
            syscall(SYS_close, fd);
        }
        if (error != 0) {
            fmt_cannot_write("stats", path, error);
        }
    }
    errno = saved_errno;
}

void
stats_at_exit(void)
{
    if (tide_opt.stats[0] != '\0') {
        report_at_exit();
    }
}
