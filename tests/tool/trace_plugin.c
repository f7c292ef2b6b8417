/* SPDX-License-Identifier: MIT */
/* A C program that opens a C++ library for itself alone. */
#include <dlfcn.h>
#include <stddef.h>

int
main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void (*plugin)(void);

    if (library == NULL) {
        return 1;
    }
    *(void **)&plugin = dlsym(library, "plugin");
    plugin();
    return 8;
}
