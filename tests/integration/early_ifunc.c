/* SPDX-License-Identifier: MIT */
/*
 * An ifunc resolver of the program allocates and frees during relocation, before any constructor.
 * link: -Wl,-z,now
 */
#include "check.h"

static unsigned char *from_resolver;

static int
answer(void)
{
    return 42;
}

static int (*resolve_answer(void))(void)
{
    unsigned char *p = malloc(300);
    if (p != NULL) {
        for (int i = 0; i < 300; i++) {
            p[i] = (unsigned char)i;
        }
    }
    from_resolver = p;
    free(malloc(100000));
    free(calloc(3, 70));
    return answer;
}

__attribute__((ifunc("resolve_answer"))) int indirect(void);

int
main(void)
{
    CHECK(indirect() == 42);
    CHECK(from_resolver != NULL);
    for (int i = 0; i < 300; i++) {
        CHECK(from_resolver[i] == (unsigned char)i);
    }
    free(from_resolver);
    return 0;
}
