/* SPDX-License-Identifier: MIT */
/* See machine.h. Nothing is remembered but the CPUs: files are read each time, limits change. */
#include "os/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>

#include "base/bits.h"
#include "base/fmt.h"
#include "os/os.h"

#define PATH_BYTES 512u
#define TEXT_BYTES 4096u
#define GROUP_DEPTH_MAX 32u
#define PLENTY_BYTES ((uint64_t)1 << 30)

/* The start of the file, terminated; false: it cannot be read. */
static bool
read_text(const char *path, char *text, size_t size)
{
    int fd = os_file_open(path, O_RDONLY, 0);
    size_t len = 0;
    long got = 1;

    if (fd < 0) {
        return false;
    }
    while (got > 0 && len < size - 1) {
        got = os_file_read(fd, text + len, size - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    os_file_close(fd);
    text[len] = '\0';
    return len > 0;
}

/* A decimal number at *text, which moves behind it; false: there is none. */
static bool
parse_number(const char **text, uint64_t *value)
{
    const char *at = *text;

    *value = 0;
    while (*at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at - '0');

        *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
        at++;
    }
    if (at == *text) {
        return false;
    }
    *text = at;
    return true;
}

/* The number behind `key` at the start of a line, in units of 1. */
static bool
find_number(const char *text, const char *key, uint64_t *value)
{
    size_t len = strlen(key);
    const char *line = text;

    while (line != NULL && strncmp(line, key, len) != 0) {
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    if (line == NULL) {
        return false;
    }
    line += len;
    while (*line == ' ' || *line == '\t') {
        line++;
    }
    return parse_number(&line, value);
}

/* ---- memory ---------------------------------------------------------------------------------- */

TIDE_COLD uint64_t
machine_parse_meminfo(const char *text)
{
    uint64_t kib;

    return find_number(text, "MemAvailable:", &kib) && kib < UINT64_MAX >> 10 ? kib << 10 : 0;
}

/* Is the controller one of those between the colons (a list with commas)? */
static bool
names_controller(const char *list, const char *end, const char *controller)
{
    size_t len = strlen(controller);

    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma == NULL ? end : comma;

        if ((size_t)(stop - list) == len && memcmp(list, controller, len) == 0) {
            return true;
        }
        list = stop + 1;
    }
    return false;
}

TIDE_COLD size_t
machine_parse_group(const char *text, const char *controller, const char **path)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *first = strchr(line, ':');
        const char *second = first == NULL ? NULL : strchr(first + 1, ':');

        end = end == NULL ? line + strlen(line) : end;
        if (second != NULL && second < end &&
            (controller == NULL ? second == first + 1
                                : names_controller(first + 1, second, controller))) {
            *path = second + 1;
            return (size_t)(end - *path);
        }
        line = *end == '\0' ? NULL : end + 1;
    }
    return 0;
}

struct group_files {
    const char *root;
    const char *limits[2]; /* the lower one counts; NULL: there is but one */
    const char *usage;
    const char *spare; /* key in memory.stat */
};

static const struct group_files version_1 = {"/sys/fs/cgroup/memory",
                                             {"memory.limit_in_bytes", NULL},
                                             "memory.usage_in_bytes",
                                             "total_inactive_file "};
static const struct group_files version_2 = {
    "/sys/fs/cgroup", {"memory.max", "memory.high"}, "memory.current", "inactive_file "};

/* Reads root + path[0..len) + "/" + name. */
static bool
read_group_file(const char *root, const char *path, size_t len, const char *name, char *text,
                size_t size)
{
    char full[PATH_BYTES];
    fmt_t f;

    fmt_init_buffer(&f, full, sizeof full);
    fmt_str(&f, root);
    fmt_mem(&f, path, len);
    fmt_char(&f, '/');
    fmt_str(&f, name);
    return !fmt_is_truncated(&f) && read_text(full, text, size);
}

/* What a group has left; UINT64_MAX: it has no limit. */
static uint64_t
group_left(const struct group_files *files, const char *path, size_t len)
{
    char text[TEXT_BYTES];
    uint64_t limit = UINT64_MAX;
    uint64_t usage;
    uint64_t spare = 0;
    const char *at = text;

    for (unsigned i = 0; i < TIDE_ARRAY_LEN(files->limits); i++) {
        uint64_t value;

        if (files->limits[i] != NULL &&
            read_group_file(files->root, path, len, files->limits[i], text, sizeof text) &&
            (at = text, parse_number(&at, &value)) && value < limit) {
            limit = value; /* "max" is no number */
        }
    }
    if (limit == UINT64_MAX) {
        return UINT64_MAX;
    }
    at = text;
    if (!read_group_file(files->root, path, len, files->usage, text, sizeof text) ||
        !parse_number(&at, &usage)) {
        return 0;
    }
    /* It takes the kernel a millisecond to add that up: only where it matters. */
    if ((limit < usage || limit - usage < PLENTY_BYTES) &&
        read_group_file(files->root, path, len, "memory.stat", text, sizeof text)) {
        (void)find_number(text, files->spare, &spare);
    }
    usage -= spare < usage ? spare : usage;
    return limit > usage ? limit - usage : 0;
}

/* Without the slashes at its end. */
static size_t
without_slashes(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    return len;
}

/* Of the group above, with a slash. */
static size_t
parent_length(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    return len;
}

/* The least of what the group and those above it have left. */
static uint64_t
groups_left(const struct group_files *files, const char *path, size_t len)
{
    uint64_t left = UINT64_MAX;

    for (unsigned depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
        len = without_slashes(path, len);
        left = min_zu(left, group_left(files, path, len));
        if (len == 0) {
            break;
        }
        len = parent_length(path, len);
    }
    return left;
}

TIDE_COLD uint64_t
os_headroom_bytes(void)
{
    char text[TEXT_BYTES];
    const char *path;
    uint64_t left;
    size_t len;

    if (!read_text("/proc/meminfo", text, sizeof text)) {
        return 0;
    }
    left = machine_parse_meminfo(text);
    if (!read_text("/proc/self/cgroup", text, sizeof text)) {
        return left; /* a kernel without groups */
    }
    len = machine_parse_group(text, NULL, &path);
    if (len > 0) {
        left = min_zu(left, groups_left(&version_2, path, len));
    }
    len = machine_parse_group(text, "memory", &path);
    return len > 0 ? min_zu(left, groups_left(&version_1, path, len)) : left;
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

TIDE_COLD unsigned
machine_parse_running(const char *text)
{
    const char *at = text;
    uint64_t running;

    for (unsigned blanks = 0; blanks < 3; at++) {
        if (*at == '\0') {
            return 0;
        }
        blanks += *at == ' ';
    }
    return parse_number(&at, &running) && *at == '/' && running <= UINT32_MAX ? (unsigned)running
                                                                              : 0;
}

TIDE_COLD unsigned
machine_parse_cpu_list(const char *text)
{
    uint64_t count = 0;

    while (*text != '\0' && *text != '\n') {
        uint64_t first;
        uint64_t last;

        if (!parse_number(&text, &first)) {
            return 0;
        }
        last = first;
        if (*text == '-') {
            text++;
            if (!parse_number(&text, &last) || last < first) {
                return 0;
            }
        }
        count += last - first + 1;
        text += *text == ',';
    }
    return count <= UINT32_MAX ? (unsigned)count : 0;
}

/* "QUOTA PERIOD", or "max PERIOD": whole CPUs that it pays for, UINT32_MAX: any number. */
TIDE_COLD unsigned
machine_parse_cpu_max(const char *text)
{
    uint64_t quota;
    uint64_t period;

    if (!parse_number(&text, &quota) || *text++ != ' ' || !parse_number(&text, &period) ||
        period == 0) {
        return UINT32_MAX;
    }
    return (unsigned)min_zu(quota / period, UINT32_MAX);
}

/* Of the usual period; "-1" is any number. */
static unsigned
parse_quota_us(const char *text)
{
    uint64_t quota;

    return parse_number(&text, &quota) ? (unsigned)min_zu(quota / 100000, UINT32_MAX) : UINT32_MAX;
}

/* The least of the quotas of the group and those above it. */
static unsigned
quota_of(const char *root, const char *path, size_t len, const char *name,
         unsigned (*parse)(const char *text))
{
    unsigned least = UINT32_MAX;
    char text[64];

    for (unsigned depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
        len = without_slashes(path, len);
        if (read_group_file(root, path, len, name, text, sizeof text)) {
            least = (unsigned)min_zu(least, parse(text));
        }
        if (len == 0) {
            break;
        }
        len = parent_length(path, len);
    }
    return least;
}

static unsigned
quota_cpus(void)
{
    char groups[TEXT_BYTES];
    unsigned whole = UINT32_MAX;
    const char *path;
    size_t len;

    if (!read_text("/proc/self/cgroup", groups, sizeof groups)) {
        return whole;
    }
    len = machine_parse_group(groups, NULL, &path);
    if (len > 0) {
        whole = quota_of("/sys/fs/cgroup", path, len, "cpu.max", machine_parse_cpu_max);
    }
    len = machine_parse_group(groups, "cpu", &path);
    if (len > 0) {
        whole = (unsigned)min_zu(
            whole, quota_of("/sys/fs/cgroup/cpu", path, len, "cpu.cfs_quota_us", parse_quota_us));
    }
    return whole;
}

TIDE_COLD unsigned
os_usable_cpus(void)
{
    char text[256];
    cpu_set_t set;
    int saved_errno = errno;
    unsigned cpus = 0;

    if (read_text("/sys/devices/system/cpu/online", text, sizeof text)) {
        cpus = machine_parse_cpu_list(text);
    }
    /* Of the first thread: the caller's own mask may be one worker's. More CPUs than the set has
     * room for are certainly some. */
    if (sched_getaffinity(os_pid(), sizeof set, &set) == 0) {
        cpus = (unsigned)min_zu(cpus, (size_t)CPU_COUNT(&set));
    }
    errno = saved_errno;
    return (unsigned)min_zu(cpus, quota_cpus());
}

TIDE_COLD unsigned
os_idle_cpus(unsigned usable)
{
    char text[128];
    unsigned busy;

    if (usable < 2 || !read_text("/proc/loadavg", text, sizeof text)) {
        return 0;
    }
    busy = machine_parse_running(text); /* the caller is one of them */
    return busy > 0 && usable >= busy ? usable + 1 - busy : 0;
}
