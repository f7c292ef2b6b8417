// SPDX-License-Identifier: MIT
// A program whose places are known: places.py reads them from its symbols and writes a profile.
#include <cstdlib>

namespace ocean
{
template <typename T> struct Wave {
    __attribute__((noinline)) T *crest(int n);
};

static inline __attribute__((always_inline)) void *
inner_allocation(int n)
{
    return malloc((size_t)n); // line: inner
}

template <typename T>
T *
Wave<T>::crest(int n)
{
    void *p = inner_allocation(n); // line: outer
    __asm__ volatile("" ::"r"(p));
    return (T *)p;
}
} // namespace ocean

extern "C" __attribute__((noinline)) int
recurse(int n)
{
    __asm__ volatile("");
    return n == 0 ? 1 : recurse(n - 1) + 1; // line: recurse
}

int
main()
{
    ocean::Wave<double> wave;
    free(wave.crest(recurse(3)));
    return 0;
}
