/* SPDX-License-Identifier: MIT */
/* Which file a command would run, and whether ld.so would preload libraries into it. */
#ifndef TIDE_TOOL_PROGRAM_H
#define TIDE_TOOL_PROGRAM_H

#include "tool/tool.h"

enum program_kind {
    PROGRAM_PRELOADS,   /* or it cannot be told: not found, not to be read, no ELF file */
    PROGRAM_STATIC,     /* it has no interpreter, so there is no ld.so */
    PROGRAM_PRIVILEGED, /* it gains rights by being run: ld.so ignores LD_PRELOAD */
};

/* Of the program that execvp() finds by that name; for a script, of its interpreter. *path, from
 * malloc, is the file that was looked at; NULL: there is none. */
enum program_kind program_kind(const char *name, char **path);

#endif
