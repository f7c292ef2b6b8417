/* SPDX-License-Identifier: MIT */
/*
 * `tide run`: a program on the library, with a profile. It becomes that program (exec), so its exit
 * status, signals and terminal are its own.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/tool.h"

#define LIBRARY "libtidemalloc.so.0"

/* As env, nice and the shells have it. */
enum { EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

enum { OPTION_LIBRARY = 256, OPTION_NO_PROFILE };

struct options {
    const char *out;
    const char *rate;
    const char *library;
    const char *stats;
    const char *conf;
    bool no_profile;
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"rate", required_argument, NULL, 'r'},
    {"stats", required_argument, NULL, 's'},
    {"conf", required_argument, NULL, 'c'},
    {"library", required_argument, NULL, OPTION_LIBRARY},
    {"no-profile", no_argument, NULL, OPTION_NO_PROFILE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- TIDE_CONF ------------------------------------------------------------------------------- */

struct conf {
    char *text;
    size_t length;
    FILE *stream;
};

static void
conf_add(struct conf *c, const char *key, const char *value)
{
    fprintf(c->stream, "%s%s%s%s", ftell(c->stream) > 0 ? "," : "", key, key[0] != '\0' ? ":" : "",
            value);
}

/* A file for the program to write: it may go to another directory first. */
static char *
absolute(const char *option, const char *path)
{
    char here[PATH_MAX], *whole = NULL;

    if (strchr(path, ',') != NULL || strchr(path, '\n') != NULL) {
        tool_misused("%s: '%s' has a comma or a line end, which TIDE_CONF cannot hold", option,
                     path);
    }
    if (path[0] == '/' || strcmp(path, "stderr") == 0) {
        return strdup(path);
    }
    if (getcwd(here, sizeof here) == NULL || strchr(here, ',') != NULL ||
        asprintf(&whole, "%s/%s", here, path) < 0) {
        tool_misused("%s: give an absolute path without commas, not '%s'", option, path);
    }
    return whole;
}

/* The path, if a file can be made there now: the program would only find out at its end. */
static const char *
writable(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory;

    if (slash == NULL) { /* stderr */
        return path;
    }
    directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (strchr(directory, '%') == NULL && access(directory, W_OK | X_OK) != 0) {
        tool_die(TOOL_INPUT, "%s: the profile cannot be written there: %s", path, strerror(errno));
    }
    free(directory);
    return path;
}

/* What was set before stays; what comes later in the text wins. */
static void
set_conf(const struct options *o)
{
    const char *before = getenv("TIDE_CONF");
    struct conf c = {0};

    c.stream = open_memstream(&c.text, &c.length);
    if (c.stream == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    if (before != NULL && before[0] != '\0') {
        conf_add(&c, "", before);
    }
    if (!o->no_profile) {
        conf_add(&c, "profile", "true");
        conf_add(&c, "profile_out", writable(absolute("--output", o->out)));
        if (o->rate != NULL) {
            conf_add(&c, "profile_rate", o->rate);
        }
    }
    if (o->stats != NULL) {
        conf_add(&c, "stats", absolute("--stats", o->stats));
    }
    if (o->conf != NULL) {
        conf_add(&c, "", o->conf);
    }
    fclose(c.stream);
    setenv("TIDE_CONF", c.text, 1);
    free(c.text);
}

/* ---- The library ----------------------------------------------------------------------------- */

/* Beside this program as it was built, where it was installed, or relative to where it is now. */
static const char *
find_library(void)
{
    static char found[PATH_MAX + 64];
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        *slash = '\0';
        snprintf(found, sizeof found, "%s/.libs/" LIBRARY, self);
        if (access(found, R_OK) == 0) {
            return found;
        }
    }
    if (access(TIDE_LIBDIR "/" LIBRARY, R_OK) == 0) {
        return TIDE_LIBDIR "/" LIBRARY;
    }
    if (n > 0) {
        snprintf(found, sizeof found, "%s/../lib/" LIBRARY, self);
        if (access(found, R_OK) == 0) {
            return found;
        }
    }
    tool_die(TOOL_INPUT, LIBRARY " is neither in " TIDE_LIBDIR " nor beside this program: name it "
                                 "with --library=FILE");
}

/* ld.so says no more than a warning about a library it cannot preload. */
static void
set_preload(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char resolved[PATH_MAX], *both = NULL;

    if (library == NULL) {
        library = find_library();
    }
    if (access(library, R_OK) != 0 || realpath(library, resolved) == NULL) {
        tool_die(TOOL_INPUT, "%s: the library cannot be read: %s", library, strerror(errno));
    }
    if (strpbrk(resolved, " :") != NULL) {
        tool_die(TOOL_INPUT, "%s: LD_PRELOAD cannot hold a path with a blank or a colon", resolved);
    }
    if (asprintf(&both, "%s%s%s", resolved, before != NULL && before[0] != '\0' ? ":" : "",
                 before != NULL ? before : "") < 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    setenv("LD_PRELOAD", both, 1);
    free(both);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* False for --help. */
static bool
parse(struct options *o, int argc, char **argv)
{
    int option;

    *o = (struct options){.out = "tide.%p.tide"};
    /* '+': the program's options are its own. */
    while ((option = getopt_long(argc, argv, "+o:r:s:c:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'o':
            o->out = optarg;
            break;
        case 'r':
            o->rate = optarg;
            break;
        case 's':
            o->stats = optarg;
            break;
        case 'c':
            o->conf = optarg;
            break;
        case OPTION_LIBRARY:
            o->library = optarg;
            break;
        case OPTION_NO_PROFILE:
            o->no_profile = true;
            break;
        case 'h':
            return false;
        default:
            tool_misused("what to do is not clear");
        }
    }
    return true;
}

static int
run(int argc, char **argv)
{
    struct options o;
    int error;

    if (!parse(&o, argc, argv)) {
        return tool_help();
    }
    if (optind == argc) {
        tool_misused("a PROGRAM is needed");
    }
    set_conf(&o);
    set_preload(o.library);
    execvp(argv[optind], argv + optind);
    error = errno;
    tool_warn("%s: cannot be run: %s", argv[optind], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

const struct tool_command tool_run = {
    "run",
    "run a program on tidemalloc and profile it",
    "Usage: tide run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "\n"
    "Runs the program with the library preloaded; the profile is written when it exits. The exit\n"
    "status is the program's; 127 when there is no such program, 126 when it cannot be run.\n"
    "\n"
    "  -o, --output=FILE     the profile; %p is the process id (tide.%p.tide)\n"
    "  -r, --rate=BYTES      a sample every so many bytes, such as 64K (the library's default)\n"
    "      --no-profile      only run it\n"
    "  -s, --stats=FILE      statistics at exit; %p as above, or the word stderr\n"
    "  -c, --conf=KEY:VALUE,...  more for TIDE_CONF\n"
    "      --library=FILE    this libtidemalloc.so, not the installed one\n"
    "  -h, --help            this text\n",
    run,
};
