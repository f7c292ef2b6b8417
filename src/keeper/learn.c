/* SPDX-License-Identifier: MIT */
/* See learn.h. */
#include "keeper/learn.h"

#include <fcntl.h>

#include "arena/arena.h"
#include "base/fmt.h"
#include "heap/callers.h"
#include "heap/ready.h"
#include "os/code.h"
#include "os/os.h"
#include "predict/phase.h"
#include "profile/writer.h"

#define LEARN_MAGIC 0x31656d6974656474u /* "tdetime1" */
#define LEARN_VERSION 1u
#define PATH_BYTES 512u
#define START_KEY ((uint64_t)1)

struct learn_head {
    uint64_t magic;
    uint32_t version;
    uint32_t runs;
    uint32_t count; /* of struct phase_known behind the head */
    uint32_t check; /* CRC-32 of all the rest */
    uint8_t build_id[BUILD_ID_MAX];
};

struct learn_file {
    struct learn_head head;
    struct phase_known known[PHASES_KNOWN];
};

struct learn_counters learn_counters;

static TIDE_SPARSE struct phases phases;   /* lock(pass) */
static TIDE_SPARSE struct learn_file file; /* whoever set is_busy, and the constructor */
static uint32_t is_busy;                   /* atomic: somebody reads or writes the file */
static TIDE_SPARSE char path[PATH_BYTES];  /* init: of the file */
static uint8_t build_id[BUILD_ID_MAX];     /* init: */
static bool is_on;                         /* atomic(relaxed): */
static uint32_t events_taken;              /* lock(pass): of callers_get */

/* ---- the file -------------------------------------------------------------------------------- */

static size_t
file_bytes(uint32_t count)
{
    return sizeof file.head + count * sizeof file.known[0];
}

/* Of all of it but the sum itself. */
static uint32_t
check_of_file(void)
{
    uint32_t check = file.head.check;
    uint32_t sum;

    file.head.check = 0;
    sum = crc32_of(0, &file, file_bytes(file.head.count));
    file.head.check = check;
    return sum;
}

static bool
file_is_sound(size_t bytes)
{
    const struct learn_head *head = &file.head;

    if (bytes < sizeof *head || head->magic != LEARN_MAGIC || head->version != LEARN_VERSION ||
        head->count > PHASES_KNOWN || bytes != file_bytes(head->count) ||
        memcmp(head->build_id, build_id, sizeof build_id) != 0 || check_of_file() != head->check) {
        return false;
    }
    for (uint32_t i = 0; i < head->count; i++) {
        if (!phase_is_sound(&file.known[i], head->runs)) {
            return false;
        }
    }
    return true;
}

/* Makes `file` what is there; nothing known, if there is none or it is of no use. */
static void
read_file(void)
{
    int fd = os_file_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    size_t bytes = 0;
    long got = fd < 0 ? 0 : 1;

    if (fd >= 0 && !os_file_is_own(fd)) {
        got = 0;
    }
    while (got > 0 && bytes < sizeof file) {
        got = os_file_read(fd, (char *)&file + bytes, sizeof file - bytes);
        bytes += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        os_file_close(fd);
    }
    if (!file_is_sound(bytes)) {
        file.head = (struct learn_head){.runs = 0};
    }
}

static int
put_file(int fd, void *unused)
{
    (void)unused;
    return fmt_write_fd(fd, (const char *)&file, file_bytes(file.head.count));
}

/* The one that the file is in; where it cannot be, the file cannot either. */
static void
make_directory(void)
{
    char *slash = strrchr(path, '/');

    *slash = '\0';
    (void)os_make_directory(path, 0700);
    *slash = '/';
}

static void
write_file(void)
{
    make_directory();
    if (os_file_replace(path, true, put_file, NULL) == 0) {
        counter_add(&learn_counters.saved, 1);
    } else {
        counter_add(&learn_counters.failed, 1);
    }
}

/* ---- between the file and the phases --------------------------------------------------------- */

static void
take_from_file(void)
{
    phases.runs = file.head.runs;
    phases.known_count = file.head.count;
    memcpy(phases.known, file.known, file.head.count * sizeof file.known[0]);
}

static void
give_to_file(void)
{
    file.head = (struct learn_head){.magic = LEARN_MAGIC,
                                    .version = LEARN_VERSION,
                                    .runs = phases.runs,
                                    .count = phases.known_count};
    memcpy(file.head.build_id, build_id, sizeof build_id);
    memcpy(file.known, phases.known, phases.known_count * sizeof file.known[0]);
    file.head.check = check_of_file();
}

static void
begin_phase(uint64_t key, uint64_t at_ns, uint64_t level)
{
    uint32_t before = phases.open_count;

    phases_begin(&phases, key, at_ns, level);
    if (phases.open_count > before) {
        counter_add(&learn_counters.begun, 1);
        counter_add(&learn_counters.forecast, phases.open[before].known != PHASES_KNOWN);
    }
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool
make_path(const char *directory)
{
    size_t len = os_program_build_id(build_id);
    char here[PATH_BYTES];
    fmt_t name;

    fmt_init_buffer(&name, path, sizeof path);
    if (directory[0] != '/') { /* the program may go elsewhere */
        if (os_read_link("/proc/self/cwd", here, sizeof here) == 0) {
            return false;
        }
        fmt_printf(&name, "%s/", here);
    }
    fmt_printf(&name, "%s/", directory);
    for (size_t i = 0; i < len; i++) {
        fmt_hex(&name, build_id[i] >> 4);
        fmt_hex(&name, build_id[i] & 15);
    }
    fmt_str(&name, ".learned");
    return len > 0 && !fmt_is_truncated(&name);
}

TIDE_COLD uint64_t
learn_begin(const char *directory)
{
    uint64_t now_ns = os_now_ns();

    if (os_is_filtered() || !make_path(directory)) {
        return 0;
    }
    phases_init(&phases);
    read_file();
    take_from_file();
    counter_add(&learn_counters.known, phases.known_count);
    begin_phase(START_KEY, now_ns, 0);
    begin_phase(os_arguments_key(), now_ns, 0);
    atomic_store_relaxed(&is_on, true);
    callers_begin();
    return phases_highest(&phases, now_ns);
}

static void
take_events(void)
{
    struct growth_event event;

    while (callers_get(events_taken, &event)) {
        begin_phase(event.key, event.at_ns, event.level_bytes);
        events_taken++;
    }
}

TIDE_COLD void
learn_observe_locked(uint64_t now_ns, uint64_t level)
{
    if (atomic_load_relaxed(&is_on)) {
        take_events();
        phases_observe(&phases, now_ns, level);
    }
}

TIDE_COLD uint64_t
learn_advise_locked(uint64_t now_ns, uint64_t level, uint64_t within_ns)
{
    return atomic_load_relaxed(&is_on) ? phases_advise(&phases, now_ns, level, within_ns) : 0;
}

TIDE_COLD bool
learn_is_on(void)
{
    return atomic_load_relaxed(&is_on);
}

/* Where nobody looked there is nothing to say before the exit. */
TIDE_COLD bool
learn_is_due_locked(uint64_t now_ns, bool at_exit)
{
    if (at_exit) { /* between two looks it may have been higher */
        uint64_t highest = atomic_load_relaxed(&arena_counters.used_highest);

        learn_observe_locked(now_ns, ready_program_bytes(highest));
    }
    return phases.open_count > 0 && phases.seen_ns != 0 &&
           (at_exit || phases_end_ns(&phases) <= now_ns);
}

TIDE_COLD uint64_t
learn_next_pass_ns(void)
{
    uint64_t end_ns = atomic_load_relaxed(&is_on) ? phases_end_ns(&phases) : 0;
    uint64_t now_ns = os_now_ns();

    return end_ns > now_ns ? end_ns - now_ns : 0;
}

TIDE_COLD bool
learn_save_begin(void)
{
    /* A filter of system calls may have come since; a child of _Fork is not the program. */
    if (os_is_filtered() || os_pid() != lock_process || atomic_exchange_acquire(&is_busy, 1) != 0) {
        return false;
    }
    read_file(); /* other runs may have ended meanwhile */
    return true;
}

TIDE_COLD void
learn_save_locked(void)
{
    take_from_file();
    phases_learn(&phases);
    give_to_file();
}

TIDE_COLD void
learn_note_failure(void)
{
    counter_add(&learn_counters.failed, 1);
}

TIDE_COLD bool
learn_is_saving(void)
{
    return atomic_load_relaxed(&is_busy) != 0;
}

TIDE_COLD void
learn_save_end(bool changed)
{
    if (changed && file.head.count > 0) { /* a program that does not grow leaves no file */
        write_file();
    }
    atomic_store_release(&is_busy, 0);
}

TIDE_COLD void
learn_fork_child(void)
{
    atomic_store_relaxed(&is_on, false);
    callers_end();
}
