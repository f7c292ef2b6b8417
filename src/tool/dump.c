/* SPDX-License-Identifier: MIT */
/* `tide dump`: the profile of a running process as a file, or a file checked and written anew. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tool/profile.h"
#include "tool/target.h"

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int
read_process(struct profile *p, int pid, unsigned timeout_s)
{
    size_t length;
    unsigned char *bytes = target_read(pid, PAGE_PROFILE, timeout_s, &length);
    char from[32];
    int status;

    snprintf(from, sizeof from, "process %d", pid);
    status = profile_take(p, from, bytes, length);
    free(bytes);
    return status;
}

static int
run_dump(int argc, char **argv)
{
    unsigned timeout_s = TARGET_TIMEOUT_S;
    const char *out = NULL;
    struct profile p;
    char name[32];
    int option, status, pid;

    while ((option = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'o':
            out = optarg;
            break;
        case 't':
            timeout_s = (unsigned)tool_number("--timeout", optarg, 1, TARGET_TIMEOUT_MAX_S);
            break;
        case 'h':
            return tool_help();
        default:
            tool_misused("what to do is not clear");
        }
    }
    if (optind + 1 != argc) {
        tool_misused("one PID or FILE is needed");
    }
    pid = tool_process(argv[optind]);
    if (pid == 0 && out == NULL) {
        tool_misused("-o FILE is needed: where to write");
    }
    if (out == NULL) {
        snprintf(name, sizeof name, "tide.%d.tide", pid);
        out = name;
    }
    status = pid != 0 ? read_process(&p, pid, timeout_s) : profile_read(&p, argv[optind]);
    profile_write(&p, out);
    profile_free(&p);
    return status;
}

const struct tool_command tool_dump = {
    "dump",
    "write the profile of a running process",
    "Usage: tide dump [-o OUT] PID\n"
    "       tide dump -o OUT FILE\n"
    "\n"
    "Writes the profile of a running process as a .tide file, as of now: the process goes on and\n"
    "is not signalled. Or reads a profile with all checks and writes what is good of it, sites\n"
    "that come several times added up. A FILE whose name is a number is ./NUMBER.\n"
    "\n"
    "  -o, --output=OUT      write there (- is standard output); for a PID tide.PID.tide is usual\n"
    "      --timeout=S       wait at most so many seconds for the process (10)\n"
    "  -h, --help            this text\n",
    run_dump,
};
