/* SPDX-License-Identifier: MIT */
/* `tide`: which subcommand, and help for those who do not know. */
#include <string.h>

#include "tool/tool.h"

static const struct tool_command *const commands[] = {
    &tool_run,  &tool_top,   &tool_why,  &tool_forecast, &tool_report,
    &tool_diff, &tool_stats, &tool_dump, &tool_merge,    &tool_trace,
};

static int
help(FILE *out)
{
    fputs("Usage: tide COMMAND [OPTION]...\n"
          "\n"
          "Where a program's memory comes from, and how long it stays.\n"
          "\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->one_line);
    }
    fputs("\n"
          "`tide COMMAND --help`, or `tide help COMMAND`, has a command's options; see also "
          "tide(1).\n"
          "Exit codes: 0 done; 1 the answer is no (no samples); 2 wrong usage; 3 a file that is\n"
          "missing, damaged, or cannot be written, a process that cannot be looked at.\n",
          out);
    return TOOL_OK;
}

int
main(int argc, char **argv)
{
    static char help_option[] = "--help";
    const char *word = argc > 1 ? argv[1] : "";

    if (strcmp(word, "help") == 0 && argc > 2) { /* `tide help run` is `tide run --help` */
        argv[1] = argv[2];
        argv[2] = help_option;
        word = argv[1];
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        return help(stdout);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("tide " TIDE_VERSION);
        return TOOL_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i]->name) == 0) {
            tool_now = commands[i];
            argv[1] = argv[0];
            return commands[i]->run(argc - 1, argv + 1);
        }
    }
    if (word[0] == '\0') {
        help(stderr);
        return TOOL_USAGE;
    }
    tool_misused("there is no command '%s'", word);
}
