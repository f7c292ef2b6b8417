/* SPDX-License-Identifier: MIT */
/*
 * What all of `tide` shares: the subcommands, how they end, how they complain, and memory that is
 * given back in one piece. A program like any other: libc's malloc, stdio, and exit() on trouble.
 */
#ifndef TIDE_TOOL_TOOL_H
#define TIDE_TOOL_TOOL_H

#include <stdio.h>

#include "base/compiler.h"

/* Exit codes, for scripts. NOT_SO: the question was understood and the answer is no, such as a
 * profile without samples. INPUT: a file that is missing, damaged or cannot be written. */
enum tool_exit { TOOL_OK = 0, TOOL_NOT_SO = 1, TOOL_USAGE = 2, TOOL_INPUT = 3 };

struct tool_command {
    const char *name;
    const char *one_line;
    const char *help;
    int (*run)(int argc, char **argv);
};

extern const struct tool_command tool_report, tool_diff, tool_merge, tool_dump, tool_run;
extern const struct tool_command tool_stats, tool_top, tool_trace;
extern const struct tool_command tool_forecast, tool_why;

/* ---- Complaints: "tide report: what, where, and what to do" on standard error ---------------- */

/* The command that runs, for complaints and for --help. */
extern const struct tool_command *tool_now;

void tool_warn(const char *format, ...) TIDE_PRINTF(1, 2);
_Noreturn void tool_die(enum tool_exit status, const char *format, ...) TIDE_PRINTF(2, 3);
/* Wrong usage: the complaint, and where help is, in one line. */
_Noreturn void tool_misused(const char *format, ...) TIDE_PRINTF(1, 2);
/* Print the command's help on standard output; TOOL_OK. */
int tool_help(void);

/* The next option, as getopt_long() has it; -1: the end. What is no option, or lacks its value, is
 * named and ends the program. */
struct option;
int tool_option(int argc, char **argv, const char *letters, const struct option *options);

/* A whole number from the command line between min and max, or the end of the program. */
uint64_t tool_number(const char *option, const char *text, uint64_t min, uint64_t max);
/* The same of a number of bytes, which may have K, M, G or T behind it. */
uint64_t tool_size(const char *option, const char *text, uint64_t min, uint64_t max);

/* The process that the word names, or 0 when it is no number and so names a file. */
int tool_process(const char *word);

/* ---- Output files ---------------------------------------------------------------------------- */

/* Opens the file, or standard output for NULL and "-"; never NULL. */
FILE *tool_output(const char *path);
/* Closes it; dies when not everything could be written. */
void tool_output_done(FILE *out, const char *path);

/* ---- Memory that never is NULL --------------------------------------------------------------- */

void *tool_alloc(size_t bytes);
/* Room for one element more in an array that grows by half; *capacity counts elements. */
void *tool_grow(void *array, size_t count, size_t *capacity, size_t element_bytes);

/* Many small things that go together: no free but of all. Zero-initialised is empty. */
struct tool_pool {
    struct tool_pool_chunk *chunks;
    size_t left;
    unsigned char *at;
};

void *tool_pool_alloc(struct tool_pool *pool, size_t bytes);
/* A copy with an end mark. */
char *tool_pool_text(struct tool_pool *pool, const char *text, size_t length);
void tool_pool_free(struct tool_pool *pool);

/* Opens a file of somebody else's choosing for reading. A device or a pipe does something when it
 * is opened, and the name may be given to another any moment: so it is held first, looked at, and
 * what was looked at is opened. -1 and errno, ENOENT for what is no regular file. status: may be
 * NULL. */
struct stat;
int tool_open_file(int directory, const char *name, struct stat *status);

#endif
