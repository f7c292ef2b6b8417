/* SPDX-License-Identifier: MIT */
/* See code.h. */
#include "os/code.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include "os/lock.h"
#include "os/os.h"

#ifdef DLFO_STRUCT_HAS_EH_DBASE
#pragma weak _dl_find_object
#define HAVE_FIND_OBJECT 1
#else
#define HAVE_FIND_OBJECT 0 /* glibc before 2.35 */
#endif

/* What is further from where the thread's stack begins is another stack. */
#define MAIN_STACK_MAX ((uintptr_t)1 << 30)
#define THREAD_STACK_MAX ((uintptr_t)8 << 20)
#define HASH_FACTOR 0x9e3779b97f4a7c15u

static char **arguments;        /* init: */
static const void *main_thread; /* init: lock_self() of it */

static uint64_t
hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * HASH_FACTOR;
        hash ^= hash >> 32;
    }
    return hash;
}

/* The headers of an object whose first byte is there, as all linkers lay files out; NULL: it is
 * another way, and they may not be mapped. */
static const ElfW(Phdr) * headers_behind(uintptr_t start)
{
    const ElfW(Ehdr) *elf = (const void *)start;

    if (memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_phoff != sizeof *elf) {
        return NULL;
    }
    return (const void *)(start + sizeof *elf);
}

/* How far it is from where its headers say: where the first byte of the file is mapped, if that is
 * there. */
static uintptr_t
slide_of(const ElfW(Phdr) * headers, size_t count, uintptr_t start)
{
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) {
            return start - headers[i].p_vaddr;
        }
    }
    return start;
}

static size_t
find_build_id(const ElfW(Phdr) * headers, size_t count, uintptr_t slide, uint8_t *id)
{
    size_t len = 0;

    for (size_t i = 0; i < count && len == 0; i++) {
        if (headers[i].p_type == PT_NOTE) {
            len = build_id_find((const void *)(slide + headers[i].p_vaddr), headers[i].p_memsz, id);
        }
    }
    return len;
}

TIDE_COLD size_t
os_program_build_id(uint8_t *id)
{
    uintptr_t at = getauxval(AT_PHDR);
    const ElfW(Phdr) *headers = (const void *)at;
    size_t count = getauxval(AT_PHNUM);
    uintptr_t start = at - sizeof(ElfW(Ehdr));

    for (size_t i = 0; at != 0 && i < count; i++) {
        if (headers[i].p_type == PT_PHDR) {
            return find_build_id(headers, count, at - headers[i].p_vaddr, id);
        }
    }
    /* A static program does not say where they are. */
    if (at == 0 || start % OS_PAGE != 0 || headers_behind(start) != headers) {
        return 0;
    }
    return find_build_id(headers, count, slide_of(headers, count, start), id);
}

#if HAVE_FIND_OBJECT
bool
os_can_find_code(void)
{
    return &_dl_find_object != NULL;
}

uintptr_t
os_code_start(uintptr_t address)
{
    struct dl_find_object object;

    if (&_dl_find_object == NULL || _dl_find_object((void *)address, &object) != 0) {
        return 0;
    }
    return (uintptr_t)object.dlfo_map_start;
}
#else
bool
os_can_find_code(void)
{
    return false;
}

uintptr_t
os_code_start(uintptr_t address)
{
    (void)address;
    return 0;
}
#endif

static uint64_t
object_hash(uintptr_t start)
{
    const ElfW(Phdr) *headers = headers_behind(start);
    size_t count = ((const ElfW(Ehdr) *)(const void *)start)->e_phnum;
    uint8_t id[BUILD_ID_MAX];
    size_t len = 0;

    if (headers != NULL) {
        len = find_build_id(headers, count, slide_of(headers, count, start), id);
    }
    return len == 0 ? 0 : hash_bytes(1, id, len);
}

TIDE_COLD uint64_t
os_code_key(uintptr_t address)
{
    uintptr_t start = os_code_start(address);
    uintptr_t offset = address - start;
    uint64_t hash = start == 0 ? 0 : object_hash(start);

    return hash == 0 ? 0 : hash_bytes(hash, &offset, sizeof offset);
}

void
os_note_arguments(char **argv)
{
    arguments = argv;
    main_thread = lock_self();
}

TIDE_COLD uint64_t
os_arguments_key(void)
{
    uint64_t hash = 2;

    if (arguments == NULL || arguments[0] == NULL) {
        return 0;
    }
    for (size_t i = 1; arguments[i] != NULL; i++) {
        hash = hash_bytes(hash, arguments[i], strlen(arguments[i]) + 1);
    }
    return hash;
}

TIDE_COLD uint32_t
os_stack_height(uintptr_t address)
{
    const void *thread = lock_self();
    bool is_main = thread == main_thread;
    /* Another thread's local data are where its stack begins. */
    uintptr_t begin = is_main ? (uintptr_t)arguments : (uintptr_t)thread;
    uintptr_t most = is_main ? MAIN_STACK_MAX : THREAD_STACK_MAX;

    return begin > address && begin - address < most ? (uint32_t)(begin - address) : 0;
}
