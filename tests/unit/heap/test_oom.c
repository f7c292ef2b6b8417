/* SPDX-License-Identifier: MIT */
/*
 * Exhaustion anywhere: a scenario of all kinds of allocation runs once for each call to the
 * kernel it makes, and that call fails (alone, with the next ones, or with all that follow). Each
 * allocation then gives a usable block or NULL and ENOMEM, every block keeps its bytes, and when
 * the kernel is willing again everything works.
 */
#include "audit.h"

#define BLOCKS 700u
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define NOT_REACHED 3 /* exit code: the scenario makes fewer calls */

struct scenario {
    uint32_t nth;
    uint32_t times;
    bool background; /* with the keeper's thread */
    bool quiet;      /* no thread of the test's own */
    bool large;      /* the first block of all is; then there may be no heap yet */
};

static struct held blocks[BLOCKS];
static size_t nulls; /* allocations that failed */

/* --- the steps -------------------------------------------------------------------------------- */

static void
touch_ends(struct held *h)
{
    size_t ends = min_zu(h->size, 64);

    memset(h->p, h->mark, ends);
    memset(h->p + h->size - ends, h->mark, ends);
}

static bool
ends_are_whole(const struct held *h)
{
    size_t ends = min_zu(h->size, 64);

    return unit_is_filled(h->p, h->mark, ends) &&
           unit_is_filled(h->p + h->size - ends, h->mark, ends);
}

/* The allocation p of `size` bytes (errno was 0 before) goes to h. */
static void
book(struct held *h, void *p, size_t size, int error)
{
    if (p == NULL) {
        require_eq(error, ENOMEM);
        nulls++;
        return;
    }
    require_eq((uintptr_t)p % 16, 0);
    *h = (struct held){p, size, (unsigned char)(size % 250 + 1)};
    touch_ends(h);
}

static void
step_alloc(struct held *h, size_t size)
{
    void *p;

    errno = 0;
    p = tide_malloc(size);
    book(h, p, size, errno);
}

static void
step_zeroed(struct held *h, size_t size)
{
    char *p;

    errno = 0;
    p = tide_calloc(1, size);
    for (size_t at = 0; p != NULL && at < size; at += 4096) {
        require_eq(p[at], 0);
    }
    book(h, p, size, errno);
}

static void
step_aligned(struct held *h, size_t align, size_t size)
{
    void *p;

    errno = 0;
    p = tide_aligned_alloc(align, size);
    require_eq((uintptr_t)p % align, 0);
    book(h, p, size, errno);
}

static void
step_resize(struct held *h, size_t size)
{
    size_t keep = min_zu(min_zu(h->size, size), 64);
    unsigned char *p;

    if (h->p == NULL) {
        return;
    }
    errno = 0;
    p = tide_realloc(h->p, size);
    if (p == NULL) {
        require_eq(errno, ENOMEM);
        require_gt(size, h->size); /* shrinking never fails */
        nulls++;
        return;
    }
    require(unit_is_filled(p, h->mark, keep));
    *h = (struct held){p, size, h->mark};
    touch_ends(h);
}

static void
step_free(struct held *h)
{
    if (h->p != NULL) {
        require(ends_are_whole(h));
        tide_free(h->p);
        h->p = NULL;
    }
}

static void
check_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        require(blocks[i].p == NULL || ends_are_whole(&blocks[i]));
    }
}

static void *
thread_main(void *arg)
{
    struct held *own = arg;

    for (size_t i = 0; i < 40; i++) {
        step_free(&own[i]); /* blocks of the other thread */
        step_alloc(&own[i], 64 * (i + 1));
    }
    return NULL;
}

static void
step_thread(struct held *own)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, thread_main, own);

    if (error == 0) {
        pthread_join(thread, NULL);
    } else { /* its own memory could not be had */
        require(error == EAGAIN || error == ENOMEM);
        nulls++;
    }
}

static void
play(const struct scenario *s)
{
    for (size_t i = 0; i < 400; i++) {
        step_alloc(&blocks[i], 16 + i * i % 3000);
    }
    for (size_t i = 400; i < 460; i++) {
        step_alloc(&blocks[i], 8 * KIB + i * 331 % (24 * KIB));
    }
    step_alloc(&blocks[500], 100 * KIB);
    step_zeroed(&blocks[501], MIB);
    step_aligned(&blocks[502], 64 * KIB, 10 * KIB);
    step_aligned(&blocks[503], 4 * MIB, 3 * MIB);
    step_aligned(&blocks[504], 1024, 5000);
    step_alloc(&blocks[505], 300 * KIB);
    step_alloc(&blocks[506], 300 * KIB); /* in the way */
    for (size_t size = 400 * KIB; size < 12 * MIB; size *= 2) {
        step_resize(&blocks[505], size);
    }
    step_alloc(&blocks[507], 40 * MIB);
    step_free(&blocks[507]);
    check_all();
    if (!s->quiet) {
        step_thread(&blocks[100]);
        step_thread(&blocks[150]);
    }
    for (size_t i = 0; i < 460; i++) {
        if (i % 9 != 0) {
            step_free(&blocks[i]);
        }
    }
    step_free(&blocks[506]);
    (void)tide_trim();
    check_all();
    for (size_t i = 0; i < 460; i++) {
        if (blocks[i].p == NULL) {
            step_alloc(&blocks[i], 16 + i * 37 % 5000);
        } else {
            step_resize(&blocks[i], blocks[i].size * 3 / 2);
        }
    }
    step_resize(&blocks[501], 5 * MIB);
    step_resize(&blocks[501], 50 * KIB);
    step_zeroed(&blocks[507], 3 * MIB);
    step_resize(&blocks[505], 20 * KIB);
    for (size_t i = 510; i < 530; i++) { /* more than is accessible so far */
        step_alloc(&blocks[i], 4 * MIB);
    }
    check_all();
    (void)tide_trim();
}

/* All is well again: what failed works, and everything can be given back but the `lost` bytes of
 * address space. */
static void
play_on(size_t lost)
{
    size_t before;

    nulls = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].p == NULL) {
            step_alloc(&blocks[i], 1 + i * 97 % 40000);
        }
    }
    require_eq(nulls, 0);
    check_all();
    before = arena_counters.used_slices;
    for (size_t i = 0; i < BLOCKS; i++) {
        step_free(&blocks[i]);
    }
    (void)tide_trim();
    (void)heap_dissolve_orphans(unit_now_tick());
    (void)tide_trim();
    require_le(arena_counters.used_slices, before / 8 + (lost >> SLICE_SHIFT));
}

static void
run_scenario(void *arg)
{
    const struct scenario *s = arg;
    uint32_t failed;

    memset(blocks, 0, sizeof blocks);
    if (tide_init_once() == 0 && !s->background) {
        keeper_config.background = false;
        keeper_config.threshold_bytes = SIZE_MAX;
    }
    unit_faults_begin(NULL, ENOMEM, s->nth, s->times);
    play(s);
    failed = unit_faults_end();
    if (failed == 0) {
        require_eq(nulls, 0);
        play_on(0);
        _exit(NOT_REACHED);
    }
    if (s->times == 1) { /* one refusal, one allocation at most that fails for it */
        require_le(nulls, 1);
    }
    /* A refused move whose target cannot be renewed either costs the target's addresses. */
    play_on(s->times == 1 ? 0 : 64 * MIB);
}

/* --- the loops -------------------------------------------------------------------------------- */

/* How many calls there were; each `step`th of them was made to fail. */
static uint32_t
run_all(struct scenario s, uint32_t step)
{
    uint32_t runs = 0;

    step *= UNIT_TSAN ? 5 : 1;
    for (s.nth = 1;; s.nth += step) {
        int status = unit_child_status(run_scenario, &s, 30);

        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_REACHED) {
            return runs;
        }
        if (status != 0) {
            dprintf(STDERR_FILENO, "call %u of the scenario failed (%u times)\n", s.nth, s.times);
            require_eq(status, 0);
        }
        runs = s.nth;
        require_le(runs, 5000);
    }
}

static void
test_each_call_fails_once(void **state)
{
    uint32_t runs = run_all((struct scenario){.times = 1}, 1);

    (void)state;
    print_message("%u calls\n", runs);
    assert_true(runs >= 30);
}

static void
test_each_call_fails_with_the_next_three(void **state)
{
    (void)state;
    assert_true(run_all((struct scenario){.times = 4}, 2) >= 30);
}

static void
test_from_each_call_on_all_fail(void **state)
{
    (void)state;
    assert_true(run_all((struct scenario){.times = UINT32_MAX}, 2) >= 30);
}

static void
test_calls_fail_under_the_keepers_eyes(void **state)
{
    (void)state;
    (void)run_all((struct scenario){.times = 3, .background = true}, 7);
}

/* In a process that has not used the library: the first calls are those of its initialisation. */
static void
initialise_starving(void *arg)
{
    const struct scenario *s = arg;

    unit_faults_begin(NULL, ENOMEM, s->nth, s->times);
    for (size_t i = 0; i < BLOCKS; i++) {
        step_alloc(&blocks[i], i == 0 && s->large ? 100 * KIB : 1 + i * 53 % 3000);
    }
    if (unit_faults_end() == 0) {
        _exit(NOT_REACHED);
    }
    require(s->times > 1 || nulls <= 1);
    check_all();
    if (nulls < BLOCKS) {
        play_on(0);
    }
}

static void
initialise_with(struct scenario s)
{
    for (s.nth = 1; s.nth < 100; s.nth++) {
        int status = unit_child_status(initialise_starving, &s, 30);

        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_REACHED) {
            break;
        }
        require_eq(status, 0);
    }
    require(s.nth > 2 && s.nth < 100);
    s.nth = 1;
    s.times = UINT32_MAX;
    unit_child(initialise_starving, &s);
    require_eq(space.base, 0); /* all of it was in children */
}

static void
test_initialisation_fails_clearly(void **state)
{
    (void)state;
    if (space.base != 0) {
        print_message("the process was initialised before main: not tested\n");
        return;
    }
    initialise_with((struct scenario){.times = 1});
    initialise_with((struct scenario){.times = 1, .large = true});
}

static int
setup_nothing(void **state)
{
    (void)state;
    unit_pid = getpid();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initialisation_fails_clearly),
        cmocka_unit_test(test_each_call_fails_once),
        cmocka_unit_test(test_each_call_fails_with_the_next_three),
        cmocka_unit_test(test_from_each_call_on_all_fail),
        cmocka_unit_test(test_calls_fail_under_the_keepers_eyes),
    };

    return cmocka_run_group_tests_name("heap/oom", tests, setup_nothing, NULL);
}
