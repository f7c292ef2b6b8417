/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) of the provider tidemalloc: a nop that perf, bpftrace, SystemTap and gdb
 * find by a note of the file, with where the arguments are. They cost the nop and having the
 * arguments in registers, so they stand on slow paths only.
 *
 * <sys/sdt.h> makes them where configure found it. Else the notes are written here, for x86_64 and
 * aarch64, and arguments are always in registers; on other machines there are none then.
 *
 * Arguments are 64 bits each and unsigned: casts are the caller's.
 */
#ifndef TIDE_BASE_PROBE_H
#define TIDE_BASE_PROBE_H

#include <stdint.h>

#ifdef HAVE_SYS_SDT_H

#include <sys/sdt.h>

#define TIDE_PROBE1(name, a) DTRACE_PROBE1(tidemalloc, name, (uint64_t)(a))
#define TIDE_PROBE3(name, a, b, c)                                                                 \
    DTRACE_PROBE3(tidemalloc, name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c))

#elif defined(__x86_64__) || defined(__aarch64__)

/*
 * A note: the sizes of its owner's name and of the rest, its type (3), the name; then the address
 * of the nop, that of .stapsdt.base (readers move the first by how far the second was moved, by
 * prelink), that of a counter of users (none), and the texts. All but the base is in a section that
 * is not loaded. The operands' names are the registers', which is how a note writes them, too.
 */
#define TIDE_PROBE_NOTE(name, arguments)                                                           \
    "990: nop\n"                                                                                   \
    ".pushsection .note.stapsdt, \"\", %%note\n"                                                   \
    ".balign 4\n"                                                                                  \
    ".4byte 992f - 991f, 994f - 993f, 3\n"                                                         \
    "991: .asciz \"stapsdt\"\n"                                                                    \
    "992: .balign 4\n"                                                                             \
    "993: .8byte 990b, _.stapsdt.base, 0\n"                                                        \
    ".asciz \"tidemalloc\"\n"                                                                      \
    ".asciz \"" #name "\"\n"                                                                       \
    ".asciz \"" arguments "\"\n"                                                                   \
    "994: .balign 4\n"                                                                             \
    ".popsection\n"                                                                                \
    ".ifndef _.stapsdt.base\n"                                                                     \
    ".pushsection .stapsdt.base, \"aG\", %%progbits, .stapsdt.base, comdat\n"                      \
    ".weak _.stapsdt.base\n"                                                                       \
    ".hidden _.stapsdt.base\n"                                                                     \
    "_.stapsdt.base: .space 1\n"                                                                   \
    ".size _.stapsdt.base, 1\n"                                                                    \
    ".popsection\n"                                                                                \
    ".endif\n"

#define TIDE_PROBE1(name, a) __asm__ volatile(TIDE_PROBE_NOTE(name, "8@%0") : : "r"((uint64_t)(a)))
#define TIDE_PROBE3(name, a, b, c)                                                                 \
    __asm__ volatile(TIDE_PROBE_NOTE(name, "8@%0 8@%1 8@%2")                                       \
                     :                                                                             \
                     : "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)))

#else

#define TIDE_PROBE1(name, a) ((void)(a))
#define TIDE_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))

#endif

#endif
