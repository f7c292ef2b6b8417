/* SPDX-License-Identifier: MIT */
/*
 * Holds at most N MiB (argument) but allocates far more in all, in phases of very different block
 * sizes, so that memory freed in one phase must serve the next.
 */
#include "check.h"

int
main(int argc, char **argv)
{
    size_t limit = (size_t)(argc > 1 ? atoi(argv[1]) : 40) << 20;
    static const size_t sizes[] = {32, 300, 3000, 30000, 300000, 3000000, 48, 20000, 700};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t each = sizes[i] + 64;
            size_t count = limit / each * 8 / 10;
            void **p = malloc(count * sizeof *p);
            CHECK(p != NULL);
            size_t kept = limit / (each + sizeof *p) * 8 / 10;
            for (size_t k = 0; k < kept; k++) {
                p[k] = malloc(sizes[i]);
                CHECK(p[k] != NULL);
                memset(p[k], 1, sizes[i]);
            }
            for (size_t k = 0; k < kept; k++) {
                free(p[k]);
            }
            free(p);
        }
    }
    return 0;
}
