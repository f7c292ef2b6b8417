/* SPDX-License-Identifier: MIT */
/*
 * Pointers that no span of ours holds: NULL, blocks of the C library's own heap, and errors; and
 * how blocks of two heaps are kept from meeting.
 */
#ifndef TIDE_API_FOREIGN_H
#define TIDE_API_FOREIGN_H

#include "base/compiler.h"

/* Remembers where the program break was: libc's main heap lies above. Once, at init. */
void foreign_init(void);

/* Who opens a library allocates a record of it, zeroed, of more than so many bytes, as that many
 * objects of 1: only the dynamic linker and few others call calloc so. */
#define FOREIGN_RECORD_MIN 1024u
/* `caller` did. If it is the dynamic linker, ours is the malloc of the process: libraries opened
 * with RTLD_DEEPBIND are led to it from now on (os/libc_names.h). */
void foreign_note_caller(uintptr_t caller);

void *foreign_realloc(void *p, size_t size);
size_t foreign_usable_size(void *p);
uint64_t foreign_free_count(void);

#endif
