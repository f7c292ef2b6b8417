/* SPDX-License-Identifier: MIT */
/* Becoming another program, with libraries preloaded: what `tide run` and `tide trace` share. */
#ifndef TIDE_TOOL_LAUNCH_H
#define TIDE_TOOL_LAUNCH_H

#include "tool/tool.h"

/* The path of a file for the program to write, which may go to another directory first; from
 * malloc. `option` is for complaints. */
char *launch_absolute(const char *option, const char *path);
/* The path, if a file can be made there now: the program would only find out later. `what` is the
 * file, for complaints. */
const char *launch_writable(const char *what, const char *path);

/* Where libtidemalloc.so.0, or libtidetrace.so, is: beside this program as it was built, where it
 * was installed, or relative to where it is now. From malloc. `option` would name it. */
char *launch_find_library(const char *option);
char *launch_find_tracer(const char *option);

/* Before all that is preloaded already; the last call's comes first. */
void launch_preload(const char *library);

/* Becomes the program; comes back with an exit code when it cannot. Where nothing is preloaded into
 * the program, says so first; `without` is what that means. */
int launch(char **command, const char *without);

#endif
