/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's stack. libunwind when it is there, loaded when profiling starts and into a
 * scope of its own: linked, its _Unwind_* functions would take the place of libgcc's and make C++
 * exceptions three to six times as slow. Else libgcc's unwinder, loaded likewise, or linked into a
 * static program; else frame pointers, else at least the address that the program's code will be
 * returned to.
 */
#ifndef TIDE_PROFILE_UNWIND_H
#define TIDE_PROFILE_UNWIND_H

#include "base/compiler.h"

enum unwind_how { UNWIND_AUTO, UNWIND_LIBUNWIND, UNWIND_FRAME_POINTER, UNWIND_LIBGCC };

/* Finds an unwinder and runs it once. May load a library: without locks, where the program could
 * call dlopen itself. Later calls have no effect. */
void unwind_start(enum unwind_how how);

/* Is the dynamic linker among the nearest callers? It may be in the middle of loading something
 * then, and cannot be asked to load more. May say so without cause. from: as below. */
bool unwind_is_in_linker(const void *from);

/* Return addresses, innermost first, at most max; this library's own are among them. from: a place
 * on the stack with only this library's frames, and few of them, below somebody else's. */
size_t unwind_stack(const void *from, uintptr_t *addresses, size_t max);

/* Forgets what was remembered of code that was unloaded meanwhile. */
void unwind_forget(void);

/* What is used: "libunwind", "libgcc", "frame-pointer". */
const char *unwind_name(void);

#endif
