/* SPDX-License-Identifier: MIT */
/* `tide dump`: the profile of a running process as a file, or a file checked and written anew. */
#include <stdlib.h>

#include "tool/request.h"

static const struct option long_options[] = {REQUEST_OPTIONS, {NULL, 0, NULL, 0}};

static int
read_process(struct profile *p, const struct request *r)
{
    size_t length;
    unsigned char *bytes = target_read(r->pid, PAGE_PROFILE, r->timeout_s, &length);
    char from[32];
    int status;

    snprintf(from, sizeof from, "process %d", r->pid);
    status = profile_take(p, from, bytes, length);
    free(bytes);
    return status;
}

static int
run_dump(int argc, char **argv)
{
    struct request r = {.timeout_s = TARGET_TIMEOUT_S};
    struct profile p;
    char name[32];
    int option, status;

    while ((option = tool_option(argc, argv, REQUEST_LETTERS, long_options)) != -1) {
        if (!request_take(&r, option)) {
            return tool_help();
        }
    }
    request_take_word(&r, argc, argv, "PID or FILE");
    if (r.pid == 0 && r.out == NULL) {
        tool_misused("-o FILE is needed: where to write");
    }
    if (r.out == NULL) {
        snprintf(name, sizeof name, "tide.%d.tide", r.pid);
        r.out = name;
    }
    status = r.pid != 0 ? read_process(&p, &r) : profile_read(&p, r.word);
    profile_write(&p, r.out);
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
