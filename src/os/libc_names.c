/* SPDX-License-Identifier: MIT */
/* See libc_names.h. The layout of the tables: the ELF specification, and for the hash table
 * https://flapenguin.me/elf-dt-gnu-hash */
#include "os/libc_names.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "os/os.h"

#define NAMES_MAX 16u

/* The dynamic linker's list of what is loaded; a static program has none. */
extern struct r_debug weak_r_debug __asm__("_r_debug") __attribute__((weak));
/* In libc, wherever that is; nobody has one of his own. */
extern const char *weak_libc_version(void) __asm__("gnu_get_libc_version") __attribute__((weak));

/* What the dynamic linker has of an object. */
struct object {
    uintptr_t slide; /* from addresses in its file to those in memory */
    ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hash;
};

/* False: it has no tables of these kinds. */
static bool
read_object(const struct link_map *map, struct object *object)
{
    *object = (struct object){.slide = map->l_addr};
    for (const ElfW(Dyn) *dynamic = map->l_ld; dynamic->d_tag != DT_NULL; dynamic++) {
        uintptr_t at = dynamic->d_un.d_ptr; /* glibc's linker made it one in memory */

        if (dynamic->d_tag == DT_SYMTAB) {
            object->symbols = (void *)at;
        } else if (dynamic->d_tag == DT_STRTAB) {
            object->strings = (const void *)at;
        } else if (dynamic->d_tag == DT_GNU_HASH) {
            object->hash = (const void *)at;
        }
    }
    return object->symbols != NULL && object->strings != NULL && object->hash != NULL;
}

/* The segment of an object that an address is in; NULL: none, or its headers are not where it is
 * mapped (a prelinked one, whose addresses are those in its file). */
static const ElfW(Phdr) * segment_of(uintptr_t slide, uintptr_t address)
{
    const ElfW(Ehdr) *file = (const void *)slide;
    const ElfW(Phdr) * headers;

    if (slide == 0 || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0) {
        return NULL;
    }
    headers = (const void *)(slide + file->e_phoff);
    for (size_t i = 0; i < file->e_phnum; i++) {
        if (headers[i].p_type == PT_LOAD &&
            address - (slide + headers[i].p_vaddr) < headers[i].p_memsz) {
            return &headers[i];
        }
    }
    return NULL;
}

/* By where it is loaded: the list itself may be a copy, in the program. */
bool
libc_names_is_linker(uintptr_t address)
{
    return &weak_r_debug != NULL && segment_of(weak_r_debug.r_ldbase, address) != NULL;
}

/* By its name first: another object's headers may not be where segment_of looks. */
static bool
may_be_libc(const struct link_map *map)
{
    static const char name[] = "libc.so.6";
    const char *slash = strrchr(map->l_name, '/');

    return strncmp(slash == NULL ? map->l_name : slash + 1, name, sizeof name - 1) == 0;
}

static bool
find_libc(struct object *libc)
{
    if (&weak_r_debug == NULL) {
        return false;
    }
    for (const struct link_map *map = weak_r_debug.r_map; map != NULL; map = map->l_next) {
        if (may_be_libc(map) && read_object(map, libc) &&
            segment_of(map->l_addr, (uintptr_t)&weak_libc_version) != NULL) {
            return true;
        }
    }
    return false;
}

static uint32_t
hash_of(const char *name)
{
    uint32_t hash = 5381;

    for (; *name != '\0'; name++) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return hash;
}

/* The first function that the object has of that name, or NULL. The table: how many buckets, the
 * first symbol in it, words of a filter and its shift; the filter, the buckets, and a hash for each
 * symbol, whose lowest bit ends a bucket. */
static ElfW(Sym) * find(const struct object *object, const char *name)
{
    uint32_t hash = hash_of(name);
    uint32_t buckets = object->hash[0];
    uint32_t first = object->hash[1];
    const ElfW(Addr) *filter = (const void *)(object->hash + 4);
    const uint32_t *bucket = (const void *)(filter + object->hash[2]);
    const uint32_t *hashes = bucket + buckets;
    uint32_t i = buckets == 0 ? 0 : bucket[hash % buckets];

    for (bool more = i >= first; more; i++) {
        ElfW(Sym) *symbol = &object->symbols[i];

        if ((hashes[i - first] | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
            (symbol->st_info & 0xf) == STT_FUNC &&
            strcmp(object->strings + symbol->st_name, name) == 0) {
            return symbol;
        }
        more = (hashes[i - first] & 1) == 0;
    }
    return NULL;
}

static int
protection_of(const ElfW(Phdr) * segment)
{
    return ((segment->p_flags & PF_R) != 0 ? PROT_READ : 0) |
           ((segment->p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
           ((segment->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
}

void
libc_names_lead(const struct libc_name *names, size_t count)
{
    struct object libc = {.slide = 0};
    ElfW(Sym) * found[NAMES_MAX];
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;
    int saved_errno = errno;
    const ElfW(Phdr) * segment;
    int protection;

    if (count > NAMES_MAX || !find_libc(&libc)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uintptr_t at = (uintptr_t)(found[i] = find(&libc, names[i].name));

        if (at != 0) {
            low = at < low ? at : low;
            high = at > high ? at : high;
        }
    }
    segment = high == 0 ? NULL : segment_of(libc.slide, low);
    if (segment == NULL) {
        return;
    }
    low &= ~(OS_PAGE - 1);
    high = (high + sizeof **found + OS_PAGE - 1) & ~(OS_PAGE - 1);
    protection = protection_of(segment);
    if (os_injected_fault("mprotect") == 0 &&
        mprotect((void *)low, high - low, protection | PROT_WRITE) == 0) {
        for (size_t i = 0; i < count; i++) {
            if (found[i] != NULL) {
                /* One store: a thread that binds a function meanwhile finds one or the other. */
                atomic_store_relaxed(&found[i]->st_value,
                                     (uintptr_t)names[i].function - libc.slide);
            }
        }
        (void)mprotect((void *)low, high - low, protection);
    }
    errno = saved_errno;
}
