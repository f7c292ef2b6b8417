/* SPDX-License-Identifier: MIT */
/*
 * Destructors of thread_local objects, of statics and of thread-specific data allocate and free, in
 * threads and in the main thread, after the allocator's own thread destructor may have run.
 */
#include "check.h"
#include <map>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

static pthread_key_t keys[4];
static int key_calls;

struct Busy {
    std::map<int, std::string> m;
    void
    fill(int n)
    {
        for (int i = 0; i < n; i++) {
            m[i] = std::string(static_cast<std::size_t>(i % 500), 'x');
        }
    }
    ~Busy()
    {
        std::vector<std::string> more;
        for (int i = 0; i < 300; i++) {
            more.emplace_back(static_cast<std::size_t>(i * 7), 'y');
        }
        for (const auto &entry : m) {
            CHECK(entry.second.size() == static_cast<std::size_t>(entry.first % 500));
        }
        m.clear();
        fill(20);
    }
};

static Busy at_exit_object;
static thread_local Busy thread_object;

/* Sets its own value again, so that it is called in all rounds; each time with fresh memory. */
static void
key_destructor(void *p)
{
    __atomic_add_fetch(&key_calls, 1, __ATOMIC_RELAXED);
    unsigned char *block = static_cast<unsigned char *>(p);
    int round = block[0];
    unsigned key = block[1];
    CHECK_PATTERN(block + 2, 1000, static_cast<uint64_t>(round));
    void *large = hide(std::malloc(200000));
    memset(large, 1, 200000);
    std::free(block);
    std::free(large);
    if (round < 3) {
        block = static_cast<unsigned char *>(std::malloc(1002));
        block[0] = static_cast<unsigned char>(round + 1);
        block[1] = static_cast<unsigned char>(key);
        pattern_fill(block + 2, 1000, static_cast<uint64_t>(round + 1));
        pthread_setspecific(keys[key], block);
    }
}

static void
thread_work()
{
    thread_object.fill(200);
    for (unsigned k = 0; k < 4; k++) {
        unsigned char *block = static_cast<unsigned char *>(std::malloc(1002));
        block[0] = 0;
        block[1] = static_cast<unsigned char>(k);
        pattern_fill(block + 2, 1000, 0);
        pthread_setspecific(keys[k], block);
    }
}

int
main()
{
    at_exit_object.fill(300);
    thread_object.fill(300);
    for (auto &key : keys) {
        CHECK(pthread_key_create(&key, key_destructor) == 0);
    }
    const int count = 400;
    std::size_t after_warm_up = 0;
    for (int i = 0; i < count; i++) {
        std::thread a(thread_work), b(thread_work);
        a.join();
        b.join();
        if (i == count / 4) {
            after_warm_up = rss_kib();
        }
    }
    CHECK(key_calls == count * 2 * 4 * 4, "%d calls", key_calls);
    CHECK(rss_kib() < after_warm_up + 6000, "%zu KiB early, %zu KiB late", after_warm_up,
          rss_kib());
    return 0;
}
