/* SPDX-License-Identifier: MIT */
/*
 * The new-handler: called until it gives up by throwing or by taking itself off; memory it frees is
 * used; what it throws passes through operator new. Run under an address space limit.
 */
#include "check.h"
#include <new>
#include <stdexcept>
#include <vector>

static int calls;
static void *reserve;

static void
give_up_after_three()
{
    if (++calls == 3) {
        std::set_new_handler(nullptr);
    }
}

static void
throw_own()
{
    calls++;
    throw std::runtime_error("from the handler");
}

static void
free_reserve()
{
    calls++;
    if (reserve == nullptr) {
        throw std::bad_alloc();
    }
    ::operator delete(reserve);
    reserve = nullptr;
}

template <typename F>
static void
handler_is_asked(F f)
{
    calls = 0;
    std::set_new_handler(give_up_after_three);
    bool thrown = false;
    try {
        (void)hide(f());
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown && calls == 3, "thrown %d, handler called %d times", thrown, calls);
    calls = 0;
    std::set_new_handler(throw_own);
    thrown = false;
    try {
        (void)hide(f());
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    CHECK(thrown && calls == 1, "thrown %d, handler called %d times", thrown, calls);
    std::set_new_handler(nullptr);
}

static void
freed_memory_is_used()
{
    const std::size_t size = 24 << 20;
    std::set_new_handler(nullptr);
    reserve = ::operator new(size);
    memset(reserve, 1, size);
    std::vector<void *> all;
    all.reserve(10000);
    while (void *p = hide(::operator new(size, std::nothrow))) {
        all.push_back(p);
        CHECK(all.size() < 1000, "no limit in force");
    }
    CHECK(!all.empty());
    calls = 0;
    std::set_new_handler(free_reserve);
    void *p = nullptr;
    try {
        p = hide(::operator new(size));
    } catch (const std::bad_alloc &) {
    }
    CHECK(calls >= 1 && p != nullptr, "handler called %d times, answer %p", calls, p);
    ::operator delete(p);
    for (void *q : all) {
        ::operator delete(q);
    }
    std::set_new_handler(nullptr);
}

int
main(int, char **argv)
{
    reexec_limited(argv, RLIMIT_AS, 512);
    const std::size_t n = hide_size(SIZE_MAX / 2 + 1);
    const std::align_val_t a{64};
    handler_is_asked([=] { return ::operator new(n); });
    handler_is_asked([=] { return ::operator new[](n); });
    handler_is_asked([=] { return ::operator new(n, a); });
    handler_is_asked([=] { return ::operator new[](n, a); });
    freed_memory_is_used();
    return 0;
}
