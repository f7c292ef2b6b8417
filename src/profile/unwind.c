/* SPDX-License-Identifier: MIT */
/*
 * Unwinders; see unwind.h. The names of libc's loader are weak: a static program has none, and must
 * not get it for this.
 *
 * libunwind's global cache is switched off: it is filled under a mutex, and the linker's lock is
 * taken under that one, so that a program that allocates in a callback of dl_iterate_phdr would
 * stop for good. Its cache of steps by return address, one per thread and without a lock, is what
 * makes it fast: 10 ns a frame where libgcc takes 150. But that cache is 256 KiB, made and filled
 * by a thread's first stacks (150 us, where libgcc takes 12 for its first and 5 for the next): it
 * is for threads that have had FRAMES_UNTIL_CACHED frames, most threads never do.
 */
#include "profile/unwind.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#include "base/bits.h"
#include "os/os.h"
#include "profile/modules.h"

#define FRAME_BYTES_MAX ((uintptr_t)1 << 20)
#define WINDOW_BYTES 2048u                   /* of the stack, read at once */
#define LINKER_SEARCH_BYTES 2048u            /* of the stack: our own frames and the caller's */
#define STACK_BYTES_MAX ((uintptr_t)8 << 20) /* further off is another thread's */
#define CALL_BYTES_MAX 7u                    /* of an instruction that calls */
#define SEARCH_BYTES 4096u /* of the stack, for the first frame pointer: our own frames and more */

#ifdef __x86_64__
#define UNW_NAME(name) "_ULx86_64_" name
#elif defined(__aarch64__)
#define UNW_NAME(name) "_ULaarch64_" name
#else
#define UNW_NAME(name) "_UL_" name
#endif
#define UNW_CACHE_NONE 0
#define FRAMES_UNTIL_CACHED 1024u
#define CALLER_SEARCH_BYTES 1024u /* of the stack: our own frames and the first word above */

/* A static program has libgcc's unwinder if something else in it needs it: C++ does, and glibc's
 * threads. Only there: in another one it would be whoever's came first. */
struct unwind_context; /* of the platform's ABI */
typedef int trace_fn(struct unwind_context *context, void *arg);
extern int weak_backtrace(trace_fn *trace, void *arg) __asm__("_Unwind_Backtrace")
    __attribute__((weak));
extern uintptr_t weak_get_ip(struct unwind_context *context) __asm__("_Unwind_GetIP")
    __attribute__((weak));

/* Of the program's first thread. */
extern void *weak_stack_end __asm__("__libc_stack_end") __attribute__((weak));
extern void *weak_dlopen(const char *name, int mode) __asm__("dlopen") __attribute__((weak));
extern void *weak_dlsym(void *handle, const char *name) __asm__("dlsym") __attribute__((weak));
extern int weak_dladdr(const void *address, Dl_info *info) __asm__("dladdr") __attribute__((weak));

typedef int unw_backtrace_fn(void **addresses, int max);
typedef void unw_flush_fn(void *space, uintptr_t low, uintptr_t high);
typedef int gcc_backtrace_fn(trace_fn *trace, void *arg);
typedef uintptr_t gcc_get_ip_fn(struct unwind_context *context);

/* atomic: set once, at the start; NULL: not this way. */
static unw_backtrace_fn *unw_backtrace;
static unw_flush_fn *unw_flush; /* const after unw_backtrace, as the next */
static void *unw_space;
static gcc_backtrace_fn *gcc_backtrace;
static gcc_get_ip_fn *gcc_get_ip;
static uintptr_t gcc_start; /* its code; as the next, const after gcc_backtrace */
static uintptr_t gcc_end;
static TIDE_TLS uint32_t frames_taken; /* of this thread, by libgcc while there is libunwind */

/* A function's address from an object's, without a complaint of pedantic compilers. */
static void *
symbol(void *library, const char *name)
{
    return library == NULL ? NULL : weak_dlsym(library, name);
}

static bool
find_libunwind(void)
{
    /* The program's own copy, if it has one, keeps the policy that it has. */
    bool is_theirs = weak_dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) != NULL;
    void *library = weak_dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    int (*set_caching)(void *space, int policy);
    void **local_space;
    void *backtrace = symbol(library, "unw_backtrace");

    if (backtrace == NULL) {
        return false;
    }
    set_caching = (int (*)(void *, int))(uintptr_t)symbol(library, UNW_NAME("set_caching_policy"));
    local_space = symbol(library, UNW_NAME("local_addr_space"));
    if (set_caching != NULL && local_space != NULL && !is_theirs) {
        (void)set_caching(*local_space, UNW_CACHE_NONE);
    }
    unw_flush = (unw_flush_fn *)(uintptr_t)symbol(library, UNW_NAME("flush_cache"));
    unw_space = local_space == NULL ? NULL : *local_space;
    atomic_store_release(&unw_backtrace, (unw_backtrace_fn *)(uintptr_t)backtrace);
    return true;
}

/* Where the code of the object is that was loaded there. */
static bool
find_code(uintptr_t base, uintptr_t *start, uintptr_t *end)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)base;
    const ElfW(Phdr) *ph = (const ElfW(Phdr) *)(base + header->e_phoff);

    for (size_t i = 0; i < header->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && (ph[i].p_flags & PF_X) != 0) {
            *start = base + ph[i].p_vaddr;
            *end = *start + ph[i].p_memsz;
            return true;
        }
    }
    return false;
}

static bool
find_libgcc(void)
{
    void *library = weak_dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    void *backtrace = symbol(library, "_Unwind_Backtrace");
    void *get_ip = symbol(library, "_Unwind_GetIP");
    Dl_info info;

    if (backtrace == NULL || get_ip == NULL || &weak_dladdr == NULL ||
        weak_dladdr(backtrace, &info) == 0 ||
        !find_code((uintptr_t)info.dli_fbase, &gcc_start, &gcc_end)) {
        return false;
    }
    gcc_get_ip = (gcc_get_ip_fn *)(uintptr_t)get_ip;
    atomic_store_release(&gcc_backtrace, (gcc_backtrace_fn *)(uintptr_t)backtrace);
    return true;
}

static void
find_linked(void)
{
    if (&weak_backtrace != NULL && &weak_get_ip != NULL) {
        gcc_get_ip = weak_get_ip;
        atomic_store_release(&gcc_backtrace, weak_backtrace);
    }
}

/* What a static program loads comes with a C library of its own, beside the program's. */
static void
find(enum unwind_how how)
{
    if (how == UNWIND_FRAME_POINTER) {
        return;
    }
    if (modules_are_static()) {
        if (how != UNWIND_LIBUNWIND) {
            find_linked();
        }
    } else if (&weak_dlopen != NULL && &weak_dlsym != NULL) {
        if (how != UNWIND_LIBUNWIND) {
            (void)find_libgcc();
        }
        if (how != UNWIND_LIBGCC) {
            (void)find_libunwind();
        }
    }
}

void
unwind_start(enum unwind_how how)
{
    static uint32_t started; /* atomic */
    uintptr_t addresses[8];
    const void *here = __builtin_frame_address(0);
    uint32_t none = 0;

    if (!atomic_cas_acquire(&started, &none, 1)) {
        return;
    }
    find(how);
    /* The first time it allocates, finds its tables, and asks the linker. */
    (void)unwind_stack(here, addresses, TIDE_ARRAY_LEN(addresses));
    frames_taken = FRAMES_UNTIL_CACHED;
    (void)unwind_stack(here, addresses, TIDE_ARRAY_LEN(addresses));
    frames_taken = 0;
}

void
unwind_forget(void)
{
    if (atomic_load_acquire(&unw_backtrace) != NULL && unw_flush != NULL && unw_space != NULL) {
        unw_flush(unw_space, 0, 0);
    }
}

const char *
unwind_name(void)
{
    if (atomic_load_relaxed(&unw_backtrace) != NULL) {
        return "libunwind";
    }
    return atomic_load_relaxed(&gcc_backtrace) != NULL ? "libgcc" : "frame-pointer";
}

/* Where the linker's code is; false: that is not known, as when it is run as a command. */
static bool
find_linker(uintptr_t *start, uintptr_t *end)
{
    uintptr_t base = getauxval(AT_BASE);

    return base != 0 && find_code(base, start, end);
}

bool
unwind_is_in_linker(const void *from)
{
    const uintptr_t *words = from;
    uintptr_t start;
    uintptr_t end;
    size_t count;

    if (modules_are_static()) {
        return false;
    }
    /* Nothing is asked of the kernel: the program may have given that up. */
    if (&weak_stack_end == NULL || (uintptr_t)weak_stack_end - (uintptr_t)from > STACK_BYTES_MAX ||
        !find_linker(&start, &end)) {
        return true;
    }
    count = min_zu(LINKER_SEARCH_BYTES, (uintptr_t)weak_stack_end - (uintptr_t)from);
    count /= sizeof(uintptr_t);
    for (size_t i = 0; i < count; i++) {
        if (words[i] - start < end - start) {
            return true;
        }
    }
    return false;
}

/* ---- libgcc ---------------------------------------------------------------------------------- */

struct trace {
    uintptr_t *addresses;
    size_t count;
    size_t max;
    bool is_whole; /* up to the thread's first frame, or to max */
};

/* Its return address is undefined, which reads as 0. At a frame without tables there is an address
 * and then no more calls. */
static int
take_frame(struct unwind_context *context, void *arg)
{
    struct trace *trace = arg;
    uintptr_t address = gcc_get_ip(context);

    if (address == 0 || trace->count == trace->max) {
        trace->is_whole = true;
        return 5; /* _URC_END_OF_STACK */
    }
    trace->addresses[trace->count++] = address;
    return 0;
}

/* Was malloc called by libgcc itself? It does so with a lock held that its unwinder takes, to sort
 * the frames that somebody registered (a compiler at run time). What of the stack lies in the next
 * os page is read by the kernel: this may be the last one. Unknown is yes. */
static bool
is_called_by_libgcc(const void *from)
{
    uintptr_t copy[CALLER_SEARCH_BYTES / sizeof(uintptr_t)];
    const uintptr_t *words = from;
    size_t count = TIDE_ARRAY_LEN(copy);

    if (gcc_start == 0) {
        return false; /* linked into a static program */
    }
#ifndef TIDE_SANITIZED
    if (align_up((uintptr_t)from + 1, OS_PAGE) - (uintptr_t)from < sizeof copy)
#endif
    {
        count = os_read_memory(from, copy, sizeof copy) / sizeof(uintptr_t);
        words = copy;
    }
    for (size_t i = 0; i < count; i++) {
        if (words[i] - gcc_start < gcc_end - gcc_start) {
            return true;
        }
    }
    return count == 0;
}

/* Frames; 0: none, or libunwind knows more. */
static size_t
walk_libgcc(gcc_backtrace_fn *backtrace, bool has_libunwind, uintptr_t *addresses, size_t max)
{
    struct trace trace = {.addresses = addresses, .max = max};

    (void)backtrace(take_frame, &trace);
    if (!has_libunwind) {
        return trace.count;
    }
    if (!trace.is_whole) { /* code without tables, which this thread will meet again */
        frames_taken = FRAMES_UNTIL_CACHED;
        return 0;
    }
    frames_taken += (uint32_t)trace.count;
    return trace.count;
}

/* ---- frame pointers -------------------------------------------------------------------------- */

/*
 * This library has none, and the callers' frame pointer may be anywhere among its registers on the
 * stack, or be none. So the first pair of words is searched that looks like a frame's: a pointer
 * further up the stack, and a return address in somebody's code. What lies in the os page that we
 * are in is read as it is; of the others the kernel makes a copy, and says so where the stack ends.
 */
struct window {
    uintptr_t at;
    size_t bytes;
    const uintptr_t *words;
    uintptr_t copy[WINDOW_BYTES / sizeof(uintptr_t)];
};

/* The two words there. */
static const uintptr_t *
peek(struct window *window, uintptr_t address)
{
    if (address - window->at >= window->bytes ||
        window->bytes - (address - window->at) < 2 * sizeof(uintptr_t)) {
        window->at = address;
        window->words = window->copy;
        window->bytes = os_read_memory((const void *)address, window->copy, sizeof window->copy);
        if (window->bytes < 2 * sizeof(uintptr_t)) {
            window->bytes = 0;
            return NULL;
        }
    }
    return &window->words[(address - window->at) / sizeof(uintptr_t)];
}

static bool
leads_up(uintptr_t from, uintptr_t to)
{
    return to > from && to - from <= FRAME_BYTES_MAX && to % sizeof(uintptr_t) == 0;
}

/* Does it come after a call? So that not everything that was once left on the stack counts. */
static bool
is_return_address(uintptr_t address)
{
    enum module_code what = modules_code_at(address);

    if (what == MODULE_NO_CODE) {
        return false;
    }
#ifdef __x86_64__
    unsigned char copy[CALL_BYTES_MAX];
    const unsigned char *code = (const unsigned char *)address;

    if (what == MODULE_LOOSE_CODE) { /* it may be gone any time */
        if (os_read_memory(code - sizeof copy, copy, sizeof copy) != sizeof copy) {
            return false;
        }
        code = copy + sizeof copy;
    }
    return code[-5] == 0xe8 || code[-2] == 0xff || code[-3] == 0xff || code[-6] == 0xff ||
           code[-7] == 0xff;
#else
    return true;
#endif
}

/* The first frame at or above the address, 0: there is none. *caller: the first return address
 * below it, which is malloc's own. */
static uintptr_t
find_frame(struct window *window, uintptr_t from, uintptr_t *caller)
{
    for (uintptr_t at = from; at < from + SEARCH_BYTES; at += sizeof(uintptr_t)) {
        const uintptr_t *pair = peek(window, at);

        if (pair == NULL) {
            break;
        }
        if (leads_up(at, pair[0]) && is_return_address(pair[1])) {
            return at;
        }
        if (*caller == 0 && is_return_address(pair[0])) {
            *caller = pair[0];
        }
    }
    return 0;
}

static size_t
walk_frame_pointers(uintptr_t from, uintptr_t *addresses, size_t max)
{
    struct window window = {.at = from, .words = (const uintptr_t *)from};
    uintptr_t caller = 0;
    const uintptr_t *pair;
    size_t count = 0;
    uintptr_t at;

#ifndef TIDE_SANITIZED
    window.bytes = align_up(from + 1, OS_PAGE) - from;
#endif
    at = find_frame(&window, from, &caller);
    if (caller != 0 && max > 0) {
        addresses[count++] = caller;
    }
    pair = at == 0 ? NULL : peek(&window, at);
    while (pair != NULL && pair[1] > OS_PAGE && count < max) {
        uintptr_t up = pair[0];

        addresses[count++] = pair[1];
        pair = leads_up(at, up) ? peek(&window, up) : NULL;
        at = up;
    }
    return count;
}

/* ---- all ------------------------------------------------------------------------------------- */

size_t
unwind_stack(const void *from, uintptr_t *addresses, size_t max)
{
    unw_backtrace_fn *unw = atomic_load_acquire(&unw_backtrace);
    gcc_backtrace_fn *gcc = atomic_load_acquire(&gcc_backtrace);
    size_t count = 0;

    if (gcc != NULL && (unw == NULL || frames_taken < FRAMES_UNTIL_CACHED) &&
        !is_called_by_libgcc(from)) {
        count = walk_libgcc(gcc, unw != NULL, addresses, max);
    }
    if (count == 0 && unw != NULL) {
        int got = unw((void **)addresses, (int)max);

        count = got > 0 ? (size_t)got : 0;
    }
    return count > 0 ? count : walk_frame_pointers((uintptr_t)from, addresses, max);
}
