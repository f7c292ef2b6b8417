/* SPDX-License-Identifier: MIT */
/*
 * What the files of one module say about addresses in it: its symbol table and its debug
 * information. symbols.c decides which files; here they are read, by libdwfl.
 */
#ifndef TIDE_TOOL_DEBUG_H
#define TIDE_TOOL_DEBUG_H

#include <elfutils/libdwfl.h>

#include "tool/symbols.h"

/* One address and what was found for it: frames [first, first + count) of the symbols. */
struct debug_query {
    uint64_t address; /* as in the ELF file */
    uint32_t location;
    uint32_t first, count;
};

/* Texts that occur often are kept once. */
struct debug_names;
struct debug_names *debug_names_new(struct tool_pool *pool);
void debug_names_free(struct debug_names *names);
const char *debug_name(struct debug_names *names, const char *text);
/* The same, demangled. */
const char *debug_function_name(struct debug_names *names, const char *symbol);

/*
 * Answers all queries, which are sorted by address; those without an answer keep count 0. Returns
 * what kind of information there was.
 */
enum symbol_source debug_resolve(struct symbols *s, struct debug_names *names, Dwfl_Module *module,
                                 struct debug_query *queries, size_t count);

#endif
