/* SPDX-License-Identifier: MIT */
/*
 * Which files name the places of a profile. For each module, in this order:
 *
 *   1. the recorded path, when the file there has the recorded build-id
 *   2. DIR/.build-id/xx/yyy and the same with .debug, for --debug-dir and /usr/lib/debug
 *
 * The recorded offsets are those in the file that ran. A file of debug information alone has the
 * same addresses but other offsets, so there the mapping tells: it must cover the one executable
 * segment exactly. One module is open at a time, to bound memory; its addresses come sorted.
 */
#include "tool/symbols.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/debug.h"

#define DEBUG_DIR "/usr/lib/debug"

enum { PATH_BYTES = 4096, OS_PAGE = 4096, SEGMENTS_MAX = 16 };

/* An executable segment: file offset, address, and length in the file and in memory. */
struct segment {
    uint64_t offset, address, file_bytes, memory_bytes;
};

struct elf_file {
    char path[PATH_BYTES];
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count;
};

enum fit { FIT_NONE, FIT_OTHER, FIT_SAME };

const char *
symbols_source_name(enum symbol_source source)
{
    static const char *const names[] = {"not asked", "none", "build-id differs", "symbol table",
                                        "debug"};

    return names[source];
}

static void
read_segments(struct elf_file *file, Elf *elf)
{
    size_t count = 0;
    GElf_Phdr phdr;

    file->segment_count = 0;
    elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count && file->segment_count < SEGMENTS_MAX; i++) {
        if (gelf_getphdr(elf, (int)i, &phdr) != NULL && phdr.p_type == PT_LOAD &&
            (phdr.p_flags & PF_X) != 0) {
            file->segments[file->segment_count++] =
                (struct segment){phdr.p_offset, phdr.p_vaddr, phdr.p_filesz, phdr.p_memsz};
        }
    }
}

/* Whether the file at file->path is the module, and its segments when it is. */
static enum fit
try_file(struct elf_file *file, const struct profile_module *m)
{
    int fd = tool_open_file(AT_FDCWD, file->path, NULL);
    Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
    enum fit fit = FIT_NONE;
    const void *id = NULL;
    ssize_t length;

    if (elf != NULL && elf_kind(elf) == ELF_K_ELF) {
        length = dwelf_elf_gnu_build_id(elf, &id);
        length = length < 0 ? 0 : length;
        fit = (size_t)length == m->build_id_length &&
                      (length == 0 || memcmp(id, m->build_id, (size_t)length) == 0)
                  ? FIT_SAME
                  : FIT_OTHER;
        read_segments(file, elf);
    }
    elf_end(elf);
    if (fd >= 0) {
        close(fd);
    }
    return fit;
}

static bool
try_debug_dir(struct elf_file *file, const struct profile_module *m, const char *dir)
{
    char hex[2 * PROFILE_BUILD_ID_MAX + 1];

    if (dir == NULL || m->build_id_length < 2) {
        return false;
    }
    profile_build_id(m, hex);
    for (int debug = 0; debug <= 1; debug++) {
        int n = snprintf(file->path, sizeof file->path, "%s/.build-id/%.2s/%s%s", dir, hex, hex + 2,
                         debug ? ".debug" : "");
        if (n > 0 && (size_t)n < sizeof file->path && try_file(file, m) == FIT_SAME) {
            return true;
        }
    }
    return false;
}

static enum fit
find_file(struct elf_file *file, const struct profile_module *m,
          const struct symbol_options *options)
{
    enum fit fit = FIT_NONE;

    if (m->path[0] == '/' && strlen(m->path) < sizeof file->path) {
        memcpy(file->path, m->path, strlen(m->path) + 1);
        fit = try_file(file, m);
    }
    if (fit != FIT_SAME &&
        (try_debug_dir(file, m, options->debug_dir) || try_debug_dir(file, m, DEBUG_DIR))) {
        return FIT_SAME;
    }
    return fit;
}

static bool
address_of(const struct elf_file *file, const struct profile_module *m, uint64_t offset,
           uint64_t *address)
{
    const struct segment *s = file->segments;

    for (size_t i = 0; i < file->segment_count; i++) {
        if (offset >= s[i].offset && offset - s[i].offset < s[i].file_bytes) {
            *address = offset - s[i].offset + s[i].address;
            return true;
        }
    }
    /* Debug information alone: its segments are empty, and their offsets mean nothing. */
    if (file->segment_count == 1 && s->file_bytes == 0 && offset >= m->file_offset &&
        (m->size + OS_PAGE - 1) / OS_PAGE ==
            (s->address % OS_PAGE + s->memory_bytes + OS_PAGE - 1) / OS_PAGE) {
        *address = offset - m->file_offset + (s->address - s->address % OS_PAGE);
        return true;
    }
    return false;
}

static enum symbol_source
ask_file(struct symbols *s, struct debug_names *names, const struct elf_file *file,
         const struct symbol_options *options, struct debug_query *queries, size_t count)
{
    char path[PATH_BYTES + 64];
    char *search = path;
    Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                .find_debuginfo = dwfl_standard_find_debuginfo,
                                .debuginfo_path = &search};
    enum symbol_source source = SYMBOLS_NONE;
    Dwfl_Module *module;
    Dwfl *dwfl;
    int fd;

    snprintf(path, sizeof path, "%s%s:.debug:%s",
             options->debug_dir != NULL ? options->debug_dir : "",
             options->debug_dir != NULL ? ":" : "", DEBUG_DIR);
    dwfl = dwfl_begin(&callbacks);
    if (dwfl == NULL) {
        return SYMBOLS_NONE;
    }
    dwfl_report_begin(dwfl);
    fd = tool_open_file(AT_FDCWD, file->path, NULL); /* the module's from here on */
    module = fd < 0 ? NULL
                    : dwfl_report_elf(dwfl, profile_base_name(file->path), file->path, fd, 0, true);
    if (fd >= 0 && module == NULL) {
        close(fd);
    }
    dwfl_report_end(dwfl, NULL, NULL);
    if (module != NULL) {
        source = debug_resolve(s, names, module, queries, count);
    }
    dwfl_end(dwfl);
    return source;
}

static int
compare_queries(const void *a, const void *b)
{
    const struct debug_query *x = a, *y = b;

    return (x->address > y->address) - (x->address < y->address);
}

/* The places [from, to) of one module; answers go to queries of the same number. */
static enum symbol_source
resolve_module(struct symbols *s, struct debug_names *names, const struct profile *p,
               const struct profile_module *m, const struct symbol_options *options, size_t from,
               size_t to, struct debug_query *queries)
{
    struct elf_file file;
    enum fit fit = find_file(&file, m, options);
    size_t count = 0;
    struct debug_query *asked;
    enum symbol_source source;

    if (fit == FIT_OTHER && !options->quiet) {
        tool_warn("%s has another build-id than the file that ran, so it names nothing: put the "
                  "file of that build, or its debug information, into DIR/.build-id and use "
                  "--debug-dir=DIR",
                  m->path);
    }
    if (fit != FIT_SAME) {
        return fit == FIT_OTHER ? SYMBOLS_MISMATCH : SYMBOLS_NONE;
    }
    asked = tool_alloc((to - from) * sizeof *asked);
    for (size_t i = from; i < to; i++) {
        struct debug_query *q = &asked[count];
        q->location = (uint32_t)i;
        count += address_of(&file, m, p->locations[i].offset, &q->address);
    }
    /* Segments may lie in the file in another order than in memory. */
    if (count > 0) {
        qsort(asked, count, sizeof *asked, compare_queries);
    }
    source = ask_file(s, names, &file, options, asked, count);
    for (size_t i = 0; i < count; i++) {
        queries[asked[i].location] = asked[i];
    }
    free(asked);
    return source;
}

/* Answers in the order of locations, and an empty frame for each without. */
static void
arrange(struct symbols *s, const struct profile *p, const struct debug_query *queries)
{
    struct symbol_frame *arranged =
        tool_alloc((s->frame_count + p->location_count + 1) * sizeof *arranged);
    size_t count = 0;

    for (size_t i = 0; i < p->location_count; i++) {
        s->first[i] = (uint32_t)count;
        for (uint32_t k = 0; k < queries[i].count; k++) {
            arranged[count++] = s->frames[queries[i].first + k];
        }
        count += queries[i].count == 0;
    }
    s->first[p->location_count] = (uint32_t)count;
    free(s->frames);
    s->frames = arranged;
    s->frame_count = count;
}

void
symbols_resolve(struct symbols *s, const struct profile *p, const struct symbol_options *options)
{
    struct debug_query *queries = tool_alloc(p->location_count * sizeof *queries);
    struct debug_names *names;
    size_t from = 0, to;

    *s = (struct symbols){0};
    names = debug_names_new(&s->pool);
    s->first = tool_alloc((p->location_count + 1) * sizeof *s->first);
    s->sources = tool_alloc(p->module_count * sizeof *s->sources);
    elf_version(EV_CURRENT);
    for (; from < p->location_count && !options->none; from = to) {
        uint32_t module = p->locations[from].module;
        for (to = from; to < p->location_count && p->locations[to].module == module; to++) {
        }
        if (module != 0) {
            s->sources[module - 1] =
                resolve_module(s, names, p, &p->modules[module - 1], options, from, to, queries);
        }
    }
    arrange(s, p, queries);
    debug_names_free(names);
    free(queries);
}

void
symbols_free(struct symbols *s)
{
    free(s->frames);
    free(s->first);
    free(s->sources);
    tool_pool_free(&s->pool);
    *s = (struct symbols){0};
}
