// SPDX-License-Identifier: MIT
// C++ operators for tool_trace.sh: 40 news and 40 deletes in all their forms. As a shared object
// (with PLUGIN) 40 of each in plugin().
#include <cstdlib>
#include <new>

struct alignas(64) wide {
    char bytes[100];
};
struct base {
    virtual ~base() = default;
    char bytes[50];
};

extern "C" void
plugin()
{
    void *volatile kept;

    for (int i = 0; i < 5; i++) {
        int *one = new int(i);
        char *many = new char[100 + i];
        wide *aligned = new wide;
        wide *row = new wide[3];
        base *derived = new base;
        int *nothing = new (std::nothrow) int[10];
        wide *quiet = new (std::nothrow) wide;
        void *none = ::operator new(0);

        kept = one;
        kept = many;
        kept = none;
        delete one;
        delete[] many;
        delete aligned;
        delete[] row;
        delete derived;
        delete[] nothing;
        delete quiet;
        ::operator delete(none);
    }
    (void)kept;
}

#ifndef PLUGIN
int
main()
{
    plugin();
    try {
        volatile std::size_t huge = static_cast<std::size_t>(-1) / 4;
        char *volatile never = new char[huge];
        (void)never;
    } catch (const std::bad_alloc &) {
        return 6;
    }
    return 1;
}
#endif
