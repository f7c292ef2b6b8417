/* SPDX-License-Identifier: MIT */
/*
 * For probes.sh: blocks so large that every one is sampled, a line in the file named for each
 * thing that a probe should say of them; and 20,000 small ones, of which some are.
 */
#include "check.h"

int
main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "w") : NULL;
    char *p;
    char *moved;

    CHECK(file != NULL);
    p = hide(malloc(1000000));
    fprintf(file, "alloc %lx 1000000 1000000\n", (unsigned long)p);
    moved = hide(realloc(p, 3000000));
    fprintf(file, "free %lx\n", (unsigned long)p);
    fprintf(file, "alloc %lx 3000000 3000000\n", (unsigned long)moved);
    free(moved);
    fprintf(file, "free %lx\n", (unsigned long)moved);
    CHECK(fclose(file) == 0);
    for (int i = 0; i < 20000; i++) {
        free(hide(malloc(1000)));
    }
    return 0;
}
