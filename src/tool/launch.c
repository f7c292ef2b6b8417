/* SPDX-License-Identifier: MIT */
/* See launch.h. */
#include "tool/launch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/program.h"

#define LIBRARY "libtidemalloc.so.0"
#define TRACER "libtidetrace.so"

/* As env, nice and the shells have it. */
enum { EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

/* ---- Files that the program writes ----------------------------------------------------------- */

char *
launch_absolute(const char *option, const char *path)
{
    char here[PATH_MAX], *whole = NULL;

    if (path[0] == '/') {
        whole = strdup(path);
    } else if (getcwd(here, sizeof here) == NULL || asprintf(&whole, "%s/%s", here, path) < 0) {
        tool_misused("%s: give an absolute path, not '%s'", option, path);
    }
    if (whole == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    return whole;
}

const char *
launch_writable(const char *what, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory;

    if (slash == NULL) { /* stderr */
        return path;
    }
    directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (strchr(directory, '%') == NULL && access(directory, W_OK | X_OK) != 0) {
        tool_die(TOOL_INPUT, "%s: %s cannot be written there: %s", path, what, strerror(errno));
    }
    free(directory);
    return path;
}

/* ---- Libraries ------------------------------------------------------------------------------- */

static char *
find(const char *option, const char *name, const char *installed, const char *beside)
{
    char self[PATH_MAX], *found = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n < 0 ? 0 : n] = '\0';
    if (strrchr(self, '/') != NULL) {
        *strrchr(self, '/') = '\0';
    }
    for (unsigned i = 0; i < 3; i++) {
        int length = i == 0   ? asprintf(&found, "%s/.libs/%s", self, name)
                     : i == 1 ? asprintf(&found, "%s/%s", installed, name)
                              : asprintf(&found, "%s/../lib%s/%s", self, beside, name);

        if (length >= 0 && access(found, R_OK) == 0) {
            return found;
        }
        free(found);
    }
    tool_die(TOOL_INPUT, "%s is neither in %s nor beside this program: name it with %s=FILE", name,
             installed, option);
}

char *
launch_find_library(const char *option)
{
    return find(option, LIBRARY, TIDE_LIBDIR, "");
}

char *
launch_find_tracer(const char *option)
{
    return find(option, TRACER, TIDE_PKGLIBDIR, "/tidemalloc");
}

/* ld.so says no more than a warning about a library it cannot preload. */
void
launch_preload(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char resolved[PATH_MAX], *both = NULL;

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

static void
warn_of(const char *name, const char *without)
{
    char *path;
    enum program_kind kind = program_kind(name, &path);

    if (kind == PROGRAM_STATIC) {
        tool_warn("%s is a static program, into which nothing can be preloaded: %s", path, without);
    } else if (kind == PROGRAM_PRIVILEGED) {
        tool_warn("%s is run with more rights than yours (setuid, setgid or capabilities), for "
                  "which nothing is preloaded: %s",
                  path, without);
    }
    free(path);
}

int
launch(char **command, const char *without)
{
    int error;

    warn_of(command[0], without);
    execvp(command[0], command);
    error = errno;
    tool_warn("%s: cannot be run: %s", command[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
