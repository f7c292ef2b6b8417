/* SPDX-License-Identifier: MIT */
/*
 * Libraries that are opened with RTLD_DEEPBIND, as PHP's extensions are. They are bound to the C
 * library's malloc and free before ours; a block of ours in its free is a crash. So they are led to
 * us (os/libc_names.h) before they are bound: when the dynamic linker allocates its record of the
 * first library that is opened.
 *
 * Not where another library's calloc stands between the linker and us (`tide trace`), nor on a libc
 * that was prelinked. Calls of __libc_malloc and __libc_free by these names stay libc's.
 */
#ifndef TIDE_API_DEEPBIND_H
#define TIDE_API_DEEPBIND_H

#include "base/compiler.h"

/* Such a record is zeroed, longer than this, and asked for as that many objects of one byte: so
 * only the dynamic linker and few others call calloc. */
#define DEEPBIND_RECORD_MIN 1024u

/* `caller` did. If it is the dynamic linker, ours is the malloc of the process, or all that another
 * library before us does with a call is to pass it on to us. */
void deepbind_note_caller(uintptr_t caller);

#endif
