/* SPDX-License-Identifier: MIT */
/*
 * Whom libraries find that look into the C library first.
 *
 * A library that is opened with RTLD_DEEPBIND is bound to the malloc of libc, which it depends on,
 * before that of a preloaded library or of the program: its blocks come to our free and, which
 * nobody can mend then, ours to libc's. So the entries of libc's own table of dynamic symbols are
 * made to lead to other functions, in this process's copy of the pages. Whatever is bound from
 * then on, dlsym included, finds those; what is bound already, and libc's own calls, stay.
 *
 * To be called when a library is opened, before it is bound. Needs the GNU hash table, which glibc
 * has.
 */
#ifndef TIDE_OS_LIBC_NAMES_H
#define TIDE_OS_LIBC_NAMES_H

#include "base/compiler.h"

struct libc_name {
    const char *name;
    void (*function)(void); /* what it is to lead to */
};

/* Is it code of the dynamic linker? */
bool libc_names_is_linker(uintptr_t address);

/* Leads the names that libc has to those functions: none in a static program, for another libc, or
 * where the pages may not be written. Some 30 us. (slow) */
void libc_names_lead(const struct libc_name *names, size_t count);

#endif
