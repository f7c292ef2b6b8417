/* SPDX-License-Identifier: MIT */
/* See process.h. */
#include "tool/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The beginning of a file, terminated; -1: it cannot be read. */
static ssize_t
read_start(int directory, const char *name, char *text, size_t size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    size_t got = 0;
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && got < size - 1) {
        n = read(fd, text + got, size - 1 - got);
        got += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    text[got] = '\0';
    return n < 0 ? -1 : (ssize_t)got;
}

/* The number-th field of stat, counted from 1 as in proc(5), from the third on; NULL: gone. A name
 * may hold blanks and parentheses. */
static const char *
stat_field(char *text, size_t size, int directory, unsigned number)
{
    const char *at = read_start(directory, "stat", text, size) > 0 ? strrchr(text, ')') : NULL;

    if (at == NULL || at[1] != ' ') {
        return NULL;
    }
    at += 2;
    for (unsigned i = 3; i < number && at != NULL; i++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at;
}

char
process_state(int directory)
{
    char text[1024];
    const char *field = stat_field(text, sizeof text, directory, 3);

    return field == NULL ? '\0' : *field;
}

uint64_t
process_start(int directory)
{
    char text[1024];
    const char *field = stat_field(text, sizeof text, directory, 22);

    return field == NULL ? 0 : strtoull(field, NULL, 10);
}

int
process_own_id(int directory)
{
    char text[4096];
    char *line =
        read_start(directory, "status", text, sizeof text) > 0 ? strstr(text, "\nNSpid:") : NULL;
    int id = -1;

    if (line == NULL) {
        return -1;
    }
    for (char *at = line + strlen("\nNSpid:"), *end; *at != '\n' && *at != '\0'; at = end) {
        id = (int)strtol(at, &end, 10);
        if (end == at) {
            break;
        }
    }
    return id;
}

bool
process_is_on_tidemalloc(int directory)
{
    int fd = openat(directory, "maps", O_RDONLY | O_CLOEXEC);
    FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
    bool found = false;
    char *line = NULL;
    size_t room = 0;

    if (maps == NULL) {
        return false;
    }
    while (!found && getline(&line, &room, maps) > 0) {
        found =
            strstr(line, "/libtidemalloc.so") != NULL || strstr(line, "[anon:tidemalloc") != NULL;
    }
    free(line);
    fclose(maps);
    return found;
}

/* The value in KiB behind the key, in bytes. */
static uint64_t
kib_of(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10) * 1024;
}

bool
process_memory(int directory, bool want_share, struct process_memory *out)
{
    char text[4096];

    *out = (struct process_memory){0};
    if (want_share && read_start(directory, "smaps_rollup", text, sizeof text) > 0) {
        out->resident = kib_of(text, "\nRss:");
        out->share = kib_of(text, "\nPss:");
        return true;
    }
    if (read_start(directory, "statm", text, sizeof text) <= 0 || strchr(text, ' ') == NULL) {
        return false;
    }
    out->resident = strtoull(strchr(text, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static bool
begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Which part the mapping of that name is of. */
static uint64_t *
part_of(struct process_parts *out, const char *name)
{
    if (name[0] == '/') {
        bool is_shared = begins(name, "/memfd:") || begins(name, "/SYSV") ||
                         begins(name, "/dev/shm/") || begins(name, "/dev/zero");

        return is_shared                                   ? &out->shared
               : strstr(name, "/libtidemalloc.so") != NULL ? &out->library
                                                           : &out->files;
    }
    if (begins(name, "[stack")) {
        return &out->stack;
    }
    if (begins(name, "[heap")) {
        return &out->brk;
    }
    if (begins(name, "[anon:tidemalloc profile")) {
        return &out->profile;
    }
    return name[0] == '\0' || begins(name, "[anon") ? &out->anonymous : &out->files;
}

/* A mapping's first line is "from-to rights offset device inode name"; others begin with a key. */
static bool
read_mapping(const char *line, char *name, size_t size)
{
    int at = -1;

    if (sscanf(line, "%*x-%*x %*s %*x %*x:%*x %*u %n", &at) < 0 || at < 0) {
        return false;
    }
    snprintf(name, size, "%s", line + at);
    name[strcspn(name, "\n")] = '\0';
    return true;
}

bool
process_parts(int directory, struct process_parts *out)
{
    int fd = openat(directory, "smaps", O_RDONLY | O_CLOEXEC);
    FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
    char name[4200] = "", *line = NULL;
    size_t room = 0;

    *out = (struct process_parts){0};
    if (maps == NULL) {
        return false;
    }
    while (getline(&line, &room, maps) > 0) {
        if (!read_mapping(line, name, sizeof name) && begins(line, "Rss:")) {
            uint64_t bytes = strtoull(line + strlen("Rss:"), NULL, 10) * 1024;

            *part_of(out, name) += bytes;
            out->total += bytes;
        }
    }
    free(line);
    fclose(maps);
    return out->total > 0;
}

void
process_command(int directory, char *text, size_t size)
{
    ssize_t length = read_start(directory, "cmdline", text, size);

    if (length <= 0) {
        char name[64];

        name[0] = '\0';
        read_start(directory, "comm", name, sizeof name);
        name[strcspn(name, "\n")] = '\0';
        length = snprintf(text, size, "[%s]", name);
        length = length < (ssize_t)size ? length : (ssize_t)size - 1;
    }
    while (length > 0 && text[length - 1] == '\0') {
        length--;
    }
    for (ssize_t i = 0; i < length; i++) {
        if (text[i] == '\0') {
            text[i] = ' ';
        } else if (iscntrl((unsigned char)text[i])) {
            text[i] = '?';
        }
    }
}

unsigned
process_uid(int directory)
{
    struct stat status;

    return fstat(directory, &status) == 0 ? (unsigned)status.st_uid : (unsigned)-1;
}

static int
compare_ids(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

int *
process_list(size_t *count)
{
    DIR *all = opendir("/proc");
    struct dirent *entry;
    int *list = NULL;
    size_t room = 0;

    *count = 0;
    while (all != NULL && (entry = readdir(all)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            list = tool_grow(list, *count, &room, sizeof *list);
            list[(*count)++] = atoi(entry->d_name);
        }
    }
    if (all != NULL) {
        closedir(all);
    }
    if (list == NULL) {
        return tool_alloc(sizeof *list);
    }
    qsort(list, *count, sizeof *list, compare_ids);
    return list;
}
