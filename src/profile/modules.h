/* SPDX-License-Identifier: MIT */
/*
 * Modules: the executable mappings of the program and its libraries, those unloaded since included.
 * The first one is the main program's. A module that is loaded again is the same module.
 */
#ifndef TIDE_PROFILE_MODULES_H
#define TIDE_PROFILE_MODULES_H

#include "base/build_id.h"
#include "profile/sites.h"

typedef struct module {
    uintptr_t start;      /* lock(profile): first address, of an os page */
    uintptr_t end;        /* lock(profile): behind the last */
    uint64_t offset;      /* const: in the file, of start */
    uintptr_t header;     /* lock(profile): where the object's ELF header is mapped; 0: nowhere */
    uint64_t seen;        /* lock(profile): number of the latest look that found it loaded */
    uint64_t header_hash; /* const: of what stands there, see modules.c */
    const char *path;     /* const: */
    uint8_t build_id_len; /* const: */
    bool is_ours;         /* const: this library */
    bool stays;           /* const: was loaded with the program, and cannot be unloaded */
    bool is_loaded;       /* lock(profile): as of the last look */
    uint8_t build_id[BUILD_ID_MAX]; /* const: */
} module_t;

/* Makes the table. 0 or ENOMEM. Once. */
int modules_init(void);

/* Nothing was loaded by dlopen yet: what is loaded now stays. Asks the dynamic linker. */
void modules_note_start(void);

/* Looks for new and for lost modules. Asks the dynamic linker, which takes a lock of its own:
 * without any lock of ours. */
void modules_look(void);

/* Return addresses, innermost first, as frames of the calls; this library's own are left out. How
 * many there are in `frames`, at most max. May call modules_look: without any lock. */
size_t modules_frames(const uintptr_t *addresses, size_t count, frame_t *frames, size_t max);

/* The number of modules, and each of them. */
uint32_t modules_count(void);
const module_t *module_at(uint32_t index);

/* Is this a static program? After the first look. */
bool modules_are_static(void);

/* Is the address in executable code that is not ours, and not at its very beginning? LOOSE: it may
 * be unloaded, or is so by now. Without the linker's lock; what was loaded since the last look is
 * known after the next modules_frames. */
enum module_code { MODULE_NO_CODE, MODULE_LOOSE_CODE, MODULE_CODE };
enum module_code modules_code_at(uintptr_t address);

/* Changes when a module was found loaded or gone. */
uint32_t modules_version(void);

#endif
