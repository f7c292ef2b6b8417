/* SPDX-License-Identifier: MIT */
/*
 * What a command that asks a running process has on its command line: where its answer goes, how
 * long to wait, and whom it asks, which may be a file that a process has written.
 */
#ifndef TIDE_TOOL_REQUEST_H
#define TIDE_TOOL_REQUEST_H

#include <getopt.h>

#include "tool/target.h"

struct request {
    const char *word; /* as it was given */
    int pid;          /* 0: the word names a file */
    const char *out;  /* NULL: standard output */
    unsigned timeout_s;
    bool as_json;
};

/* For the command's own table of options, and their letters. */
#define REQUEST_JSON                                                                               \
    {                                                                                              \
        "json", no_argument, NULL, 'j'                                                             \
    }
#define REQUEST_OPTIONS                                                                            \
    {"output", required_argument, NULL, 'o'}, {"timeout", required_argument, NULL, 't'},           \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }
#define REQUEST_LETTERS "o:h"

/* One of them, with optarg. False for --help. */
bool request_take(struct request *r, int option);
/* The word behind the options, of which there is one; `kind` is what it may be, for complaints. */
void request_take_word(struct request *r, int argc, char **argv, const char *kind);
/* The profile that the process answers, or that is in the file: TOOL_OK, or TOOL_INPUT where that
 * is damaged. Ends the program when there is none. */
int request_read(const struct request *r, enum page_question question, struct profile *p);

#endif
