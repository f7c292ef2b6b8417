/* SPDX-License-Identifier: MIT */
/*
 * For profile_chi.sh: COUNT blocks from each of some call sites of different kinds, which stay:
 * inlined into two callers, a template, recursion, a thread, calloc, realloc, a plug-in
 * (argv[1]), and code made at run time. Sizes tell which site a block should be of.
 */
#include "check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include <vector>

#define SITE __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

static const size_t COUNT = 2000;

static inline __attribute__((always_inline)) void *
inlined(size_t size)
{
    return hide(new char[size]);
}

SITE static void *
caller_one()
{
    return inlined(200);
}

SITE static void *
caller_two()
{
    return inlined(300);
}

template <size_t size>
SITE static void *
templated()
{
    return hide(new char[size]);
}

SITE static void *
recursive(unsigned depth)
{
    return depth == 0 ? hide(new char[500]) : hide(recursive(depth - 1));
}

SITE static void *
zeroed()
{
    return hide(calloc(3, 200));
}

/* 60, 240, and 700 bytes in the end. */
SITE static void *
grown()
{
    void *p = hide(malloc(60));

    p = hide(realloc(p, 240));
    return hide(realloc(p, 700));
}

SITE static void *
in_thread()
{
    return hide(new char[800]);
}

static void *
thread_runs(void *)
{
    for (size_t i = 0; i < COUNT; i++) {
        in_thread();
    }
    return nullptr;
}

/* void *code(void *(*allocate)(size_t), size_t size) { return allocate(size); } */
typedef void *code_fn(void *(*)(size_t), size_t);

static code_fn *
make_code()
{
#ifdef __x86_64__
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5,  /* push %rbp; mov %rsp, %rbp */
                                         0x48, 0x89, 0xf8,        /* mov %rdi, %rax */
                                         0x48, 0x89, 0xf7,        /* mov %rsi, %rdi */
                                         0xff, 0xd0, 0x5d, 0xc3}; /* call *%rax; pop %rbp; ret */
#else
    /* stp x29, x30, [sp, -16]!; mov x29, sp; mov x2, x0; mov x0, x1; blr x2; ldp ...; ret */
    static const uint32_t code[] = {0xa9bf7bfd, 0x910003fd, 0xaa0003e2, 0xaa0103e0,
                                    0xd63f0040, 0xa8c17bfd, 0xd65f03c0};
#endif
    char *memory =
        (char *)mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED);
    memcpy(memory, code, sizeof code);
    CHECK(mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0);
    __builtin___clear_cache(memory, memory + sizeof code);
    return (code_fn *)memory;
}

SITE static void *
generated(code_fn *code)
{
    return hide(code(malloc, 900));
}

int
main(int, char **argv)
{
    void *library = dlopen(argv[1], RTLD_NOW);
    void *(*plugin)(size_t) = nullptr;
    code_fn *code = make_code();
    pthread_t thread;

    CHECK(library != nullptr);
    plugin = (void *(*)(size_t))dlsym(library, "plugin_one");
    CHECK(plugin != nullptr);
    CHECK(pthread_create(&thread, nullptr, thread_runs, nullptr) == 0);
    for (size_t i = 0; i < COUNT; i++) { /* one after the other: they share bins and the clock */
        caller_one();
        caller_two();
        templated<400>();
        recursive(12);
        zeroed();
        grown();
        hide(plugin(1000));
        generated(code);
    }
    pthread_join(thread, nullptr);
    return 0;
}
