/* SPDX-License-Identifier: MIT */
/* For probes.sh: both macros of base/probe.h, with arguments known to the script. */
#include "base/probe.h"

__attribute__((noinline)) static void
told(uint64_t a, uint64_t b, uint64_t c)
{
    TIDE_PROBE3(alloc, a, b, c);
    TIDE_PROBE1(free, b + 1);
}

int
main(int argc, char **argv)
{
    (void)argv;
    told((uint64_t)argc + 0x123456789aull, 22, UINT64_MAX);
    return 0;
}
