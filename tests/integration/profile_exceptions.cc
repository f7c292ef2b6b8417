// SPDX-License-Identifier: MIT
// Exceptions thrown and allocations sampled side by side, by several threads, through frames whose
// destructors free: each is caught with what it carries, and no other unwinder took libgcc's place.
// only: tide
// conf: profile:true,profile_rate:256
#include "check.h"
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int
thrower(int depth, int seed)
{
    std::string kept(static_cast<size_t>(40 + seed % 300), 'x');
    if (depth == 0) {
        throw std::runtime_error("number " + std::to_string(seed));
    }
    return thrower(depth - 1, seed + 1) + static_cast<int>(kept.size());
}

static void
run(int id)
{
    for (int i = 0; i < 3000; i++) {
        std::vector<std::string> parts;
        try {
            for (int n = 0;; n++) {
                parts.push_back(std::string(static_cast<size_t>(100 + n), 'y'));
                if (n == i % 20) {
                    thrower(i % 30, i);
                }
            }
        } catch (const std::runtime_error &e) {
            CHECK(std::string(e.what()) == "number " + std::to_string(i + i % 30));
            CHECK(parts.size() == static_cast<size_t>(i % 20) + 1 && id >= 0);
        }
    }
}

int
main()
{
    Dl_info info;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back(run, i);
    }
    for (auto &t : threads) {
        t.join();
    }
    void *unwind = dlsym(RTLD_DEFAULT, "_Unwind_RaiseException");
    CHECK(unwind != nullptr && dladdr(unwind, &info) != 0);
    CHECK(strstr(info.dli_fname, "libgcc_s") != nullptr, "%s", info.dli_fname);
    return 0;
}
