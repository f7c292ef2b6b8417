/* SPDX-License-Identifier: MIT */
/*
 * new (std::nothrow) asks the new-handler too, and answers nullptr when the handler throws
 * bad_alloc.
 */
#include "check.h"
#include <new>

static int calls;

static void
throw_bad_alloc()
{
    calls++;
    throw std::bad_alloc();
}

int
main()
{
    const std::size_t n = hide_size(SIZE_MAX / 2 + 1);
    std::set_new_handler(throw_bad_alloc);
    CHECK(hide(::operator new(n, std::nothrow)) == nullptr);
    CHECK(calls == 1, "handler called %d times", calls);
    CHECK(hide(::operator new[](n, std::nothrow)) == nullptr);
    CHECK(hide(::operator new (n, std::align_val_t{64}, std::nothrow)) == nullptr);
    CHECK(calls == 3, "handler called %d times", calls);
    return 0;
}
