/* SPDX-License-Identifier: MIT */
/*
 * `tide run`: a program on the library, with a profile. It becomes that program (exec), so its exit
 * status, signals and terminal are its own.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/conf.h"
#include "tool/launch.h"

#define DEFAULT_OUT "tide.%p.tide"

enum { OPTION_LIBRARY = 256, OPTION_NO_PROFILE, OPTION_PREDICT, OPTION_LEARN, OPTION_NO_LEARN };

struct options {
    const char *out;
    const char *rate;
    const char *library;
    const char *stats;
    char *conf; /* of all --conf; from malloc */
    const char *learn;
    bool no_profile;
    bool no_learn;
    bool predict;
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"rate", required_argument, NULL, 'r'},
    {"stats", required_argument, NULL, 's'},
    {"conf", required_argument, NULL, 'c'},
    {"library", required_argument, NULL, OPTION_LIBRARY},
    {"no-profile", no_argument, NULL, OPTION_NO_PROFILE},
    {"predict", no_argument, NULL, OPTION_PREDICT},
    {"learn", required_argument, NULL, OPTION_LEARN},
    {"no-learn", no_argument, NULL, OPTION_NO_LEARN},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- TIDE_CONF ------------------------------------------------------------------------------- */

struct conf {
    char *text;
    size_t length;
    FILE *stream;
};

/* What the user wrote may end in a comment, which is up to the end of the line. */
static const char *
separator(const char *before)
{
    return before == NULL || before[0] == '\0' ? "" : strchr(before, '#') != NULL ? "\n" : ",";
}

static void
conf_add(struct conf *c, const char *key, const char *value)
{
    fflush(c->stream); /* or its text is of before */
    fprintf(c->stream, "%s%s%s%s", separator(c->text), key, key[0] != '\0' ? ":" : "", value);
}

/* $XDG_STATE_HOME/tidemalloc, by its rules; NULL: this user has no place for it. From malloc. */
static char *
state_directory(void)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char *path = NULL;

    if (state != NULL && state[0] == '/') {
        path = asprintf(&path, "%s/tidemalloc", state) < 0 ? NULL : path;
    } else if (home != NULL && home[0] == '/') {
        path = asprintf(&path, "%s/.local/state/tidemalloc", home) < 0 ? NULL : path;
    }
    return path;
}

/* And those above it from `from` on; 0 or an errno value. */
static int
make_directories(char *path, size_t from)
{
    for (char *slash = strchr(path + from + (path[from] != '\0'), '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/* How much of the path is a home, which is not made: a user may have none on purpose. */
static size_t
home_of(const char *path)
{
    const char *home = getenv("HOME");
    size_t length = home == NULL ? 0 : strlen(home);

    return length > 0 && strncmp(path, home, length) == 0 ? length : 0;
}

/* A file for the program to write. */
static const char *
conf_path(const char *option, const char *path)
{
    const char *whole;

    if (strcmp(path, "stderr") == 0) {
        return path;
    }
    whole = launch_absolute(option, path);
    if (!conf_can_hold(whole)) {
        tool_misused("%s: '%s' has a comma, a line end, a # behind a blank or more than %u bytes, "
                     "which TIDE_CONF cannot hold",
                     option, whole, CONF_PATH_MAX);
    }
    return whole;
}

static bool
wants_prediction(const struct options *o)
{
    bool before = conf_turns_on(getenv("TIDE_CONF"), "predict", false);

    return conf_turns_on(o->conf, "predict", o->predict || before);
}

/* Where what is learned is kept, from malloc; NULL: nowhere. */
static char *
learning_directory(const struct options *o)
{
    char *directory = NULL;

    if (o->learn != NULL) {
        directory = strdup(conf_path("--learn", o->learn));
    } else if (!o->no_learn && wants_prediction(o) && !conf_has(getenv("TIDE_CONF"), "learn")) {
        directory = state_directory();
    }
    if (directory != NULL && o->learn == NULL && !conf_can_hold(directory)) {
        free(directory);
        directory = NULL;
    }
    return directory;
}

/* A program is run without what it would learn, rather than not at all; who asked is told. */
static bool
can_be_kept_in(char *directory, bool was_asked)
{
    int error = make_directories(directory, home_of(directory));

    if (error == 0 && access(directory, W_OK | X_OK) != 0) {
        error = errno;
    }
    if (error != 0 && was_asked) {
        tool_warn("--learn: %s: nothing can be kept there, so nothing is learned: %s", directory,
                  strerror(error));
    }
    return error == 0;
}

static void
add_prediction(struct conf *c, const struct options *o)
{
    char *directory = learning_directory(o);

    if (o->predict) {
        conf_add(c, "predict", "on");
    }
    if (directory != NULL && can_be_kept_in(directory, o->learn != NULL)) {
        conf_add(c, "learn", directory);
    }
    free(directory);
}

/* What was set before stays; what comes later in the text wins. */
static void
set_conf(const struct options *o)
{
    const char *before = getenv("TIDE_CONF");
    const char *out = o->out != NULL ? o->out : DEFAULT_OUT;
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
        conf_add(&c, "profile_out", launch_writable("the profile", conf_path("--output", out)));
        if (o->rate != NULL) {
            conf_add(&c, "profile_rate", o->rate);
        }
    }
    add_prediction(&c, o);
    if (o->stats != NULL) {
        conf_add(&c, "stats", conf_path("--stats", o->stats));
    }
    if (o->conf != NULL) {
        conf_add(&c, "", o->conf);
    }
    fclose(c.stream);
    setenv("TIDE_CONF", c.text, 1);
    free(c.text);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Behind what earlier ones said. */
static void
add_conf(struct options *o, const char *more)
{
    char *all = NULL;

    if (asprintf(&all, "%s%s%s", o->conf == NULL ? "" : o->conf, separator(o->conf), more) < 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    free(o->conf);
    o->conf = all;
}

/* False for --help. */
static bool
parse(struct options *o, int argc, char **argv)
{
    int option;

    *o = (struct options){0};
    /* '+': the program's options are its own. */
    while ((option = tool_option(argc, argv, "+o:r:s:c:h", long_options)) != -1) {
        switch (option) {
        case 'o':
            o->out = optarg;
            break;
        case 'r':
            conf_check_value("--rate", "profile_rate", optarg);
            o->rate = optarg;
            break;
        case 's':
            o->stats = optarg;
            break;
        case 'c':
            conf_check("--conf", optarg);
            add_conf(o, optarg);
            break;
        case OPTION_LIBRARY:
            o->library = optarg;
            break;
        case OPTION_NO_PROFILE:
            o->no_profile = true;
            break;
        case OPTION_PREDICT:
            o->predict = true;
            break;
        case OPTION_LEARN:
            o->learn = optarg;
            o->predict = true;
            break;
        case OPTION_NO_LEARN:
            o->no_learn = true;
            break;
        default: /* --help */
            return false;
        }
    }
    return true;
}

/* Says which options do nothing beside others: the program is run all the same. */
static void
warn_of_idle(const struct options *o)
{
    if (o->no_profile && o->out != NULL) {
        tool_warn("--output has no effect with --no-profile: no profile is written");
    }
    if (o->no_profile && o->rate != NULL) {
        tool_warn("--rate has no effect with --no-profile: nothing is sampled");
    }
    if (o->no_learn && o->learn != NULL) {
        tool_warn("--no-learn has no effect with --learn=%s", o->learn);
    } else if (o->no_learn && !wants_prediction(o)) {
        tool_warn("--no-learn has no effect without --predict: nothing is learned anyway");
    }
}

static int
run(int argc, char **argv)
{
    struct options o;

    if (!parse(&o, argc, argv)) {
        return tool_help();
    }
    if (optind == argc) {
        tool_misused("a PROGRAM is needed");
    }
    warn_of_idle(&o);
    set_conf(&o);
    launch_preload(o.library != NULL ? o.library : launch_find_library("--library"));
    return launch(argv + optind,
                  o.no_profile ? "it runs on the malloc it has"
                               : "it runs on the malloc it has, and writes a profile only if that "
                                 "is tidemalloc");
}

const struct tool_command tool_run = {
    "run",
    "run a program on tidemalloc and profile it",
    "Usage: tide run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "\n"
    "Runs the program with the library preloaded; the profile is written when it exits. The exit\n"
    "status is the program's; 127 when there is no such program, 126 when it cannot be run.\n"
    "\n"
    "  -o, --output=FILE     the profile; %p is the process id (tide.%p.tide). A script and the\n"
    "                        commands in it write a file each; without %p, the last of them to\n"
    "                        exit writes over the others'. To profile one command of a script,\n"
    "                        put `tide run` before it there\n"
    "  -r, --rate=BYTES      a sample every so many bytes, such as 64K (the library's default)\n"
    "      --no-profile      only run it\n"
    "      --predict         make memory ready before the program asks for it\n"
    "      --learn=DIR       the same; what it grows by is kept in DIR for its next run\n"
    "                        ($XDG_STATE_HOME/tidemalloc)\n"
    "      --no-learn        neither keep nor use that\n"
    "  -s, --stats=FILE      statistics at exit; %p as above, or the word stderr\n"
    "  -c, --conf=KEY:VALUE,...  more for TIDE_CONF\n"
    "      --library=FILE    this libtidemalloc.so, not the installed one\n"
    "  -h, --help            this text\n",
    run,
};
