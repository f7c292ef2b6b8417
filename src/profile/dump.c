/* SPDX-License-Identifier: MIT */
/*
 * A profile as a file; see format.h. Each site is copied under the lock and written without it: a
 * site's figures agree with each other, those of different sites are of slightly different times.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/os.h"
#include "profile/live.h"
#include "profile/modules.h"
#include "profile/profile.h"
#include "profile/record.h"
#include "profile/series.h"
#include "profile/stacks.h"
#include "profile/threads.h"
#include "profile/unwind.h"
#include "profile/writer.h"

#define SECTION_BYTES ((size_t)96 << 10) /* of sites */
#define PATH_BYTES 512u

static void
meta_number(writer_t *w, const char *key, uint64_t value)
{
    writer_string(w, key);
    writer_number(w, value);
}

static void
meta_text(writer_t *w, const char *key, const char *value)
{
    writer_string(w, key);
    writer_string(w, value);
}

/* The arguments, separated by blanks. */
static void
read_command(char *command, size_t size)
{
    int fd = os_file_open("/proc/self/cmdline", O_RDONLY, 0);
    long len = fd < 0 ? 0 : os_file_read(fd, command, size - 1);

    if (fd >= 0) {
        os_file_close(fd);
    }
    len = len < 0 ? 0 : len;
    while (len > 0 && command[len - 1] == '\0') {
        len--;
    }
    command[len] = '\0';
    for (long i = 0; i < len; i++) {
        if (command[i] == '\0') {
            command[i] = ' ';
        }
    }
}

/* times NULL: there is no profile. */
static void
write_meta(writer_t *w, const struct profile_times *times, uint64_t now_ns)
{
    char text[1024];

    writer_section(w, "META");
    (void)os_read_link("/proc/self/exe", text, sizeof text);
    meta_text(w, "program", text);
    read_command(text, sizeof text);
    meta_text(w, "command", text);
    meta_number(w, "pid", (uint64_t)os_pid());
    meta_text(w, "tool", "tidemalloc " TIDE_VERSION);
    if (times != NULL) {
        meta_number(w, "start_ns", times->start_real_ns);
        meta_number(w, "time_ns", times->start_real_ns + (now_ns - times->start_ns));
        meta_number(w, "duration_ns", now_ns - times->start_ns);
        meta_number(w, "rate", times->rate);
        meta_text(w, "unwinder", unwind_name());
        meta_number(w, "lost_samples", profile_lost());
    } else {
        meta_number(w, "time_ns", os_real_ns());
    }
    writer_section_end(w);
}

static void
write_modules(writer_t *w)
{
    uint32_t count = modules_count();

    writer_section(w, "MODS");
    writer_unsigned(w, count);
    for (uint32_t i = 0; i < count; i++) {
        module_t module;

        lock_acquire(&profile_lock);
        module = *module_at(i);
        lock_release(&profile_lock);
        writer_unsigned(w, module.start);
        writer_unsigned(w, module.end - module.start);
        writer_unsigned(w, module.offset);
        writer_text(w, (const char *)module.build_id, module.build_id_len);
        writer_string(w, module.path);
    }
    writer_section_end(w);
}

/* ---- ages of what lives ---------------------------------------------------------------------- */

struct ages {
    uint64_t (*of)[PROFILE_DECADES]; /* by a site's index; NULL: no memory */
    uint32_t sites;
    size_t bytes;
};

static void
ages_take(struct ages *ages, uint64_t now_ns)
{
    const sample_t *sample;

    ages->bytes = align_up(ages->sites * sizeof ages->of[0], OS_PAGE);
    ages->of = os_map(ages->bytes, "tidemalloc profile: ages");
    if (ages->of == NULL) {
        return;
    }
    lock_acquire(&profile_lock);
    for (size_t i = 0; (sample = live_entry_locked(i)) != NULL; i++) {
        uint32_t site = site_at(sample->site)->index;
        uint64_t age = now_ns > sample->born_ns ? now_ns - sample->born_ns : 0;

        if (site < ages->sites) {
            ages->of[site][bucket_of_time(age)] += milli_of(sample->weight);
        }
    }
    lock_release(&profile_lock);
}

static void
ages_release(struct ages *ages)
{
    if (ages->of != NULL) {
        os_unreserve(ages->of, ages->bytes);
    }
}

/* ---- sites ----------------------------------------------------------------------------------- */

static void
write_histogram(writer_t *w, const uint64_t *buckets, unsigned count)
{
    while (count > 0 && buckets[count - 1] == 0) {
        count--; /* what is missing is 0 */
    }
    writer_unsigned(w, count);
    for (unsigned i = 0; i < count; i++) {
        writer_unsigned(w, buckets[i]);
    }
}

static void
write_site(writer_t *w, uint32_t place, const struct ages *ages, uint64_t now_ns)
{
    site_t *site = site_at(place);
    struct site_histograms histograms;
    struct profile_figures figures;
    const int64_t *figure = (const int64_t *)&figures;

    lock_acquire(&profile_lock);
    figures = site_figures_locked(site, now_ns);
    site_histograms_locked(site, &histograms);
    lock_release(&profile_lock);
    if (ages->of != NULL) {
        memcpy(histograms.buckets[PROFILE_AGE_NS], ages->of[site->index], sizeof ages->of[0]);
    }
    writer_unsigned(w, site->depth);
    for (uint32_t i = 0; i < site->depth; i++) {
        frame_t frame = site_frame(site, i);

        writer_unsigned(w, frame_module_plus_1(frame));
        writer_unsigned(w, frame_offset(frame));
    }
    writer_unsigned(w, PROFILE_FIGURE_COUNT);
    for (size_t i = 0; i < PROFILE_FIGURE_COUNT; i++) {
        writer_signed(w, figure[i]);
    }
    writer_unsigned(w, PROFILE_HISTOGRAMS);
    for (unsigned h = 0; h < PROFILE_HISTOGRAMS; h++) {
        write_histogram(w, histograms.buckets[h], histogram_buckets((enum profile_histogram)h));
    }
}

/* Sites that were made since `ages` was are left out: their modules may not have been written. */
static void
write_sites(writer_t *w, const struct ages *ages, uint64_t now_ns)
{
    uint32_t place = sites_next(0);
    uint32_t count = 0;

    if (site_at(place)->figures.samples == 0) {
        place = sites_next(place); /* there was room for all */
    }
    writer_section(w, "SITE");
    for (; place != 0; place = sites_next(place)) {
        if (site_at(place)->index >= ages->sites) {
            continue;
        }
        write_site(w, place, ages, now_ns);
        count++;
        if (writer_payload(w) >= SECTION_BYTES) {
            writer_unsigned_first(w, count);
            writer_section_end(w);
            writer_section(w, "SITE");
            count = 0;
        }
    }
    writer_unsigned_first(w, count);
    writer_section_end(w);
}

/* ---- series and statistics ------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *unit;
} figure_names[SERIES_FIGURES] = {
    [SERIES_LIVE_BYTES] = {"live_bytes", "bytes"},
    [SERIES_ALLOCATED_RATE] = {"allocated_bytes_rate", "bytes/s"},
    [SERIES_FREED_RATE] = {"freed_bytes_rate", "bytes/s"},
    [SERIES_ALLOCATIONS_RATE] = {"allocations_rate", "blocks/s"},
    [SERIES_RESIDENT_BYTES] = {"resident_bytes", "bytes"},
    [SERIES_RETAINED_BYTES] = {"retained_bytes", "bytes"},
};

/* lock(profile) held. prefix: "" or of a thread. */
static void
write_series_locked(writer_t *w, const char *prefix, const series_t *series, enum series_ring ring,
                    enum series_figure figure)
{
    struct profile_times times = profile_times();
    struct series_view view = series_view_locked(series, ring);
    char text[128];
    fmt_t name;
    int64_t before = 0;

    fmt_init_buffer(&name, text, sizeof text);
    fmt_printf(&name, "%s%s", prefix, figure_names[figure].name);
    writer_section(w, "SERI");
    writer_text(w, text, name.len);
    writer_string(w, figure_names[figure].unit);
    writer_unsigned(w, view.interval_ns);
    writer_unsigned(w, times.start_real_ns + (view.first_ns - times.start_ns));
    writer_unsigned(w, view.count);
    for (uint32_t i = 0; i < view.count; i++) {
        int64_t value = series_value_locked(series, ring, figure, i);

        writer_signed(w, value - before);
        before = value;
    }
}

static void
write_process_series(writer_t *w)
{
    for (unsigned ring = 0; ring < SERIES_RINGS; ring++) {
        for (unsigned figure = 0; figure < SERIES_FIGURES; figure++) {
            lock_acquire(&profile_lock);
            write_series_locked(w, "", &series_process, (enum series_ring)ring,
                                (enum series_figure)figure);
            lock_release(&profile_lock);
            writer_section_end(w);
        }
    }
}

/* A figure of a thread, if there is an interval of it: the thread may be another one each time. */
static void
write_thread_series(writer_t *w, unsigned index, enum series_ring ring, enum series_figure figure)
{
    struct thread_view thread;
    char text[64];
    fmt_t prefix;
    bool is_there;

    lock_acquire(&profile_lock);
    is_there =
        threads_view_locked(index, &thread) && series_view_locked(thread.series, ring).count > 0;
    if (is_there) {
        fmt_init_buffer(&prefix, text, sizeof text);
        fmt_printf(&prefix, "thread/%s/%d/", thread.name, thread.tid);
        write_series_locked(w, text, thread.series, ring, figure);
    }
    lock_release(&profile_lock);
    if (is_there) {
        writer_section_end(w);
    }
}

static void
write_all_series(writer_t *w)
{
    write_process_series(w);
    for (unsigned index = 0; index <= THREADS_MAX; index++) {
        for (unsigned ring = 0; ring < SERIES_RINGS; ring++) {
            for (unsigned figure = 0; figure < SERIES_THREAD_FIGURES; figure++) {
                write_thread_series(w, index, (enum series_ring)ring, (enum series_figure)figure);
            }
        }
    }
}

static void
write_statistics(writer_t *w)
{
    char buffer[256];
    fmt_t out;

    if (profile_config.statistics == NULL) {
        return;
    }
    writer_section(w, "STAT");
    fmt_init_sink(&out, writer_sink, w, buffer, sizeof buffer);
    profile_config.statistics(&out);
    (void)fmt_flush(&out);
    writer_unsigned_first(w, writer_payload(w));
    writer_section_end(w);
}

/* What the process as a whole has besides sites and their series. */
static void
write_rest(writer_t *w)
{
    if (profile_config.series != NULL) {
        profile_config.series(w);
    }
    write_statistics(w);
}

static int
write_all(int fd, void *unused)
{
    struct profile_times times = profile_times();
    struct ages ages = {.of = NULL};
    uint64_t now_ns = os_now_ns();
    writer_t w;

    (void)unused;
    lock_acquire(&profile_lock);
    ages.sites = site_totals.sites;
    series_advance_locked(now_ns);
    threads_follow_locked();
    lock_release(&profile_lock);
    stacks_look_at_modules();
    ages_take(&ages, now_ns);
    writer_begin(&w, fd);
    write_meta(&w, &times, now_ns);
    write_modules(&w);
    write_sites(&w, &ages, now_ns);
    write_all_series(&w);
    write_rest(&w);
    ages_release(&ages);
    return writer_finish(&w);
}

/* The process without its sites. */
static int
write_process(int fd)
{
    struct profile_times times = profile_times();
    uint64_t now_ns = os_now_ns();
    writer_t w;

    writer_begin(&w, fd);
    if (profile_is_made()) {
        lock_acquire(&profile_lock);
        series_advance_locked(now_ns);
        lock_release(&profile_lock);
        write_meta(&w, &times, now_ns);
        write_all_series(&w);
    } else {
        write_meta(&w, NULL, now_ns);
    }
    write_rest(&w);
    return writer_finish(&w);
}

lock_t profile_dump_lock;

/* One dump at a time: two to the same name would share their file. False: this thread is inside
 * the profile already (a signal handler that interrupted a sample, or a dump). */
static bool
dump_begin(void)
{
    if (!profile_enter()) {
        return false;
    }
    lock_acquire(&profile_dump_lock);
    return true;
}

static void
dump_end(void)
{
    lock_release(&profile_dump_lock);
    profile_leave();
}

int
profile_write(int fd)
{
    int error;

    if (!profile_begin(false)) {
        return ENODATA;
    }
    if (!dump_begin()) {
        return EDEADLK;
    }
    error = write_all(fd, NULL);
    dump_end();
    return error;
}

int
profile_write_statistics(int fd)
{
    int error;

    if (!dump_begin()) {
        return EDEADLK;
    }
    error = write_process(fd);
    dump_end();
    return error;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* What is no regular file (a terminal, a pipe) is written to, not replaced; nor is a link, which a
 * process with raised privileges does not follow. */
static bool
is_special(const char *path)
{
    struct stat status;
    int saved_errno = errno;
    bool special = lstat(path, &status) == 0 && !S_ISREG(status.st_mode);

    errno = saved_errno;
    return special;
}

/* A regular file is overwritten only where the system's own links lead to it, as /dev/stdout does:
 * another link may be somebody else's. */
static int
open_special(const char *path)
{
    struct stat status;
    int fd = os_file_open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0); /* no wait for a reader */

    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0) {
        os_file_close(fd);
        return -ELOOP;
    }
    if (fd >= 0) {
        (void)fcntl(fd, F_SETFL, 0);
    }
    return fd;
}

static int
dump_special(const char *path)
{
    int fd = open_special(path);
    int error = -fd;

    if (fd >= 0) {
        error = write_all(fd, NULL);
        os_file_close(fd);
    }
    return error;
}

int
profile_dump(const char *path)
{
    int error;

    if (!profile_begin(false)) {
        return ENODATA;
    }
    if (!dump_begin()) {
        return EDEADLK;
    }
    if (!is_special(path)) {
        error = os_file_replace(path, !profile_config.secure, write_all, NULL);
    } else {
        error = profile_config.secure ? EEXIST : dump_special(path);
    }
    dump_end();
    return error;
}

/* A profile without a sample, as of a shell that runs other programs, is not to take the place of
 * one that has some. */
static bool
would_lose_another(const char *path)
{
    return profile_exists() && profile_totals().allocated_blocks == 0 && !is_special(path) &&
           access(path, F_OK) == 0;
}

void
profile_dump_configured(void)
{
    char path[PATH_BYTES];
    fmt_t out;
    int error = ENAMETOOLONG;

    if (profile_config.out == NULL || profile_config.out[0] == '\0') {
        return;
    }
    fmt_init_buffer(&out, path, sizeof path);
    fmt_path(&out, profile_config.out, os_pid());
    if (!fmt_is_truncated(&out)) {
        error = would_lose_another(path) ? 0 : profile_dump(path);
    }
    if (error != 0) {
        fmt_cannot_write("profile", path, error);
    }
}
