// SPDX-License-Identifier: MIT
/*
 * Grows by 4 MiB for each of so many callers, which differ by the function they call and by where
 * they are; beyond ten of them on coroutines' stacks as well: callers N
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <ucontext.h>

enum { BLOCK = 24 << 10, BLOCKS = 170, LARGE = 4 << 20, STACKS = 40, STACK = 256 << 10 };

static void *
used(void *p, size_t size)
{
    if (p == nullptr) {
        std::puts("callers: no memory");
        std::exit(1);
    }
    std::memset(p, 1, size);
    return p;
}

#define MANY(call)                                                                                 \
    for (int i = 0; i < BLOCKS; i++) {                                                             \
        used(call, BLOCK);                                                                         \
    }

static void *
larger()
{
    void *p = std::malloc(16);

    return std::realloc(p, LARGE);
}

static void *
zeroed()
{
    return std::calloc(1, LARGE);
}

static ucontext_t here;

static void
on_a_stack()
{
    used(std::malloc(LARGE / 16), LARGE / 16);
}

static void
run_coroutines()
{
    for (int i = 0; i < STACKS; i++) {
        void *stack =
            mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ucontext_t there;

        getcontext(&there);
        there.uc_stack.ss_sp = stack;
        there.uc_stack.ss_size = STACK;
        there.uc_link = &here;
        makecontext(&there, on_a_stack, 0);
        swapcontext(&here, &there);
    }
}

int
main(int argc, char **argv)
{
    int count = argc > 1 ? std::atoi(argv[1]) : 1;

    if (count > 0)
        MANY(std::malloc(BLOCK));
    if (count > 1)
        MANY(std::malloc(BLOCK));
    if (count > 2)
        MANY(::operator new(BLOCK));
    if (count > 3)
        MANY(::operator new(BLOCK));
    if (count > 4)
        MANY(::operator new[](BLOCK));
    if (count > 5)
        MANY(std::calloc(1, BLOCK));
    if (count > 6)
        MANY(std::calloc(1, BLOCK));
    if (count > 7)
        MANY(std::realloc(nullptr, BLOCK));
    if (count > 8)
        used(larger(), LARGE);
    if (count > 9)
        used(zeroed(), LARGE);
    if (count > 10)
        used(std::aligned_alloc(4096, LARGE), LARGE);
    if (count > 11)
        run_coroutines();
    return 0;
}
