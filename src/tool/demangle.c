/* SPDX-License-Identifier: MIT */
/*
 * C++ names by __cxa_demangle of libstdc++, which is asked for at run time: no C++ is needed to
 * build the tool, and where there are C++ programs there is a libstdc++. Not libiberty: Debian 12
 * has it as a static archive without a stable interface, in a package of its own. Without
 * libstdc++ names stay as they are in the file.
 */
#include <dlfcn.h>
#include <string.h>

#include "tool/symbols.h"

typedef char *demangle_function(const char *mangled, char *out, size_t *length, int *status);

char *
symbols_demangle(const char *name)
{
    static demangle_function *demangle;
    static bool asked;
    int status = -1;
    char *text;

    if (!asked) {
        void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            /* POSIX's way around ISO C, in which a function is no object. */
            *(void **)&demangle = dlsym(library, "__cxa_demangle");
        } else {
            tool_warn("C++ names are left mangled: %s", dlerror());
        }
        asked = true;
    }
    /* Given "i" it would say "int", so it is asked about mangled functions only. */
    if (demangle == NULL || strncmp(name, "_Z", 2) != 0) {
        return NULL;
    }
    text = demangle(name, NULL, NULL, &status);
    return status == 0 ? text : NULL;
}
