/* SPDX-License-Identifier: MIT */
/*
 * A profile at the usual rate makes nothing before there is a sample: no unwinder, no tables. It
 * does at the first one, in a process with one thread at once, in others soon; and a profile that
 * never had one can be written as well.
 * only: tide
 * conf: profile:true,profile_out:/dev/null
 * args: one | many | none
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/stat.h>

static int
has_unwinder(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        found |= strstr(line, "libunwind") != NULL;
    }
    fclose(maps);
    return found;
}

static void *
allocate(void *arg)
{
    for (int i = 0; i < 64 * 1024; i++) {
        free(hide(malloc(1000)));
    }
    return arg;
}

int
main(int argc, char **argv)
{
    pthread_t threads[2];
    struct stat before;
    struct stat after;

    CHECK(argc == 2);
    CHECK(fstat(1, &before) == 0);
    if (dlopen("libunwind.so.8", RTLD_NOW | RTLD_NOLOAD) == NULL) {
        void *library = dlopen("libunwind.so.8", RTLD_NOW);

        if (library == NULL) {
            SKIP("no libunwind here");
        }
        dlclose(library);
    }
    if (has_unwinder()) { /* loaded by the first sample already, once in hundreds of runs */
        SKIP("a sample before main");
    }
    if (strcmp(argv[1], "one") == 0) {
        allocate(NULL);
        CHECK(has_unwinder());
    } else if (strcmp(argv[1], "many") == 0) {
        for (int i = 0; i < 2; i++) {
            CHECK(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
        }
        for (int i = 0; i < 500 && !has_unwinder(); i++) {
            sleep_ms(10);
        }
        CHECK(has_unwinder());
        allocate(NULL); /* what the unwinder opened are the program's files, and not its output */
        CHECK(fstat(1, &after) == 0 && after.st_ino == before.st_ino, "standard output is gone");
    } else {
        int (*dump)(const char *) = (int (*)(const char *))dlsym(RTLD_DEFAULT, "tide_profile_dump");

        CHECK(dump != NULL && dump("/dev/null") == 0);
    }
    return 0;
}
