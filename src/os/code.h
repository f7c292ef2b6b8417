/* SPDX-License-Identifier: MIT */
/*
 * Where code is, in terms that are the same in every run of a program: without the dynamic linker's
 * locks, and without asking the kernel. Follows the rules of os.h.
 */
#ifndef TIDE_OS_CODE_H
#define TIDE_OS_CODE_H

#include "base/build_id.h"

/* The program's build-id, at most BUILD_ID_MAX bytes; 0: it has none. */
size_t os_program_build_id(uint8_t *id);

/* Can it be told without the dynamic linker's locks which object an address is in? (glibc 2.35) */
bool os_can_find_code(void);
/* Where the loaded object begins that an address is in; 0: there is none, or it cannot be told. */
uintptr_t os_code_start(uintptr_t address);

/* A hash of the object's build-id and the address within it; 0: not known (no build-id, code made
 * at run time, see os_can_find_code). The code must stay loaded meanwhile. */
uint64_t os_code_key(uintptr_t address);

/* Where the main thread's stack begins: the arguments of the program. Once, by a constructor. */
void os_note_arguments(char **argv);
/* Their number and a hash of them, the program's name left out; 0: none were noted. */
uint64_t os_arguments_key(void);

/* How deep the calling thread's stack is at an address in it, which depends on nothing but the
 * calls that are open; 0: it is another stack (a coroutine's, a signal's). */
uint32_t os_stack_height(uintptr_t address);

#endif
