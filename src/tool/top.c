/* SPDX-License-Identifier: MIT */
/* `tide top`: its options, and what it prints once. The live view is top_screen.c. */
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool/top.h"

enum {
    INTERVAL_MS = 2000,
    ONCE_INTERVAL_MS = 500, /* between the two looks that rates need */
    INTERVAL_MIN_MS = 100,
    INTERVAL_MAX_MS = 3600000,
    FIRST_LOOK_MS = 250, /* until a process publishes what it does for a reader only */
    ANSWER_MS = 10000,
    STEP_MS = 10,
};

enum { OPTION_ONCE = 256, OPTION_JSON, OPTION_FILTER, OPTION_DEBUG_DIR, OPTION_NO_SYMBOLS };

static const struct option long_options[] = {
    {"once", no_argument, NULL, OPTION_ONCE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"interval", required_argument, NULL, 'd'},
    {"sort", required_argument, NULL, 's'},
    {"top", required_argument, NULL, 'n'},
    {"filter", required_argument, NULL, OPTION_FILTER},
    {"debug-dir", required_argument, NULL, OPTION_DEBUG_DIR},
    {"no-symbols", no_argument, NULL, OPTION_NO_SYMBOLS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct once {
    bool wanted, as_json;
    size_t rows; /* 0: all */
};

static void
pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static uint64_t
real_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Once ------------------------------------------------------------------------------------ */

static int
print_processes(struct top_options *options, const struct once *once)
{
    struct top_processes *p = top_processes_new();
    struct top_table *t = &options->processes;
    struct json j = {.out = stdout};
    size_t count;

    top_processes_refresh(p);
    pause_ms(FIRST_LOOK_MS);
    top_processes_refresh(p);
    pause_ms(options->interval_ms);
    top_processes_refresh(p);
    top_processes_fill(p, t);
    top_table_arrange(t);
    count = once->rows != 0 && once->rows < t->row_count ? once->rows : t->row_count;
    if (once->as_json) {
        json_open(&j, NULL, '{');
        json_number(&j, "version", 1);
        json_unsigned(&j, "time_ns", real_ns());
        json_open(&j, "processes", '[');
        for (size_t i = 0; i < count; i++) {
            json_open(&j, NULL, '{');
            top_table_json(t, &t->rows[i], &j);
            top_processes_json(p, &t->rows[i], &j);
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        putchar('\n');
    } else {
        top_table_print(t, count, stdout);
    }
    top_processes_free(p);
    return t->row_count > 0 ? TOOL_OK : TOOL_NOT_SO;
}

/* One answer, or the end of the program. */
static void
wait_for_answer(struct top_sites *s)
{
    top_sites_ask(s);
    for (unsigned waited = 0; waited < ANSWER_MS; waited += STEP_MS) {
        if (top_sites_poll(s)) {
            return;
        }
        if (top_sites_problem(s) != NULL) {
            tool_die(TOOL_INPUT, "%s", top_sites_problem(s));
        }
        pause_ms(STEP_MS);
    }
    tool_die(TOOL_INPUT, "the process did not answer within %d s: is it stopped or frozen?",
             ANSWER_MS / 1000);
}

static int
print_sites(struct top_options *options, const struct once *once)
{
    struct top_sites *s = top_sites_new(options->pid, &options->symbols);
    struct top_table *t = &options->sites;
    struct json j = {.out = stdout};
    size_t count;

    if (top_sites_problem(s) != NULL) {
        tool_die(TOOL_INPUT, "%s", top_sites_problem(s));
    }
    wait_for_answer(s);
    pause_ms(options->interval_ms);
    wait_for_answer(s);
    top_sites_fill(s, t);
    top_table_arrange(t);
    count = once->rows != 0 && once->rows < t->row_count ? once->rows : t->row_count;
    if (once->as_json) {
        json_open(&j, NULL, '{');
        json_number(&j, "version", 1);
        top_sites_json(s, &j);
        json_open(&j, "sites", '[');
        for (size_t i = 0; i < count; i++) {
            json_open(&j, NULL, '{');
            top_table_json(t, &t->rows[i], &j);
            top_sites_json_frames(s, &t->rows[i], &j);
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        putchar('\n');
    } else {
        top_table_print(t, count, stdout);
    }
    top_sites_free(s);
    return TOOL_OK;
}

/* ---- Options --------------------------------------------------------------------------------- */

static unsigned
interval_of(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(seconds) || seconds * 1000 < INTERVAL_MIN_MS ||
        seconds * 1000 > INTERVAL_MAX_MS) {
        tool_misused("--interval takes seconds from 0.1 to 3600, not '%s'", text);
    }
    return (unsigned)(seconds * 1000);
}

static void
set_sort(struct top_table *t, const char *name)
{
    t->sort = top_table_column(t, name);
    if (t->sort == SIZE_MAX) {
        fprintf(stderr, "tide top: --sort takes one of:");
        for (size_t i = 0; i < t->column_count; i++) { /* a name's beginning is enough */
            const char *column = t->columns[i].name;
            const char *unit = strstr(column, "_bytes");
            size_t length = unit == NULL ? strlen(column) : (size_t)(unit - column);

            fprintf(stderr, " %.*s", (int)length, column);
        }
        fputs(" name\n", stderr);
        tool_misused("there is no column '%s'", name);
    }
    t->ascending = t->sort == t->column_count;
}

static bool
parse(struct top_options *options, struct once *once, int argc, char **argv)
{
    const char *sort = NULL, *filter = "";
    int option;

    while ((option = tool_option(argc, argv, "d:s:n:h", long_options)) != -1) {
        switch (option) {
        case OPTION_JSON:
            once->as_json = true;
            once->wanted = true;
            break;
        case OPTION_ONCE:
            once->wanted = true;
            break;
        case 'd':
            options->interval_ms = interval_of(optarg);
            break;
        case 's':
            sort = optarg;
            break;
        case 'n':
            once->rows = (size_t)tool_number("--top", optarg, 0, SIZE_MAX);
            break;
        case OPTION_FILTER:
            filter = optarg;
            break;
        case OPTION_DEBUG_DIR:
            options->symbols.debug_dir = optarg;
            break;
        case OPTION_NO_SYMBOLS:
            options->symbols.none = true;
            break;
        default: /* --help */
            return false;
        }
    }
    if (optind + 1 < argc) {
        tool_misused("at most one PID");
    }
    options->pid = optind < argc ? tool_process(argv[optind]) : 0;
    if (optind < argc && options->pid == 0) {
        tool_misused("'%s' is no process id", argv[optind]);
    }
    if (sort != NULL) {
        set_sort(options->pid != 0 ? &options->sites : &options->processes, sort);
    }
    snprintf(options->sites.filter, sizeof options->sites.filter, "%s",
             options->pid != 0 ? filter : "");
    snprintf(options->processes.filter, sizeof options->processes.filter, "%s",
             options->pid == 0 ? filter : "");
    return true;
}

static int
run_top(int argc, char **argv)
{
    struct top_options options = {0};
    struct once once = {0};
    int status;

    top_processes_init_table(&options.processes);
    top_sites_init_table(&options.sites);
    if (!parse(&options, &once, argc, argv)) {
        return tool_help();
    }
    if (options.interval_ms == 0) {
        options.interval_ms = once.wanted ? ONCE_INTERVAL_MS : INTERVAL_MS;
    }
    if (!once.wanted) {
        status = top_screen(&options);
    } else {
        status = options.pid != 0 ? print_sites(&options, &once) : print_processes(&options, &once);
        tool_output_done(stdout, NULL);
    }
    free(options.processes.rows);
    free(options.sites.rows);
    return status;
}

const struct tool_command tool_top = {
    "top",
    "processes on tidemalloc, and their sites, live",
    "Usage: tide top [OPTION]... [PID]\n"
    "\n"
    "Shows the processes on tidemalloc, refreshed now and then, or of one process where its "
    "memory\n"
    "comes from. The processes go on and are not signalled. Keys: ? shows them all, q quits.\n"
    "\n"
    "  -d, --interval=S      seconds between two looks (2; with --once 0.5)\n"
    "  -s, --sort=COLUMN     rss, pss, live, retained, growth, allocated, pid or name; with a PID\n"
    "                        live, live_blocks, growth, rate, peak, allocated, samples or name\n"
    "      --filter=TEXT     only rows that have it\n"
    "      --once            print once, as text\n"
    "      --json            print once, as JSON\n"
    "  -n, --top=N           print so many rows; 0, all, is usual\n"
    "      --debug-dir=DIR   look for debug information in DIR/.build-id, too\n"
    "      --no-symbols      show modules and offsets\n"
    "  -h, --help            this text\n",
    run_top,
};
