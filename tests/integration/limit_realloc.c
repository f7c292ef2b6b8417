/* SPDX-License-Identifier: MIT */
/*
 * Under RLIMIT_AS a realloc which cannot be had answers NULL with ENOMEM and leaves the block,
 * whether it is small or large, however often it is tried; smaller requests still succeed.
 */
#include "check.h"

int
main(int argc, char **argv)
{
    (void)argc;
    reexec_limited(argv, RLIMIT_AS, 400);
    static const size_t sizes[] = {100, 30000, 2 << 20, 40 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = hide(malloc(sizes[i]));
        CHECK(p != NULL);
        pattern_fill(p, sizes[i], i);
        for (int n = 0; n < 100; n++) {
            errno = 0;
            CHECK(hide(realloc(p, hide_size((size_t)500 << 20))) == NULL);
            CHECK(errno == ENOMEM);
        }
        CHECK_PATTERN(p, sizes[i], i);
        p = hide(realloc(p, 50 << 20));
        CHECK(p != NULL, "50 MiB of 400 MiB");
        CHECK_PATTERN(p, sizes[i], i);
        free(p);
    }
    return 0;
}
