/* SPDX-License-Identifier: MIT */
/*
 * Statistics as the library writes them (TIDE_CONF=stats:FILE, tide_stats_print()): JSON objects,
 * one after another, a process each; and as `tide stats --json` does, which has them in an array.
 */
#ifndef TIDE_TOOL_STATS_FILE_H
#define TIDE_TOOL_STATS_FILE_H

#include "tool/profile.h"

/* Do the bytes begin as such a file does? */
bool stats_file_is(const unsigned char *bytes, size_t length);
/* A profile that has nothing but them: TOOL_OK, or TOOL_INPUT and a complaint where it ends before
 * its time. Dies when there are none. path: for complaints. */
int stats_file_take(struct profile *p, const char *path, const unsigned char *bytes, size_t length);

#endif
