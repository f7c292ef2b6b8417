/* SPDX-License-Identifier: MIT */
/*
 * heap/sample.h: every allocation has the same chance by its class, whatever way its block came:
 * pairs that go round in a bin, batches that fill and empty it, blocks that other threads freed,
 * chains, large ones. The weights of the samples estimate the number of allocations; with s samples
 * the estimate is off by the sqrt(s)-th part as a rule, and five times that is a fault.
 */
#include "audit.h"
#include "spans.h"

#include "base/random.h"
#include "heap/sample.h"

enum { RATE = 16384, LIVE_MAX = 1 << 16 };

static struct {
    uint64_t samples;
    double weights;
    double squares; /* of the weights: about the variance of their sum */
    double bytes;
    uint64_t freed;
    uint64_t moved;
    uint64_t strangers; /* freed or moved, and not sampled */
    void *live[LIVE_MAX];
    double weight[LIVE_MAX]; /* of the live ones */
    size_t live_count;
} seen;
static lock_t seen_lock;

static size_t
find(const void *p)
{
    size_t i = 0;

    while (i < seen.live_count && seen.live[i] != p) {
        i++;
    }
    return i;
}

static void
on_allocated(void *p, size_t size, double weight)
{
    lock_acquire(&seen_lock);
    seen.samples++;
    seen.weights += weight;
    seen.squares += weight * weight;
    seen.bytes += weight * (double)size;
    require(seen.live_count < LIVE_MAX);
    require_eq(find(p), seen.live_count);
    seen.weight[seen.live_count] = weight;
    seen.live[seen.live_count++] = p;
    lock_release(&seen_lock);
}

static void
forget(size_t i)
{
    seen.live_count--;
    seen.live[i] = seen.live[seen.live_count];
    seen.weight[i] = seen.weight[seen.live_count];
}

static void
on_freed(void *p)
{
    size_t i;

    lock_acquire(&seen_lock);
    i = find(p);
    seen.freed++;
    if (i == seen.live_count) {
        seen.strangers++;
    } else {
        forget(i);
    }
    lock_release(&seen_lock);
}

static void
on_moved(void *from, void *to, size_t size, double change)
{
    size_t i;

    (void)size;
    lock_acquire(&seen_lock);
    i = find(from);
    seen.moved++;
    if (i == seen.live_count) {
        seen.strangers++;
    } else if (change == 0) {
        forget(i);
    } else {
        seen.live[i] = to;
        seen.weight[i] *= change;
    }
    lock_release(&seen_lock);
}

static const heap_sampler_t counter = {on_allocated, on_freed, on_moved};

static void
start(size_t rate)
{
    tide_free(tide_malloc(1)); /* there is a heap: sanitized programs have none before */
    memset(&seen, 0, sizeof seen);
    heap_sample_start(&counter, rate);
    /* What is free by now was not drawn. */
    heap_let_go_all(heap_self());
    sample_follow(heap_self());
}

static void
stop(void)
{
    heap_sample_start(NULL, 0);
    sample_follow(heap_self());
}

/* The estimate of `count` allocations of one size is within five standard errors. */
static void
check_estimate(double count)
{
    bool near = (seen.weights - count) * (seen.weights - count) < 25 * seen.squares;

    if (!near) {
        dprintf(STDERR_FILENO, "%g allocations, estimated %g by %llu samples\n", count,
                seen.weights, (unsigned long long)seen.samples);
    }
    require(seen.samples > 100);
    require(near);
    require_eq(seen.strangers, 0);
}

static void
test_pairs(void **state)
{
    (void)state;
    for (size_t size = 16; size <= TIDE_SMALL_MAX; size *= 4) {
        size_t count = (size_t)RATE * 1000 / size;

        start(RATE);
        for (size_t i = 0; i < count; i++) {
            void *p = tide_malloc(size);

            *(volatile char *)p = 1;
            tide_free(p);
        }
        stop();
        check_estimate((double)count);
        require_eq(seen.live_count, 0);
        require_eq(seen.freed, seen.samples);
    }
}

/* A thread that allocates tens of gigabytes a second is sampled more rarely after a while, and
 * as right. It is sampled as others are when it has calmed down. */
static void
test_fast_threads_are_thinned(void **state)
{
    enum { SIZE = 32768, PAIRS = 2000000, RATE_FAST = 512 << 10 };
    uint64_t samples;

    (void)state;
    start(RATE_FAST);
    for (size_t i = 0; i < PAIRS; i++) {
        tide_free(tide_malloc(SIZE));
    }
    check_estimate(PAIRS);
    require_le(seen.samples, (uint64_t)PAIRS * SIZE / RATE_FAST / 4);
    require(heap_self()->pace.thinned > 0);
    for (unsigned i = 0; heap_self()->pace.thinned > 0; i++) {
        require(i < 1000);
        usleep(10000);
        for (samples = seen.samples; seen.samples < samples + 16;) {
            tide_free(tide_malloc(SIZE));
        }
    }
    stop();
}

static struct held held[20000];

static void
test_batches(void **state)
{
    static const size_t sizes[] = {16, 64, 208, 1024, 4096, 32768};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        unsigned c = size_class_of(sizes[s]);

        for (size_t n = 3; n <= 300; n *= 10) {
            size_t rounds = (size_t)RATE * 500 / sizes[s] / n + 1;

            start(RATE);
            for (size_t r = 0; r < rounds; r++) {
                take_blocks(held, n, c);
                free_blocks(held, n);
            }
            stop();
            check_estimate((double)(n * rounds));
            require_eq(seen.live_count, 0);
        }
    }
}

/* A live set whose blocks are replaced at random: frees go to bins and spans by turns. */
static void
test_random_replacement(void **state)
{
    enum { LIVE = 5000, OPS = 400000 };
    struct unit_random random = {5};

    (void)state;
    start(RATE);
    for (size_t i = 0; i < LIVE; i++) {
        held_alloc(&held[i], 208, 7);
    }
    for (size_t i = 0; i < OPS; i++) {
        size_t at = unit_below(&random, LIVE);

        held_free(&held[at]);
        held_alloc(&held[at], 208, (unsigned char)(i | 1));
    }
    check_estimate(LIVE + OPS);
    require_eq(seen.samples - seen.freed, seen.live_count);
    for (size_t i = 0; i < LIVE; i++) {
        held_free(&held[i]);
    }
    require_eq(seen.live_count, 0);
    stop();
}

static void
free_all(void *arg)
{
    size_t n = *(size_t *)arg;

    for (size_t i = 0; i < n; i++) {
        held_free(&held[i]);
    }
}

/* Another thread frees: by ring, by spans taken over, then by chains of open bins. */
static void
test_blocks_that_others_free(void **state)
{
    size_t n = 2000;
    struct unit_actor actor;
    size_t rounds = 300;

    (void)state;
    require_eq(unit_actor_start(&actor), 0);
    start(RATE);
    for (size_t r = 0; r < rounds; r++) {
        take_blocks(held, n, size_class_of(96));
        unit_actor_do(&actor, free_all, &n);
    }
    stop();
    check_estimate((double)(n * rounds));
    require_eq(seen.live_count, 0);
    unit_actor_end(&actor);
}

static void
resize_all(void *arg)
{
    void **blocks = arg;

    for (size_t i = 0; i < 64; i++) {
        size_t size = i % 2 == 0 ? 20 : 3000;
        unsigned char *p = tide_realloc(blocks[i], size);

        require(p != NULL);
        require(p[0] == i && p[size < 500 ? size - 1 : 499] == i);
        blocks[i] = p;
    }
}

/* A thread whose first call is realloc has no heap yet. */
static void
test_threads_that_begin_with_realloc(void **state)
{
    void *blocks[64];

    (void)state;
    start(1);
    for (unsigned turn = 0; turn < 20; turn++) {
        struct unit_actor actor;

        for (size_t i = 0; i < 64; i++) {
            blocks[i] = tide_malloc(500);
            memset(blocks[i], (int)i, 500);
        }
        require_eq(unit_actor_start(&actor), 0);
        unit_actor_do(&actor, resize_all, blocks);
        unit_actor_end(&actor);
        for (size_t i = 0; i < 64; i++) {
            tide_free(blocks[i]);
        }
    }
    stop();
    require_eq(seen.strangers, 0);
    require_eq(seen.live_count, 0);
}

static void
allocate_large(void *arg)
{
    size_t n = *(size_t *)arg;

    for (size_t i = 0; i < n; i++) {
        tide_free(tide_malloc(300000));
    }
}

/* Nor has one that never asks for anything but large blocks. */
static void
test_threads_with_large_blocks_only(void **state)
{
    size_t n = 50;

    (void)state;
    start(256 << 10);
    for (unsigned turn = 0; turn < 40; turn++) {
        struct unit_actor actor;

        require_eq(unit_actor_start(&actor), 0);
        unit_actor_do(&actor, allocate_large, &n);
        unit_actor_end(&actor);
    }
    stop();
    check_estimate(40 * (double)n);
}

/* A thread that is thinned allocates blocks that another one, which is not, drew when it freed
 * them, and the other way round. */
static void
test_marks_weigh_what_they_were_drawn_at(void **state)
{
    enum { N = 200, ROUNDS = 400, SIZE = 30000 };
    size_t n = N;
    struct unit_actor actor;

    (void)state;
    require_eq(unit_actor_start(&actor), 0);
    start(RATE << 3);
    for (unsigned r = 0; r < ROUNDS; r++) {
        heap_self()->pace.thinned = r / 50 % 2 == 0 ? 6 : 0;
        heap_self()->pace.credit = 1 << 20;
        heap_self()->pace.looked_ns = os_now_ns();
        sample_follow(heap_self());
        take_blocks(held, N, size_class_of(SIZE));
        unit_actor_do(&actor, free_all, &n);
    }
    stop();
    check_estimate(N * ROUNDS);
    unit_actor_end(&actor);
}

static void
test_large_blocks(void **state)
{
    enum { OPS = 3000 };
    static const size_t sizes[] = {40000, 100000, 300000, 3000000};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        start(256 << 10);
        for (size_t i = 0; i < OPS; i++) {
            tide_free(tide_malloc(sizes[s]));
        }
        stop();
        check_estimate(OPS);
        require_eq(seen.live_count, 0);
        require_eq(seen.freed, seen.samples);
    }
}

/* The sample goes with a block that realloc moves, from class to class and to large ones. */
static void
test_realloc_keeps_the_sample(void **state)
{
    size_t sampled = 0;

    (void)state;
    start(1024);
    for (size_t i = 0; i < 2000; i++) {
        uint64_t before = seen.samples;
        size_t at;
        unsigned char *p = tide_malloc(100);

        if (seen.samples == before) {
            tide_free(p);
            continue;
        }
        at = seen.live_count - 1;
        sampled++;
        for (size_t size = 100; size < 3000000; size *= 3) {
            memset(p, (int)(i | 1), size);
            p = tide_realloc(p, size * 3);
            require(unit_is_filled(p, (unsigned char)(i | 1), size));
            require(seen.live[at] == p);
        }
        p = tide_realloc(p, 50); /* small ones are sampled rarely: it may not be any more */
        require(seen.live_count == at || seen.live[at] == p);
        tide_free(p);
        require_eq(seen.live_count, at);
    }
    stop();
    require(sampled > 50);
    require_eq(seen.strangers, 0);
    require(seen.moved >= sampled * 9);
}

/* The weights of those that live, less how many there are, in standard deviations for blocks that
 * are sampled with probability 1 - exp(-size / rate). */
static double
live_deviation(double blocks, double size, double rate)
{
    double p = random_one_minus_exp(size / rate);
    double off = -blocks;

    for (size_t i = 0; i < seen.live_count; i++) {
        off += seen.weight[i];
    }
    return off * off / (blocks * (1 / p - 1));
}

/* Whatever way they came to their size, blocks of a size are sampled alike. */
static void
test_resized_blocks_are_not_counted_twice(void **state)
{
    enum { BLOCKS = 4000, SAMPLE_RATE = 65536 };
    static const size_t sizes[] = {300, 2000, 30000, 60000, 100000, 40000, 20000, 600};
    static void *blocks[BLOCKS];

    (void)state;
    start(SAMPLE_RATE);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = tide_malloc(100);
    }
    for (size_t s = 0; s < TIDE_ARRAY_LEN(sizes); s++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = tide_realloc(blocks[i], sizes[s]);
        }
        require(live_deviation(BLOCKS, (double)sizes[s], SAMPLE_RATE) < 25);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        tide_free(blocks[i]);
    }
    stop();
    require_eq(seen.live_count, 0);
    require_eq(seen.strangers, 0);
}

static void
test_aligned_and_zeroed_blocks_are_sampled(void **state)
{
    (void)state;
    start(1024);
    for (size_t i = 0; i < 3000; i++) {
        unsigned char *zeroed = tide_calloc(1, 300);
        void *aligned = tide_aligned_alloc(256, 256);

        require(unit_is_filled(zeroed, 0, 300));
        require_eq((uintptr_t)aligned % 256, 0);
        memset(zeroed, 1, 300);
        tide_free(zeroed);
        tide_free(aligned);
    }
    stop();
    check_estimate(6000);
    require_eq(seen.live_count, 0);
}

/* Off again: no more samples, and those that live are followed to their end. */
static void
test_samples_outlive_sampling(void **state)
{
    enum { N = 1000 };
    uint64_t samples;

    (void)state;
    start(1024);
    take_blocks(held, N, size_class_of(512));
    stop();
    samples = seen.samples;
    require(samples > 100);
    require_eq(seen.live_count, samples);
    take_blocks(held + N, N, size_class_of(512));
    free_blocks(held, 2 * N);
    require_eq(seen.samples, samples);
    require_eq(seen.live_count, 0);
}

/* What a sampled block's end is checked for is what any block's is. */
static void
test_errors_in_sampled_blocks_are_told(void **state)
{
    size_t count;
    void *p;

    (void)state;
    start(64);
    do {
        p = tide_malloc(64);
        count = seen.live_count;
    } while (count == 0);
    require(heap_pointer_error(p, space_span_of(p)) == NULL);
    require(heap_pointer_error((char *)p + 16, space_span_of(p)) != NULL);
    require_eq(tide_malloc_usable_size(p), 64);
    tide_free(p);
    p = unit_hide(p);
    require(heap_pointer_error(p, space_span_of(p)) != NULL);
    stop();
}

enum { BATCH = 32 };

/* A batch that was taken and freed comes again, latest first, until a sample is among it, or a look
 * at the bin has changed the order: how many came. */
static size_t
take_batch_again(void *blocks[BATCH], void *again[BATCH], size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < BATCH; i++) {
        blocks[i] = tide_malloc(size);
    }
    for (size_t i = BATCH; i-- > 0;) {
        tide_free(blocks[i]);
    }
    while (count < BATCH) {
        again[count] = tide_malloc(size);
        if (again[count] != blocks[count]) {
            return count + 1;
        }
        count++;
    }
    return count;
}

/* While a sample lives the drawn block is not handed out, and others come in the order that they
 * would have; when it is gone, by free or by realloc, the drawn block comes. Unless just then there
 * was a look at the bin: not one time in four. */
static void
test_a_drawn_block_stands_in_for_its_sample(void **state)
{
    enum { SIZE = 80, TIMES = 40 };
    void *blocks[BATCH], *again[BATCH];
    unsigned samples = 0;
    unsigned as_expected = 0;

    (void)state;
    start(RATE);
    while (samples < TIMES) {
        size_t count = take_batch_again(blocks, again, SIZE);
        size_t at = count - 1;

        if (count < BATCH && seen.live_count == 1 && seen.live[0] == again[at]) {
            void *next = tide_malloc(SIZE);
            bool in_order = next == blocks[at + 1];

            require(next != blocks[at]);
            tide_free(next);
            if (samples++ % 2 == 0) {
                tide_free(again[at]);
            } else {
                tide_free(tide_realloc(again[at], TIDE_SMALL_MAX));
            }
            again[at] = tide_malloc(SIZE);
            as_expected += in_order && again[at] == blocks[at];
        }
        for (size_t i = 0; i < count; i++) {
            tide_free(again[i]);
        }
        require_eq(seen.live_count, 0);
    }
    require_ge(as_expected, TIMES * 3 / 4);
    stop();
}

/* A bin in balance may go long without a look, and takes too much then: that goes home. */
static void
test_what_a_bin_took_too_many_of_goes_home(void **state)
{
    enum { N = 6000 };
    unsigned c = size_class_of(64);

    (void)state;
    take_blocks(held, N, c);
    for (size_t i = 0; i < 100000; i++) {
        tide_free(tide_malloc(64));
    }
    free_blocks(held, N);
    require_le(list_length(heap_self()->bins[c].head),
               OS_PAGE / 64 + 3 * (uint32_t)size_classes[c].bin_limit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_fast_threads_are_thinned),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_random_replacement),
        cmocka_unit_test(test_blocks_that_others_free),
        cmocka_unit_test(test_threads_that_begin_with_realloc),
        cmocka_unit_test(test_threads_with_large_blocks_only),
        cmocka_unit_test(test_marks_weigh_what_they_were_drawn_at),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_realloc_keeps_the_sample),
        cmocka_unit_test(test_resized_blocks_are_not_counted_twice),
        cmocka_unit_test(test_aligned_and_zeroed_blocks_are_sampled),
        cmocka_unit_test(test_samples_outlive_sampling),
        cmocka_unit_test(test_errors_in_sampled_blocks_are_told),
        cmocka_unit_test(test_a_drawn_block_stands_in_for_its_sample),
        cmocka_unit_test(test_what_a_bin_took_too_many_of_goes_home),
    };

    return cmocka_run_group_tests_name("heap/sample", tests, unit_setup, NULL);
}
