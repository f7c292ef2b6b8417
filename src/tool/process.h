/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process. `directory` is a descriptor of its /proc/PID, so that a number that
 * is used again is not taken for it. Nothing here ends the program.
 */
#ifndef TIDE_TOOL_PROCESS_H
#define TIDE_TOOL_PROCESS_H

#include "tool/tool.h"

/* R, S, D, T, Z…; 0: it is gone. */
char process_state(int directory);
/* Its id in its own namespace; -1: it is gone. */
int process_own_id(int directory);
/* Is our library mapped, or memory that bears its name? False as well when that cannot be read. */
bool process_is_on_tidemalloc(int directory);

struct process_memory {
    uint64_t resident; /* bytes; RSS */
    uint64_t share;    /* bytes; PSS: shared pages divided by those who share; 0: not told */
};
/* False: it is gone. want_share: PSS, for which the kernel walks the page tables. */
bool process_memory(int directory, bool want_share, struct process_memory *out);

/* Resident bytes by what is mapped. */
struct process_parts {
    uint64_t total;
    uint64_t library; /* libtidemalloc's file */
    uint64_t files;   /* all others, private copies of their pages included; vdso */
    uint64_t shared;  /* memory files, System V */
    uint64_t stack;   /* of the first thread */
    uint64_t brk;     /* the C library's own heap */
    uint64_t profile; /* tidemalloc's profile, where the kernel keeps names of mappings */
    uint64_t anonymous;
};
/* False: it is gone, or may not be asked. The kernel walks its page tables. */
bool process_parts(int directory, struct process_parts *out);

/* The command line, blanks between arguments, or the name in brackets: printable, terminated. */
void process_command(int directory, char *text, size_t size);
/* Clock ticks since the start of the system at which it started; 0: it is gone. */
uint64_t process_start(int directory);
unsigned process_uid(int directory);

/* The numbers of all processes, ascending; *count of them, of malloc. */
int *process_list(size_t *count);

#endif
