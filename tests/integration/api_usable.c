/* SPDX-License-Identifier: MIT */
/*
 * malloc_usable_size: 0 for NULL, at least what was asked for, never changing while the block lives
 * (whatever its neighbours do), and all of it may be written.
 */
#include "check.h"
#include <malloc.h>

enum { COUNT = 3000 };
static unsigned char *block[COUNT];
static size_t usable[COUNT];

int
main(void)
{
    CHECK(malloc_usable_size(NULL) == 0);
    uint64_t state = 5;
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = rnd_below(&state, (size_t)1 << (1 + i % 18));
        switch (i % 5) {
        case 0:
            block[i] = calloc(1, n);
            break;
        case 1:
            block[i] = realloc(malloc(10), n + 1);
            break;
        case 2:
            block[i] = memalign(64, n);
            break;
        case 3:
            block[i] = aligned_alloc(4096, n);
            break;
        default:
            block[i] = malloc(n);
            break;
        }
        CHECK(block[i] != NULL);
        usable[i] = malloc_usable_size(block[i]);
        CHECK(usable[i] >= n, "asked %zu usable %zu", n, usable[i]);
        pattern_fill(block[i], usable[i], i);
    }
    for (size_t i = 0; i < COUNT; i += 2) {
        CHECK_PATTERN(block[i], usable[i], i);
        free(block[i]);
        block[i] = NULL;
    }
    for (size_t i = 1; i < COUNT; i += 2) {
        CHECK(malloc_usable_size(block[i]) == usable[i]);
    }
    for (size_t i = 0; i < COUNT; i += 2) {
        block[i] = malloc(usable[i]);
        CHECK(block[i] != NULL);
        usable[i] = malloc_usable_size(block[i]);
        pattern_fill(block[i], usable[i], i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(malloc_usable_size(block[i]) == usable[i]);
        CHECK_PATTERN(block[i], usable[i], i);
        /* Asking for the usable size itself must not move or shrink the promise. */
        block[i] = realloc(block[i], usable[i]);
        CHECK(block[i] != NULL);
        CHECK_PATTERN(block[i], usable[i], i);
        free(block[i]);
    }
    return 0;
}
