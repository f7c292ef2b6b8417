/* SPDX-License-Identifier: MIT */
/*
 * Names for the places of a profile: function, file and line, with inlined functions as frames of
 * their own. Offline: from the files on this machine whose build-id is the recorded one, and from
 * nothing else. A name from another build of the same library would be wrong without looking so.
 */
#ifndef TIDE_TOOL_SYMBOLS_H
#define TIDE_TOOL_SYMBOLS_H

#include "tool/profile.h"

struct symbol_frame {
    const char *function; /* demangled; NULL: not known */
    const char *file;     /* NULL: not known */
    uint32_t line;        /* 0: not known */
    bool inlined;         /* into the frame that follows */
};

enum symbol_source {
    SYMBOLS_UNASKED,  /* no frame is in it, or nobody wants names */
    SYMBOLS_NONE,     /* no file for it on this machine, or it is no file */
    SYMBOLS_MISMATCH, /* there is one, but of another build */
    SYMBOLS_TABLE,    /* names only */
    SYMBOLS_DEBUG,    /* names, files and lines */
};

struct symbols {
    struct symbol_frame *frames; /* of all locations, innermost first */
    uint32_t *first;             /* location i has frames first[i] to first[i + 1], at least one */
    enum symbol_source *sources; /* by module */
    size_t frame_count, frame_room;
    struct tool_pool pool;
};

struct symbol_options {
    const char *debug_dir; /* searched before /usr/lib/debug; may be NULL */
    bool none;             /* name nothing */
    bool quiet;            /* no warnings about files that are of another build */
};

void symbols_resolve(struct symbols *s, const struct profile *p,
                     const struct symbol_options *options);
void symbols_free(struct symbols *s);

/* The words for a source in reports. */
const char *symbols_source_name(enum symbol_source source);

/* A C++ or D name made readable, from malloc; NULL when it is none or cannot be. */
char *symbols_demangle(const char *name);

#endif
