/* SPDX-License-Identifier: MIT */
/*
 * mlockall(MCL_CURRENT | MCL_FUTURE) populates everything that is readable: address space which is
 * only reserved may not become memory, and allocation goes on.
 * needs: root
 */
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>

int
main(void)
{
    free(hide(malloc(100)));
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        SKIP("mlockall: %s", strerror(errno));
    }
    CHECK(rss_kib() < 120 << 10, "%zu KiB", rss_kib());
    enum { COUNT = 10000 };
    static void *p[COUNT];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = hide(malloc(i % 5000));
            CHECK(p[i] != NULL);
            memset(p[i], 1, i % 5000);
        }
        for (size_t i = 0; i < COUNT; i++) {
            free(p[i]);
        }
        malloc_trim(0);
    }
    void *large = hide(malloc(100 << 20));
    CHECK(large != NULL);
    memset(large, 1, 100 << 20);
    free(large);
    CHECK(peak_rss_kib() < 500 << 10, "%zu KiB", peak_rss_kib());
    return 0;
}
