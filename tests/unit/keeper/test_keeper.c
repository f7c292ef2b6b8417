/* SPDX-License-Identifier: MIT */
/*
 * keeper/keeper: what a trim and a pass give back, when the thread comes, what the counters say.
 * Passes run in children: each has its own clock, thread and counters.
 */
#include "../heap/spans.h"

#define MIB ((size_t)1 << 20)
#define HELD_MAX 8192u

static struct held held[HELD_MAX];

/* Blocks of one large size, all their pages used. */
static void
hold_large(struct held *blocks, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        blocks[i] = (struct held){tide_malloc(size), size, 1};
        require(blocks[i].p != NULL);
        memset(blocks[i].p, 1, size);
    }
}

static size_t
resident(void)
{
    return os_resident_range(chunk_address(0), space.frontier << CHUNK_SHIFT);
}

static void
pause_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* --- trim ------------------------------------------------------------------------------------- */

static void
test_trim_gives_back_all_free_memory(void **state)
{
    size_t before;
    size_t got;

    (void)state;
    (void)keeper_trim();
    before = resident();
    hold_large(held, 20, MIB);
    free_blocks(held, 20);
    assert_true(resident() >= before + 19 * MIB);
    got = keeper_trim();
    assert_true(got >= 20 * MIB);
    assert_true(resident() <= before + MIB / 4);
    assert_int_equal(arena_counters.free_dirty_slices, 0);
    assert_int_equal(keeper_trim(), 0); /* nothing is left */
}

static void
test_trim_gives_back_holes_and_own_spans(void **state)
{
    unsigned c = fresh_class(512);
    size_t n = (size_t)size_classes[c].capacity * 10;
    size_t before;

    (void)state;
    before = resident();
    take_blocks(held, n, c);
    for (size_t i = 0; i < n; i++) {
        if (i % 64 != 0) { /* a page in eight stays */
            held_free(&held[i]);
        }
    }
    assert_true(keeper_trim() > 0);
    assert_true(resident() <= before + n * 512 / 4);
    assert_null(heap_self()->classes[c].current);
    audit(held, n);
    free_blocks(held, n);
    assert_int_equal(audit_span_count(), 0);
}

static void
hold_and_end(void *arg)
{
    (void)arg;
    take_blocks(held, 100, size_class_of(1024));
    free_blocks(&held[1], 99);
}

static void
test_trim_dissolves_orphans(void **state)
{
    uint64_t orphans = 0;

    (void)state;
    (void)fresh_class(1024);
    unit_on_thread(hold_and_end, NULL);
    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        orphans += h->state == HEAP_ORPHAN;
    }
    assert_true(orphans > 0);
    (void)keeper_trim();
    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        require(h->state != HEAP_ORPHAN);
    }
    assert_true(held_is_whole(&held[0]));
    free_blocks(held, 1);
}

static void
trim_often(void *arg)
{
    const uint32_t *stop = arg;

    while (atomic_load_relaxed(stop) == 0) {
        (void)keeper_trim();
    }
}

static void *
trim_main(void *arg)
{
    trim_often(arg);
    return NULL;
}

static void
test_trims_of_several_threads_go_together(void **state)
{
    static uint32_t stop;
    pthread_t threads[2];
    struct unit_random r = {2};

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, trim_main, &stop), 0);
    }
    for (int i = 0; i < 20000; i++) {
        struct held *h = &held[unit_below(&r, 500)];

        if (h->p == NULL) {
            held_alloc(h, 16 + unit_below(&r, 5000), (unsigned char)(i | 1));
        } else {
            held_free(h);
        }
    }
    atomic_store_relaxed(&stop, 1);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    free_blocks(held, 500);
}

/* --- passes without a thread ------------------------------------------------------------------ */

static void
configure(uint32_t interval_ms, uint32_t window_ms, size_t spare)
{
    keeper_config.interval_ms = interval_ms;
    keeper_config.window_ms = window_ms;
    keeper_config.spare_bytes = spare;
    keeper_config.threshold_bytes = 0;
}

static void
pass_by(void *arg)
{
    uint64_t passes = keeper_counters.passes;
    uint64_t purged;
    size_t most = (MIB + CHUNK_BYTES) >> SLICE_SHIFT; /* the spare */

    (void)arg;
    (void)keeper_trim();
    purged = arena_counters.purged_bytes;
    configure(60000, 1000, MIB);
    heap_poke_keeper(); /* the first one ever */
    require_eq(keeper_counters.passes, passes + 1);
    heap_poke_keeper(); /* not again within the interval */
    require_eq(keeper_counters.passes, passes + 1);
    keeper_config.interval_ms = 20;
    hold_large(held, 16, MIB);
    pause_ms(25);
    heap_poke_keeper();
    free_blocks(held, 16);
    pause_ms(25);
    heap_poke_keeper(); /* the peak is recent: all is kept */
    require_eq(arena_counters.purged_bytes, purged);
    require_eq(keeper_counters.advised, 0);
    for (int i = 0; i < 400 && arena_counters.free_dirty_slices > most; i++) {
        pause_ms(25);
        heap_poke_keeper();
    }
    require_le(arena_counters.free_dirty_slices, most); /* a window later */
    require_ge(keeper_counters.applied, 1);
    require_ge(arena_counters.purged_bytes - purged, 13 * MIB);
    require_ge(keeper_counters.advised, 1);
    require_eq(keeper_counters.tried, keeper_counters.advised);
    require_eq(keeper_counters.thread_starts, 0);
    require(!keeper_is_running());
}

static void
test_passes_are_made_in_passing_when_there_is_no_thread(void **state)
{
    (void)state;
    unit_child(pass_by, NULL);
}

static void
want_it_back(void *arg)
{
    uint64_t purged;
    uint64_t regretted;

    (void)arg;
    (void)keeper_trim(); /* nothing else to give back meanwhile */
    purged = arena_counters.purged_bytes;
    configure(10, 400, 0);
    keeper_config.window_ms = 0; /* give back at once */
    hold_large(held, 16, MIB);
    free_blocks(held, 16);
    pause_ms(15);
    heap_poke_keeper();
    require_ge(arena_counters.purged_bytes - purged, 15 * MIB);
    keeper_config.window_ms = 400;
    regretted = keeper_counters.regretted;
    hold_large(held, 40, MIB); /* and wanted again within the window */
    pause_ms(15);
    heap_poke_keeper();
    require_eq(keeper_counters.regretted, regretted + 1);
    pause_ms(15);
    heap_poke_keeper(); /* counted once */
    require_eq(keeper_counters.regretted, regretted + 1);
    free_blocks(held, 40);
}

static void
test_memory_wanted_back_soon_is_regretted(void **state)
{
    (void)state;
    unit_child(want_it_back, NULL);
}

static void
keep_everything(void *arg)
{
    uint64_t purged = arena_counters.purged_bytes;

    (void)arg;
    configure(5, 0, 0);
    keeper_config.purge = false;
    hold_large(held, 8, MIB);
    free_blocks(held, 8);
    for (int i = 0; i < 10; i++) {
        pause_ms(6);
        heap_poke_keeper();
    }
    require_ge(keeper_counters.passes, 5);
    require_eq(arena_counters.purged_bytes, purged);
    require_eq(keeper_counters.advised, 0);
    require_ge(keeper_trim(), 8 * MIB); /* but when asked to */
}

static void
test_nothing_is_given_back_unasked_when_purging_is_off(void **state)
{
    (void)state;
    unit_child(keep_everything, NULL);
}

/* Spans with survivors are cooled a window after their last change, unless told not to. */
static void
cool_old_spans(void *arg)
{
    const bool *wanted = arg;
    span_t *span;

    configure(10, 50, 0);
    (void)fresh_class(256);
    heap_poke_keeper();
    keeper_config.hole_purge = *wanted;
    span = make_let_go(fresh_class(256), held, 3);
    pause_ms(12);
    heap_poke_keeper();
    require_eq(unit_state(span), SPAN_POOLED); /* too young */
    for (int i = 0; i < 12; i++) {
        pause_ms(12);
        heap_poke_keeper();
    }
    require_eq(unit_state(span), *wanted ? SPAN_COLD : SPAN_POOLED);
    audit(held, 3);
    free_blocks(held, 3);
}

static void
test_old_spans_are_cooled_if_wanted(void **state)
{
    bool wanted = true;

    (void)state;
    unit_child(cool_old_spans, &wanted);
    wanted = false;
    unit_child(cool_old_spans, &wanted);
}

static void
stay_small(void *arg)
{
    (void)arg;
    configure(1, 0, 0);
    keeper_config.threshold_bytes = 64 * MIB;
    keeper_config.background = true;
    for (int i = 0; i < 20; i++) {
        hold_large(held, 8, MIB);
        free_blocks(held, 8);
        pause_ms(2);
        heap_poke_keeper();
    }
    require_eq(keeper_counters.passes, 0);
    require_eq(keeper_counters.thread_starts, 0);
}

static void
test_a_small_process_is_left_alone(void **state)
{
    (void)state;
    unit_child(stay_small, NULL);
}

/* --- the thread ------------------------------------------------------------------------------- */

static int
thread_count(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    int n = -1;

    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "Threads: %d", &n) == 1) {
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return n;
}

static void
grow_and_idle(void *arg)
{
    size_t full;
    int threads = thread_count();

    (void)arg;
    configure(20, 100, MIB);
    keeper_config.threshold_bytes = 24 * MIB;
    keeper_config.background = true;
    hold_large(held, 20, MIB);
    require(!keeper_is_running());
    require_eq(keeper_counters.thread_starts, 0);
    hold_large(&held[20], 20, MIB);
    free_blocks(&held[39], 1); /* a slow path after the threshold was passed */
    require_eq(keeper_counters.thread_starts, 1);
    full = resident();
    free_blocks(held, 39);
    for (int i = 0; i < 200 && resident() > full / 4; i++) {
        pause_ms(20); /* nobody allocates or frees: it comes by itself */
    }
    require_le(resident(), full / 4);
    require(keeper_is_running());
    require(threads < 0 || thread_count() == threads + 1);
    require_eq(keeper_counters.thread_starts, 1);
}

static void
test_the_thread_comes_late_and_works_alone(void **state)
{
    (void)state;
    unit_child(grow_and_idle, NULL);
}

/* When all is quiet it sleeps without end, and is woken when there is work again. */
static void
sleep_and_wake(void *arg)
{
    uint64_t passes;
    size_t full;

    (void)arg;
    configure(5, 30, 0);
    keeper_config.background = true;
    hold_large(held, 10, MIB);
    free_blocks(held, 10);
    do { /* until it makes no more passes */
        passes = atomic_load_relaxed(&keeper_counters.passes);
        pause_ms(300);
    } while (atomic_load_relaxed(&keeper_counters.passes) != passes);
    require_gt(passes, 0);
    hold_large(held, 10, MIB);
    full = resident();
    free_blocks(held, 10);
    for (int i = 0; i < 200 && resident() > full / 2; i++) {
        pause_ms(20);
    }
    require_le(resident(), full / 2);
}

static void
test_the_thread_sleeps_when_all_is_quiet(void **state)
{
    (void)state;
    unit_child(sleep_and_wake, NULL);
}

static void
be_refused(void *arg)
{
    uint64_t purged = arena_counters.purged_bytes;

    (void)arg;
    configure(5, 0, 0);
    keeper_config.background = true;
    unit_faults_begin("thread", EAGAIN, 1, UINT32_MAX);
    hold_large(held, 10, MIB);
    free_blocks(held, 10);
    for (int i = 0; i < 10; i++) {
        pause_ms(6);
        heap_poke_keeper();
    }
    require_eq(unit_faults_end(), 1); /* asked for once */
    require(!keeper_is_running());
    require_ge(keeper_counters.passes, 5); /* done in passing */
    require_ge(arena_counters.purged_bytes - purged, 9 * MIB);
}

static void
test_without_a_thread_the_work_is_done_in_passing(void **state)
{
    (void)state;
    unit_child(be_refused, NULL);
}

static void
child_of_a_kept_process(void *arg)
{
    uint64_t starts = keeper_counters.thread_starts;

    (void)arg;
    require(!keeper_is_running());
    tide_free(tide_malloc(100 * 1024));
    require_eq(keeper_counters.thread_starts, starts); /* it has to grow first */
    hold_large(&held[100], 60, MIB);
    free_blocks(&held[100], 60);
    require_eq(keeper_counters.thread_starts, starts + 1);
    for (int i = 0; i < 200 && !keeper_is_running(); i++) {
        pause_ms(10);
    }
    require(keeper_is_running());
    free_blocks(held, 20);
    (void)keeper_trim();
}

static void
fork_with_thread(void *arg)
{
    (void)arg;
    configure(5, 100, 0);
    keeper_config.threshold_bytes = 16 * MIB;
    keeper_config.background = true;
    hold_large(held, 30, MIB);
    free_blocks(&held[29], 1);
    for (int i = 0; i < 200 && !keeper_is_running(); i++) {
        pause_ms(10);
    }
    require(keeper_is_running());
    unit_pid = getpid(); /* a parent itself now */
    require_eq(unit_child_status(child_of_a_kept_process, NULL, 30), 0);
    require(keeper_is_running());
}

static void
test_a_forked_child_starts_its_own_when_it_grows(void **state)
{
    (void)state;
    if (UNIT_TSAN) {
        print_message("not with the thread sanitizer\n");
        return;
    }
    unit_child(fork_with_thread, NULL);
}

/* The C library ends a process with its last thread: that must not be the keeper's. */
static void
end_main_thread(void *arg)
{
    (void)arg;
    configure(5, 100, 0);
    keeper_config.background = true;
    hold_large(held, 4, MIB);
    free_blocks(held, 4);
    for (int i = 0; i < 500 && !keeper_is_running(); i++) {
        pause_ms(10);
    }
    require(keeper_is_running());
    pthread_exit(NULL);
}

static void
test_the_thread_does_not_outlive_the_others(void **state)
{
    (void)state;
    if (UNIT_TSAN) { /* which has a thread of its own */
        print_message("not with the thread sanitizer\n");
        return;
    }
    assert_true(WIFEXITED(unit_child_status(end_main_thread, NULL, 30))); /* by itself */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trim_gives_back_all_free_memory),
        cmocka_unit_test(test_trim_gives_back_holes_and_own_spans),
        cmocka_unit_test(test_trim_dissolves_orphans),
        cmocka_unit_test(test_trims_of_several_threads_go_together),
        cmocka_unit_test(test_passes_are_made_in_passing_when_there_is_no_thread),
        cmocka_unit_test(test_memory_wanted_back_soon_is_regretted),
        cmocka_unit_test(test_nothing_is_given_back_unasked_when_purging_is_off),
        cmocka_unit_test(test_old_spans_are_cooled_if_wanted),
        cmocka_unit_test(test_a_small_process_is_left_alone),
        cmocka_unit_test(test_the_thread_comes_late_and_works_alone),
        cmocka_unit_test(test_the_thread_sleeps_when_all_is_quiet),
        cmocka_unit_test(test_without_a_thread_the_work_is_done_in_passing),
        cmocka_unit_test(test_the_thread_does_not_outlive_the_others),
        cmocka_unit_test(test_a_forked_child_starts_its_own_when_it_grows),
    };

    return cmocka_run_group_tests_name("keeper", tests, unit_setup, NULL);
}
