/* SPDX-License-Identifier: MIT */
/*
 * Pointers that no span of ours holds: NULL, blocks of the C library's own heap (see deepbind.h),
 * and errors.
 */
#ifndef TIDE_API_FOREIGN_H
#define TIDE_API_FOREIGN_H

#include "base/compiler.h"

/* Remembers where the program break was: libc's main heap lies above. Once, at init. */
void foreign_init(void);

void *foreign_realloc(void *p, size_t size);
size_t foreign_usable_size(void *p);
uint64_t foreign_free_count(void);

#endif
