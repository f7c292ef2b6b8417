/* SPDX-License-Identifier: MIT */
/*
 * `tide trace`: a program whose allocations are recorded, and what such a recording says. The
 * program replaces this one (exec), as with `tide run`; the preloaded library writes the file.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/launch.h"
#include "tool/trace.h"

#define DEFAULT_OUT "tide.%p.trace"
#define TOP_SITES 20
#define SERIES_MS 100
#define SERIES_MS_MAX 86400000u
#define LANES_FACTOR 4 /* 1 and 2 are ages that much of what is short has */
#define LANES_FACTOR_MAX 1000u
#define SIZE_LEAST (64u << 10)
#define SIZE_MOST ((uint64_t)1 << 50)

enum {
    OPTION_MALLOC = 256,
    OPTION_MAX_SIZE,
    OPTION_LIBRARY,
    OPTION_INFO,
    OPTION_SERIES,
    OPTION_LANES,
    OPTION_PREPARE,
    OPTION_JSON,
};

enum mode { MODE_RUN, MODE_INFO, MODE_SERIES, MODE_LANES, MODE_PREPARE };

struct options {
    enum mode mode;
    const char *out;
    const char *malloc;
    const char *library;
    uint64_t max_bytes;
    uint64_t interval_ms;
    uint64_t factor;
    size_t top;
    bool as_json;
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"malloc", required_argument, NULL, OPTION_MALLOC},
    {"max-size", required_argument, NULL, OPTION_MAX_SIZE},
    {"library", required_argument, NULL, OPTION_LIBRARY},
    {"info", no_argument, NULL, OPTION_INFO},
    {"series", optional_argument, NULL, OPTION_SERIES},
    {"lanes", optional_argument, NULL, OPTION_LANES},
    {"prepare", no_argument, NULL, OPTION_PREPARE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"top", required_argument, NULL, 'n'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* False for --help. */
static bool
parse_one(struct options *o, int option)
{
    switch (option) {
    case 'o':
        o->out = optarg;
        break;
    case 'n':
        o->top = tool_number("--top", optarg, 0, UINT32_MAX);
        break;
    case OPTION_MALLOC:
        o->malloc = optarg;
        break;
    case OPTION_MAX_SIZE:
        o->max_bytes = tool_size("--max-size", optarg, SIZE_LEAST, SIZE_MOST);
        break;
    case OPTION_LIBRARY:
        o->library = optarg;
        break;
    case OPTION_INFO:
        o->mode = MODE_INFO;
        break;
    case OPTION_SERIES:
        o->mode = MODE_SERIES;
        if (optarg != NULL) {
            o->interval_ms = tool_number("--series", optarg, 1, SERIES_MS_MAX);
        }
        break;
    case OPTION_LANES:
        o->mode = MODE_LANES;
        if (optarg != NULL) {
            o->factor = tool_number("--lanes", optarg, 1, LANES_FACTOR_MAX);
        }
        break;
    case OPTION_PREPARE:
        o->mode = MODE_PREPARE;
        break;
    case OPTION_JSON:
        o->as_json = true;
        break;
    default:
        return false;
    }
    return true;
}

/* False for --help. */
static bool
parse(struct options *o, int argc, char **argv)
{
    int option;

    *o = (struct options){
        .malloc = "system", .interval_ms = SERIES_MS, .factor = LANES_FACTOR, .top = TOP_SITES};
    /* '+': the program's options are its own. */
    while ((option = tool_option(argc, argv, "+o:n:h", long_options)) != -1) {
        if (!parse_one(o, option)) {
            return false;
        }
    }
    return true;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Without the process's number in it the name is this one file: what has it now goes. */
static void
set_output(const char *path)
{
    char *whole = launch_absolute("--output", path);
    struct stat status;

    launch_writable("the trace", whole);
    if (strstr(whole, "%p") == NULL && lstat(whole, &status) == 0 &&
        (!S_ISREG(status.st_mode) || unlink(whole) != 0)) {
        tool_die(TOOL_INPUT, "%s: the trace cannot take its place: %s", whole,
                 S_ISREG(status.st_mode) ? strerror(errno) : "it is no file");
    }
    setenv("TIDE_TRACE_OUT", whole, 1);
    free(whole);
}

static void
set_number(const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    setenv(name, text, 1);
}

static int
record(const struct options *o, char **command)
{
    set_output(o->out != NULL ? o->out : DEFAULT_OUT);
    set_number("TIDE_TRACE_PID", (uint64_t)getpid());
    if (o->max_bytes != 0) {
        set_number("TIDE_TRACE_MAX", o->max_bytes);
    }
    if (strcmp(o->malloc, "tide") == 0) {
        launch_preload(launch_find_library("--malloc"));
    } else if (strcmp(o->malloc, "system") != 0) {
        launch_preload(o->malloc);
    }
    launch_preload(o->library != NULL ? o->library : launch_find_tracer("--library"));
    return launch(command, "nothing of it is recorded");
}

static int
show(const struct options *o, int words, char **word)
{
    if (words != 1) {
        tool_misused("one FILE is needed");
    }
    switch (o->mode) {
    case MODE_INFO:
        return trace_info(word[0], o->out, o->as_json, o->top);
    case MODE_SERIES:
        return trace_series(word[0], o->out, o->as_json, o->interval_ms);
    case MODE_LANES:
        return trace_lanes(word[0], o->out, o->as_json, o->factor);
    default:
        if (o->out == NULL) {
            tool_misused("--prepare needs --output=FILE");
        }
        return trace_prepare(word[0], o->out);
    }
}

static int
run_trace(int argc, char **argv)
{
    struct options o;

    if (!parse(&o, argc, argv)) {
        return tool_help();
    }
    if (o.mode != MODE_RUN) {
        return show(&o, argc - optind, argv + optind);
    }
    if (optind == argc) {
        tool_misused("a PROGRAM is needed");
    }
    return record(&o, argv + optind);
}

const struct tool_command tool_trace = {
    "trace",
    "record every allocation of a program",
    "Usage: tide trace [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "       tide trace --info|--series[=MS]|--lanes[=N] [OPTION]... FILE\n"
    "       tide trace --prepare -o OUT FILE\n"
    "\n"
    "Runs the program, on whatever malloc, and records its calls of malloc, free and their kin.\n"
    "The exit status is the program's; 127 when there is no such program, 126 when it cannot be\n"
    "run. What was recorded is in the file however the program ends.\n"
    "\n"
    "  -o, --output=FILE     the trace; %p is the process id (tide.%p.trace). Without %p only the\n"
    "                        program itself is recorded, with it every process it starts. What\n"
    "                        a process becomes by exec, as scripts do, has FILE.1, FILE.2, ...\n"
    "      --malloc=tide|system|LIB   the malloc below: tidemalloc, what the program has "
    "otherwise\n"
    "                        (the default), or this library\n"
    "      --max-size=BYTES  how long a file may become, such as 200M (1G); then recording ends\n"
    "      --library=FILE    this libtidetrace.so, not the installed one\n"
    "\n"
    "      --info            show a trace: calls, threads, sizes, peak, callers\n"
    "      --series[=MS]     live bytes over time, the most in each interval (100 ms), as CSV\n"
    "      --lanes[=N]       what it would save to keep short-lived blocks apart, predicted by\n"
    "                        caller; long is what lives while N (4) times the live bytes are\n"
    "                        allocated\n"
    "      --json            any of these as JSON\n"
    "  -n, --top=N           so many callers (20); 0: all\n"
    "      --prepare         make it ready for the program replay (bench/README.md)\n"
    "  -h, --help            this text\n",
    run_trace,
};
