/* SPDX-License-Identifier: MIT */
/* See modules.h. The build-id is read from the file, when it still is the one that is mapped. */
#include "trace/modules.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/build_id.h"

enum { NOTES_MAX = 1024, HEADERS_MAX = 32, LINE_MAX_BYTES = 4096 + 128 };

/* A line of /proc/self/maps. */
struct mapping {
    uint64_t start, end, offset, major, minor, inode;
    bool is_executable;
    const char *path; /* "" without one */
};

/* ---- Build-ids ------------------------------------------------------------------------------- */

static size_t
read_build_id(int fd, uint8_t *id)
{
    unsigned char notes[NOTES_MAX];
    Elf64_Phdr headers[HEADERS_MAX];
    Elf64_Ehdr elf;
    size_t count, found = 0;

    if (pread(fd, &elf, sizeof elf, 0) != sizeof elf || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
        elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_phentsize != sizeof headers[0]) {
        return 0;
    }
    count = elf.e_phnum < HEADERS_MAX ? elf.e_phnum : HEADERS_MAX;
    if (pread(fd, headers, count * sizeof headers[0], (off_t)elf.e_phoff) !=
        (ssize_t)(count * sizeof headers[0])) {
        return 0;
    }
    for (size_t i = 0; i < count && found == 0; i++) {
        ssize_t n;

        if (headers[i].p_type == PT_NOTE && headers[i].p_filesz <= sizeof notes) {
            n = pread(fd, notes, headers[i].p_filesz, (off_t)headers[i].p_offset);
            found = n <= 0 ? 0 : build_id_find(notes, (size_t)n, id);
        }
    }
    return found;
}

static size_t
build_id_of(const struct mapping *m, uint8_t *id)
{
    int fd = m->path[0] != '/' ? -1 : open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    size_t n = 0;

    if (fd < 0) {
        return 0;
    }
    /* Not the device: overlays and subvolumes have another one in /proc/self/maps than in stat. */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == m->inode) {
        n = read_build_id(fd, id);
    }
    close(fd);
    return n;
}

/* ---- Mappings -------------------------------------------------------------------------------- */

static void
write_module_locked(struct trace_modules *all, const struct mapping *m)
{
    uint8_t id[BUILD_ID_MAX];
    unsigned char *to;
    size_t path = strlen(m->path);
    struct trace_module module;

    path = path < TRACE_PATH_MAX ? path : TRACE_PATH_MAX;
    module = (struct trace_module){
        0, (uint16_t)build_id_of(m, id), (uint16_t)path, m->start, m->end, m->offset};
    module.bytes = (uint32_t)(sizeof module + module.build_id_bytes + path + 7) & ~7u;
    if (all->chunk != NULL && sizeof *all->chunk + all->used + module.bytes > all->chunk->bytes) {
        trace_chunk_close(all->chunk, all->used);
        all->chunk = NULL;
    }
    if (all->chunk == NULL) {
        all->used = 0;
        all->chunk = trace_chunk_claim_locked(TRACE_MODULES, TRACE_PAGE);
        if (all->chunk == NULL) {
            return;
        }
    }
    to = (unsigned char *)(all->chunk + 1) + all->used;
    memcpy(to + sizeof module, id, module.build_id_bytes);
    memcpy(to + sizeof module + module.build_id_bytes, m->path, path);
    memcpy(to + sizeof module.bytes, (unsigned char *)&module + sizeof module.bytes,
           sizeof module - sizeof module.bytes);
    memcpy(to, &module.bytes, sizeof module.bytes);
    all->used += module.bytes;
}

static bool
is_known(const struct trace_modules *all, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->ranges[i].start <= start && end <= all->ranges[i].end) {
            return true;
        }
    }
    return false;
}

static uint64_t
take_number(const char **at, unsigned base)
{
    uint64_t value = 0;

    for (;; (*at)++) {
        unsigned c = (unsigned char)**at, digit = base;

        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        }
        if (digit >= base) {
            return value;
        }
        value = value * base + digit;
    }
}

/* "start-end rwxp offset major:minor inode   path" */
static struct mapping
parse(const char *line)
{
    struct mapping m = {0};

    m.start = take_number(&line, 16);
    line += *line == '-';
    m.end = take_number(&line, 16);
    m.is_executable = strlen(line) > 5 && line[3] == 'x';
    line += m.is_executable ? 6 : 0;
    m.offset = take_number(&line, 16);
    line += *line == ' ';
    m.major = take_number(&line, 16);
    line += *line == ':';
    m.minor = take_number(&line, 16);
    line += *line == ' ';
    m.inode = take_number(&line, 10);
    m.path = line + strspn(line, " ");
    return m;
}

static void
take_line_locked(struct trace_modules *all, const char *line)
{
    struct mapping m = parse(line);

    if (m.is_executable && all->count < TRACE_RANGES_MAX && !is_known(all, m.start, m.end)) {
        all->ranges[all->count++] = (struct trace_range){m.start, m.end};
        write_module_locked(all, &m);
    }
}

void
trace_modules_cover_locked(struct trace_modules *m, uint64_t address)
{
    static char text[LINE_MAX_BYTES]; /* lock: whole lines, and the beginning of one */
    size_t length = 0;
    ssize_t n;
    int fd;

    if (is_known(m, address, address) || m->count == TRACE_RANGES_MAX) {
        return;
    }
    fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, text + length, sizeof text - 1 - length)) > 0) {
        char *line = text, *end;

        length += (size_t)n;
        text[length] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            take_line_locked(m, line);
            line = end + 1;
        }
        length -= (size_t)(line - text);
        /* A longer line than any path makes is not one: over with it. */
        length = length == sizeof text - 1 ? 0 : length;
        memmove(text, line, length);
    }
    if (fd >= 0) {
        close(fd);
    }
}
