/* SPDX-License-Identifier: MIT */
/*
 * crossfree.c - loops of allocations with some blocks freed by the neighbour, in the manner of
 * rptest.
 *
 * Each loop of a thread makes `blocks` blocks with exponentially falling sizes, frees a scattered
 * part at once, gives another part to the next thread (one compare-and-swap for the whole chain,
 * linked through the blocks) and keeps the rest for the following loop. What the thread before has
 * sent is taken with one exchange and freed. With one thread it sends to itself. The threads meet
 * every few loops, so that nobody's mail grows because he was not scheduled.
 */
#define _GNU_SOURCE
#include "bench.h"

enum { MEET_EVERY = 8 };

struct parcel {
    struct parcel *next;
    size_t size;
};

struct mailbox {
    _Alignas(BENCH_CACHE_LINE) struct parcel *head; /* atomic(acq_rel): any thread */
};

static uint64_t threads = 2;
static uint64_t loops = 400;
static uint64_t blocks = 5000;
static uint64_t min_size = 16;
static uint64_t max_size = 16000;
static uint64_t give_one_in = 4;

static pthread_barrier_t meeting;
static struct mailbox boxes[BENCH_MAX_THREADS];
static uint64_t sums[BENCH_MAX_THREADS];

static struct parcel *
make_parcel(struct bench_random *random)
{
    size_t size = bench_random_size(random, min_size, max_size);
    struct parcel *parcel = bench_malloc(size);

    bench_touch(parcel, size, size);
    parcel->size = size;
    if (size > sizeof(*parcel)) {
        ((unsigned char *)parcel)[size - 1] = (unsigned char)size;
    }
    return parcel;
}

static uint64_t
release(struct parcel *parcel)
{
    size_t size = parcel->size;

    if (size < min_size || size > max_size ||
        (size > sizeof(*parcel) && ((unsigned char *)parcel)[size - 1] != (uint8_t)size)) {
        bench_fail("a block lost its contents");
    }
    free(parcel);
    return size;
}

static void
send_chain(struct mailbox *box, struct parcel *first, struct parcel *last)
{
    last->next = __atomic_load_n(&box->head, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&box->head, &last->next, first, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
}

static uint64_t
take_mail(struct mailbox *box)
{
    struct parcel *parcel = __atomic_exchange_n(&box->head, NULL, __ATOMIC_ACQUIRE);
    uint64_t sum = 0;

    while (parcel != NULL) {
        struct parcel *next = parcel->next;

        sum += release(parcel);
        parcel = next;
    }
    return sum;
}

/* One loop over the slots: every block has its fate by its number, the same in every run. */
static uint64_t
run_loop(struct parcel **slots, uint64_t loop, unsigned index, struct bench_random *random)
{
    struct parcel *first = NULL;
    struct parcel *last = NULL;
    uint64_t sum = take_mail(&boxes[index]);

    for (uint64_t at = 0; at < blocks; at++) {
        if (slots[at] != NULL) {
            sum += release(slots[at]);
        }
        slots[at] = make_parcel(random);
    }
    for (uint64_t at = 0; at < blocks; at++) {
        uint64_t fate = (at * 7 + loop) % (give_one_in * 2);

        if (fate == 0 || fate == 3) {
            slots[at]->next = first;
            last = first == NULL ? slots[at] : last;
            first = slots[at];
            slots[at] = NULL;
        } else if (fate % 2 == 1) {
            sum += release(slots[at]);
            slots[at] = NULL;
        }
    }
    if (first != NULL) {
        send_chain(&boxes[(index + 1) % threads], first, last);
    }
    return sum;
}

static void
worker(unsigned index, void *context)
{
    struct bench_random random = bench_random_seed(index + 1);
    struct parcel **slots = bench_pages(blocks * sizeof(*slots));
    uint64_t sum = 0;

    (void)context;
    for (uint64_t loop = 0; loop < loops; loop++) {
        sum += run_loop(slots, loop, index, &random);
        if (loop % MEET_EVERY == 0) {
            pthread_barrier_wait(&meeting);
        }
    }
    for (uint64_t at = 0; at < blocks; at++) {
        sum += slots[at] != NULL ? release(slots[at]) : 0;
    }
    sums[index] = sum;
}

int
main(int argc, char **argv)
{
    const struct bench_param params[] = {
        {"threads", &threads, 1, BENCH_MAX_THREADS, "threads in a ring", NULL},
        {"loops", &loops, 1, UINT32_MAX, "loops per thread", NULL},
        {"blocks", &blocks, 1, 1u << 26, "blocks per loop", NULL},
        {"min", &min_size, 16, 1u << 24, "smallest size", NULL},
        {"max", &max_size, 16, 1u << 24, "greatest size", NULL},
        {"give", &give_one_in, 2, 1000, "one block in this many goes to the neighbour", NULL},
        {0},
    };
    uint64_t busy_ns;
    uint64_t sum = 0;

    bench_parse(argc, argv, "loops of allocations with some freed by the neighbour", params);
    if (min_size > max_size) {
        bench_fail("min is above max");
    }
    pthread_barrier_init(&meeting, NULL, (unsigned)threads);
    busy_ns = bench_run_threads((unsigned)threads, worker, NULL);
    for (uint64_t at = 0; at < threads; at++) {
        sum += sums[at] + take_mail(&boxes[at]);
    }
    bench_report(sum, loops * blocks * threads, busy_ns);
    return 0;
}
