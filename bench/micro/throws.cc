/* SPDX-License-Identifier: MIT */
/*
 * throws.cc - C++ exceptions through frames with something to destroy, in one or more threads.
 *
 * Each round goes `frames` calls deep, throws there and catches at the top. With alloc=1 every
 * frame holds a string of 40 to 339 bytes and the thrower a message, so that blocks are allocated
 * on the way down and freed while the stack is unwound; with alloc=0 the frames hold only something
 * with a destructor, and the exception object is the only block. A profiler that unwinds stacks
 * shares the dynamic linker's lists, and perhaps its locks, with whoever throws.
 */
#include "bench.h"

#include <stdexcept>
#include <string>

static uint64_t threads = 1;
static uint64_t throws = 20000;
static uint64_t frames = 12;
static uint64_t alloc = 1;

namespace
{

/* Thrown where nothing is to be allocated but the exception object itself. */
struct plain {
    uint64_t tag;
};

/* Has to be destroyed on the way up: counts that it was. */
struct counted {
    uint64_t *count;
    explicit counted(uint64_t *where) : count(where)
    {
    }
    ~counted()
    {
        (*count)++;
    }
};

__attribute__((noinline)) uint64_t
descend_plain(uint64_t depth, uint64_t tag, uint64_t *destroyed)
{
    counted here(destroyed);

    if (depth == 0) {
        throw plain{tag};
    }
    return descend_plain(depth - 1, tag, destroyed) + 1;
}

__attribute__((noinline)) uint64_t
descend_alloc(uint64_t depth, uint64_t tag, uint64_t *destroyed)
{
    std::string kept(40 + (tag * 31 + depth * 17) % 300, 'x');
    counted here(destroyed);

    bench_escape(&kept[0]);
    if (depth == 0) {
        throw std::runtime_error("thrown at the bottom, round " + std::to_string(tag));
    }
    return descend_alloc(depth - 1, tag, destroyed) + kept.size();
}

/* What the round's exception said; the frames on its way are counted in destroyed. */
uint64_t
throw_once(uint64_t tag, uint64_t *destroyed)
{
    try {
        if (alloc != 0) {
            return descend_alloc(frames, tag, destroyed);
        }
        return descend_plain(frames, tag, destroyed);
    } catch (const plain &thrown) {
        return thrown.tag;
    } catch (const std::runtime_error &thrown) {
        return std::string(thrown.what()).size();
    }
}

void
run_thread(unsigned index, void *context)
{
    uint64_t *sums = static_cast<uint64_t *>(context);
    uint64_t destroyed = 0;
    uint64_t sum = 0;

    for (uint64_t round = 0; round < throws; round++) {
        sum += throw_once(round, &destroyed);
    }
    if (destroyed != throws * (frames + 1)) {
        bench_fail("%llu frames were destroyed, not %llu", (unsigned long long)destroyed,
                   (unsigned long long)(throws * (frames + 1)));
    }
    sums[index] = sum + destroyed;
}

} // namespace

int
main(int argc, char **argv)
{
    static uint64_t sums[BENCH_MAX_THREADS];
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads that throw", NULL},
        {"throws", &throws, 1, UINT32_MAX, "exceptions of each thread", NULL},
        {"frames", &frames, 0, 10000, "calls between the catcher and the thrower", NULL},
        {"alloc", &alloc, 0, 1, "whether the frames hold blocks", NULL},
        {NULL, NULL, 0, 0, NULL, NULL},
    };
    uint64_t checksum = 0;
    uint64_t busy_ns;

    bench_parse(argc, argv, "exceptions thrown through frames", params);
    busy_ns = bench_run_threads((unsigned)threads, run_thread, sums);
    for (uint64_t sum : sums) {
        checksum += sum;
    }
    bench_report(checksum, threads * throws, busy_ns);
    return 0;
}
