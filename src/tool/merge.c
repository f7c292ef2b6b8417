/* SPDX-License-Identifier: MIT */
/*
 * `tide merge`: a profile made from profiles. Figures are added up; in which order does not matter,
 * nor does merging what was merged (profile.c has the rules).
 */
#include <getopt.h>
#include <string.h>

#include "tool/profile.h"

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* False for --help. */
static bool
parse(int argc, char **argv, const char **out)
{
    int option;

    *out = NULL;
    while ((option = tool_option(argc, argv, "o:h", long_options)) != -1) {
        if (option == 'h') {
            return false;
        }
        *out = optarg;
    }
    if (*out == NULL) {
        tool_misused("-o FILE is needed: where to write");
    }
    return true;
}

static int
run_merge(int argc, char **argv)
{
    struct profile sum, next;
    const char *out;
    int status;

    if (!parse(argc, argv, &out)) {
        return tool_help();
    }
    if (optind == argc) {
        tool_misused("at least one FILE is needed");
    }
    status = profile_read(&sum, argv[optind]);
    for (int i = optind + 1; i < argc; i++) {
        status |= profile_read(&next, argv[i]);
        profile_merge(&sum, &next);
        profile_free(&next);
    }
    profile_write(&sum, out);
    profile_free(&sum);
    return status;
}

const struct tool_command tool_merge = {
    "merge",
    "add up profiles of several runs or machines",
    "Usage: tide merge -o OUT FILE...\n"
    "\n"
    "Adds up profiles, of several processes, runs or machines, into one .tide file.\n"
    "\n"
    "  -o, --output=OUT      write there (- is standard output)\n"
    "  -h, --help            this text\n",
    run_merge,
};
