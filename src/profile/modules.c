/* SPDX-License-Identifier: MIT */
/*
 * The dynamic linker's list, remembered; see modules.h.
 *
 * A sample's addresses are of modules that are loaded now, since somebody is in them. Whether what
 * is known of their place is still so is told without the linker's lock: _dl_find_object (glibc
 * 2.35) says where the object begins, and a hash of its first bytes (ELF header, program headers
 * and most build-ids lie within them) must be that of the module. Where there is no such function,
 * each sample asks the linker whether anything was loaded or unloaded since.
 *
 * The linker's lock may be held by a program that waits for a thread of its own that allocates:
 * none of our locks is held while it is taken, and it is taken only when something is new.
 */
#include "profile/modules.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include "base/bits.h"
#include "base/build_id.h"
#include "os/code.h"
#include "os/os.h"

#define MODULES_MAX 4096u
#define PATHS_BYTES ((size_t)512 << 10)
/* What the hash covers: program headers and, as linkers lay files out, the build-id. */
#define HEADER_BYTES 1024u
#define SURE_MAX 8u
#define TRANSLATIONS_MAX 100u /* of a stack, while libraries come and go */

#define CALL_ROOM 16u /* a call begins no further before where it returns to */

/* Where this library's text is when it is linked into the program: objcopy gave it sections of
 * these names (see Makefile.am), and the linker makes such symbols of them. */
#define OWN_TEXT(name, at)                                                                         \
    extern const char name[] __asm__(at) __attribute__((weak, visibility("hidden")))
OWN_TEXT(own_text, "__start_tide_text");
OWN_TEXT(own_text_end, "__stop_tide_text");
OWN_TEXT(own_cold_text, "__start_tide_text_cold");
OWN_TEXT(own_cold_text_end, "__stop_tide_text_cold");

static struct {
    module_t *modules; /* NULL before init; entries: lock(profile) */
    char *paths;       /* lock(profile): texts, one behind the other */
    size_t paths_used; /* lock(profile): */
    uint32_t count;    /* atomic: written under the lock */
    uint32_t version;  /* atomic: odd while a module changes */
    uint64_t changes;  /* atomic(relaxed): the linker's loads and unloads at the last look */
    uint64_t looks;    /* atomic(relaxed): looks begun */
    bool has_new;      /* atomic(relaxed): something was loaded since the last look */
    uint32_t at_start; /* const after the start: objects that were loaded with the program */
    bool is_static;    /* atomic(relaxed): of the first look: there is no dynamic linker */
} known;

/* In the order of loading: what dlopen brings comes after. */
static int
count_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    uint32_t *count = arg;

    (void)info;
    (void)size;
    (*count)++;
    return 0;
}

void
modules_note_start(void)
{
    (void)dl_iterate_phdr(count_object, &known.at_start);
}

int
modules_init(void)
{
    size_t bytes = align_up(MODULES_MAX * sizeof(module_t), OS_PAGE);
    char *base = os_map(bytes + PATHS_BYTES, "tidemalloc profile: modules");

    if (base == NULL) {
        return ENOMEM;
    }
    known.paths = base + bytes;
    known.modules = (module_t *)(void *)base;
    return 0;
}

uint32_t
modules_count(void)
{
    return atomic_load_acquire(&known.count);
}

const module_t *
module_at(uint32_t index)
{
    return &known.modules[index];
}

/* --- what the linker says ----------------------------------------------------------------------*/

/* An object, as dl_iterate_phdr's callback sees it; kept no longer than the call. */
struct object {
    uint8_t build_id[BUILD_ID_MAX];
    uint8_t build_id_len;
    bool is_ours; /* all of its mappings: cold text has one of its own */
    uintptr_t header;
    uint64_t header_hash;
    const char *path;
    uint64_t look; /* number of the look that sees it */
    bool stays;    /* was loaded with the program */
};

static uint64_t
hash_header(uintptr_t header)
{
    uint64_t words[HEADER_BYTES / sizeof(uint64_t)];
    uint64_t lanes[4] = {1, 2, 3,
                         4}; /* side by side: one multiplication need not wait for another */

    memcpy(words, (const void *)header, sizeof words);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(words); i += 4) {
        for (size_t lane = 0; lane < 4; lane++) {
            lanes[lane] = (lanes[lane] ^ words[i + lane]) * 0x9e3779b97f4a7c15u;
            lanes[lane] ^= lanes[lane] >> 29;
        }
    }
    return (lanes[0] * 3 ^ lanes[1]) * 5 ^ (lanes[2] * 3 ^ lanes[3]);
}

static void
read_object(struct object *object, const struct dl_phdr_info *info)
{
    bool has_linker = false;
    bool has_us = false;

    memset(object, 0, sizeof *object);
    object->path = info->dlpi_name == NULL ? "" : info->dlpi_name;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type == PT_NOTE && object->build_id_len == 0) {
            object->build_id_len =
                (uint8_t)build_id_find((const void *)start, ph->p_memsz, object->build_id);
        } else if (ph->p_type == PT_LOAD && ph->p_offset == 0 && ph->p_filesz >= HEADER_BYTES) {
            object->header = start;
            object->header_hash = hash_header(start);
        }
        if (ph->p_type == PT_LOAD && (uintptr_t)&modules_init - start < ph->p_memsz) {
            has_us = true;
        }
        has_linker |= ph->p_type == PT_INTERP;
    }
    if (object->path[0] != '\0') {
        object->is_ours = has_us;
    } else if (has_us && !has_linker) { /* the program */
        atomic_store_relaxed(&known.is_static, true);
    }
}

/* lock(profile) held. */
static const char *
keep_path(const char *path)
{
    char link[512];
    size_t len;
    char *kept;

    if (path[0] == '\0' && known.count == 0 &&
        os_read_link("/proc/self/exe", link, sizeof link) > 0) {
        path = link;
    }
    len = strlen(path) + 1;
    if (PATHS_BYTES - known.paths_used < len) {
        return "";
    }
    kept = known.paths + known.paths_used;
    memcpy(kept, path, len);
    known.paths_used += len;
    return kept;
}

static bool
is_same_file(const module_t *module, const struct object *object)
{
    if (module->build_id_len != object->build_id_len) {
        return false;
    }
    if (object->build_id_len > 0) {
        return memcmp(module->build_id, object->build_id, object->build_id_len) == 0;
    }
    return module->header_hash == object->header_hash && strcmp(module->path, object->path) == 0;
}

/* Readers without the lock begin anew when the version is odd or another afterwards. */
static void
change_begin(void)
{
    (void)atomic_exchange_acq_rel(&known.version, known.version + 1);
}

static void
change_end(void)
{
    (void)atomic_exchange_acq_rel(&known.version, known.version + 1);
}

/* The module that is there already, or was and came back. lock(profile) held. */
static module_t *
find_segment(const struct object *object, uintptr_t start, size_t size, uint64_t offset)
{
    module_t *found = NULL;

    for (uint32_t i = 0; i < known.count; i++) {
        module_t *old = &known.modules[i];

        if (old->offset != offset || old->end - old->start != size || !is_same_file(old, object)) {
            continue;
        }
        if (old->start == start) {
            return old;
        }
        if (!old->is_loaded || old->seen < object->look) {
            found = old;
        }
    }
    return found;
}

/* lock(profile) held. */
static void
note_segment(const struct object *object, uintptr_t start, uintptr_t end, uint64_t offset)
{
    module_t *module = find_segment(object, start, end - start, offset);
    uint32_t count = known.count;

    if (module == NULL) {
        if (count == MODULES_MAX) {
            return;
        }
        module = &known.modules[count];
        module->offset = offset;
        module->header_hash = object->header_hash;
        module->build_id_len = object->build_id_len;
        memcpy(module->build_id, object->build_id, sizeof module->build_id);
        module->path = keep_path(object->path);
        module->stays = object->stays || count == 0;
        module->is_ours = object->is_ours;
        atomic_store_release(&known.count, count + 1); /* pairs with modules_count */
    }
    if (module->seen < object->look) {
        module->seen = object->look;
    }
    if (module->is_loaded && module->start == start) {
        return;
    }
    change_begin();
    atomic_store_relaxed(&module->start, start);
    atomic_store_relaxed(&module->end, end);
    atomic_store_relaxed(&module->header, object->header);
    atomic_store_relaxed(&module->is_loaded, true);
    change_end();
}

/* lock(profile) held. */
static void
note_object(const struct dl_phdr_info *info, const struct object *object)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X) != 0 && ph->p_memsz > 0) {
            note_segment(object, align_down(start, OS_PAGE), align_up(start + ph->p_memsz, OS_PAGE),
                         align_down(ph->p_offset, OS_PAGE));
        }
    }
}

struct look {
    uint64_t changes;
    uint64_t number;
    uint32_t objects; /* seen so far */
};

/* Under the linker's lock; ours may be taken here, since nobody waits for the linker with it. */
static int
look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct look *look = arg;
    struct object object;

    (void)size;
    look->changes = info->dlpi_adds + info->dlpi_subs;
    read_object(&object, info);
    object.look = look->number;
    object.stays = look->objects++ < known.at_start;
    lock_acquire(&profile_lock);
    note_object(info, &object);
    lock_release(&profile_lock);
    return 0;
}

void
modules_look(void)
{
    struct look look = {.number = atomic_add_relaxed(&known.looks, 1)};

    (void)dl_iterate_phdr(look_at, &look);
    atomic_store_relaxed(&known.changes, look.changes);
    lock_acquire(&profile_lock);
    for (uint32_t i = 0; i < known.count; i++) {
        module_t *module = &known.modules[i];

        if (module->is_loaded && module->seen < look.number) {
            change_begin();
            atomic_store_relaxed(&module->is_loaded, false);
            change_end();
        }
    }
    lock_release(&profile_lock);
}

/* --- addresses ---------------------------------------------------------------------------------*/

static const module_t *
module_of(uintptr_t address)
{
    uint32_t count = modules_count();

    for (uint32_t i = 0; i < count; i++) {
        const module_t *module = &known.modules[i];
        uintptr_t start = atomic_load_acquire(&module->start);

        if (address - start < atomic_load_acquire(&module->end) - start &&
            atomic_load_acquire(&module->is_loaded)) {
            return module;
        }
    }
    return NULL;
}

bool
modules_are_static(void)
{
    return atomic_load_relaxed(&known.is_static);
}

static bool
is_ours(const module_t *module, uintptr_t address)
{
    return module->is_ours ||
           address - (uintptr_t)own_text < (uintptr_t)own_text_end - (uintptr_t)own_text ||
           address - (uintptr_t)own_cold_text <
               (uintptr_t)own_cold_text_end - (uintptr_t)own_cold_text;
}

/* Is an object that begins there on the list? */
static bool
is_known(uintptr_t start)
{
    for (uint32_t i = 0; i < modules_count(); i++) {
        const module_t *module = &known.modules[i];

        if (atomic_load_relaxed(&module->header) == start &&
            atomic_load_relaxed(&module->is_loaded)) {
            return true;
        }
    }
    return false;
}

enum module_code
modules_code_at(uintptr_t address)
{
    const module_t *module = module_of(address);
    uintptr_t start;

    if (module != NULL) {
        if (is_ours(module, address) || address - module->start < CALL_ROOM) {
            return MODULE_NO_CODE;
        }
        return module->stays ? MODULE_CODE : MODULE_LOOSE_CODE;
    }
    start = os_code_start(address);
    if (start != 0 && !is_known(start)) {
        atomic_store_relaxed(&known.has_new, true);
    }
    return MODULE_NO_CODE;
}

uint32_t
modules_version(void)
{
    return atomic_load_acquire(&known.version);
}

/* Is what is known of the address, which is in use, still so? module NULL: that it is none's. */
static bool
is_up_to_date(const module_t *module, uintptr_t address)
{
    uintptr_t start;

    if ((module != NULL && module->stays) || !os_can_find_code()) {
        return true;
    }
    start = os_code_start(address);
    if (module == NULL || start == 0) {
        return module == NULL && start == 0;
    }
    return module->header == 0 ||
           (module->header == start && module->header_hash == hash_header(start));
}

static int
read_changes(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uint64_t *)arg = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

/* Without a way to ask about one address. */
static void
follow_changes(void)
{
    uint64_t changes = 0;

    if (!os_can_find_code()) {
        (void)dl_iterate_phdr(read_changes, &changes);
        if (changes != atomic_load_relaxed(&known.changes)) {
            modules_look();
        }
    }
}

struct translation {
    const module_t *sure[SURE_MAX]; /* modules that were found up to date */
    uint32_t sure_count;
    bool looked;
};

static const module_t *
sure_module_of(struct translation *t, uintptr_t address)
{
    const module_t *module = module_of(address);

    for (uint32_t i = 0; i < t->sure_count; i++) {
        if (module == t->sure[i]) {
            return module;
        }
    }
    if (!t->looked && !is_up_to_date(module, address)) {
        modules_look();
        t->looked = true;
        t->sure_count = 0;
        module = module_of(address);
    }
    if (module != NULL && t->sure_count < SURE_MAX) {
        t->sure[t->sure_count++] = module;
    }
    return module;
}

static size_t
translate(struct translation *t, const uintptr_t *addresses, size_t count, frame_t *frames,
          size_t max)
{
    const module_t *module = NULL; /* most calls are of the module of the call before */
    uintptr_t start = 0;
    uintptr_t size = 0;
    size_t n = 0;

    for (size_t i = 0; i < count && n < max; i++) {
        uintptr_t call = addresses[i] - 1;

        if (call - start >= size) {
            module = sure_module_of(t, call);
            start = module == NULL ? 0 : atomic_load_acquire(&module->start);
            size = module == NULL ? 0 : atomic_load_acquire(&module->end) - start;
        }
        if (module == NULL) {
            frames[n++] = frame_make(0, call);
        } else if (!is_ours(module, call)) {
            frames[n++] =
                frame_make((uint32_t)(module - known.modules) + 1, module->offset + (call - start));
        }
    }
    return n;
}

size_t
modules_frames(const uintptr_t *addresses, size_t count, frame_t *frames, size_t max)
{
    struct translation t = {.looked = false};
    size_t n = 0;

    follow_changes();
    if (unlikely(atomic_load_relaxed(&known.has_new))) {
        atomic_store_relaxed(&known.has_new, false);
        modules_look();
    }
    for (unsigned round = 0; round < TRANSLATIONS_MAX; round++) {
        uint32_t version = atomic_load_acquire(&known.version);

        n = translate(&t, addresses, count, frames, max);
        if ((version & 1) == 0 && atomic_load_acquire(&known.version) == version) {
            break;
        }
        t = (struct translation){.looked = false};
    }
    return n;
}
