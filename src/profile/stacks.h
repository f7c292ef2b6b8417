/* SPDX-License-Identifier: MIT */
/*
 * The stacks of samples: room for their frames (a thread's own stack may be small), the unwinder's
 * loading, and who may unwind or ask the dynamic linker.
 *
 * Fork waits for those who do: the unwinder and the linker may hold locks that nobody would release
 * in the child. Whoever comes meanwhile goes without a stack; nobody waits, since he may hold what
 * somebody who unwinds is waiting for.
 */
#ifndef TIDE_PROFILE_STACKS_H
#define TIDE_PROFILE_STACKS_H

#include "profile/format.h"
#include "profile/sites.h"

#define STACK_OWN_MAX 16u /* frames of this library, above what is asked for */

struct stack {
    uint32_t is_taken; /* atomic: by a thread that records a sample */
    uintptr_t addresses[PROFILE_FRAMES_MAX + STACK_OWN_MAX];
    frame_t frames[PROFILE_FRAMES_MAX];
};

/* One for the caller alone; NULL: too many threads are at it. Async-signal-safe. */
struct stack *stack_take(void);
/* NULL: nothing. */
void stack_release(struct stack *stack);

/* Fills in the frames of the stack that called malloc, at least one: (no module, 0) stands for
 * those that are not known. How many. from: as for unwind_stack. Inside (profile_enter). */
size_t stack_frames(struct stack *stack, const void *from);

/* Loads the unwinder, unless somebody did or does: where the program could call dlopen itself.
 * Inside. */
void stacks_load_unwinder(void);

/* modules_look, with fork kept away as long as it lasts. Inside. */
void stacks_look_at_modules(void);

/* fork: before all locks; in both; in the child of one without handlers, before that. */
void stacks_prefork(void);
void stacks_postfork(bool in_child);
void stacks_fork_abrupt(void);

#endif
