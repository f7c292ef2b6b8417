/* SPDX-License-Identifier: MIT */
/*
 * The build-id that a linker left in an ELF object's notes. Pure.
 */
#ifndef TIDE_BASE_BUILD_ID_H
#define TIDE_BASE_BUILD_ID_H

#include <elf.h>
#include <string.h>

#include "base/bits.h"

#define BUILD_ID_MAX 32u

/* Its bytes, at most BUILD_ID_MAX, in a segment of notes that may be damaged; 0: there is none. */
static inline size_t
build_id_find(const void *notes, size_t bytes, uint8_t *id)
{
    const unsigned char *all = notes;
    size_t at = 0;

    while (bytes - at >= sizeof(Elf64_Nhdr)) { /* of 32 bits they are the same */
        Elf64_Nhdr note;
        size_t name;
        size_t text;

        memcpy(&note, all + at, sizeof note);
        if (note.n_namesz > bytes || note.n_descsz > bytes) {
            return 0;
        }
        name = at + sizeof note;
        text = name + align_up(note.n_namesz, 4);
        at = text + align_up(note.n_descsz, 4);
        if (at > bytes) {
            return 0;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(all + name, "GNU", 4) == 0 && note.n_descsz <= BUILD_ID_MAX) {
            memcpy(id, all + text, note.n_descsz);
            return note.n_descsz;
        }
    }
    return 0;
}

#endif
