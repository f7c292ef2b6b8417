/* SPDX-License-Identifier: MIT */
/* In place of top_screen.c where there is no ncurses. */
#include "tool/top.h"

int
top_screen(struct top_options *options)
{
    (void)options;
    tool_die(TOOL_USAGE, "this tide was built without ncurses (Debian: libncurses-dev) and has no "
                         "live view: use --once, or --json");
}
