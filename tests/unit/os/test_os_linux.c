/* SPDX-License-Identifier: MIT */
/*
 * os/os_linux: what each call promises, that none touches errno, and what happens to a feature
 * when its call is refused.
 */
#include "../unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "os/os.h"

#define ODD_ERRNO 4711

/* Runs it and checks that errno is untouched. */
#define keeping_errno(call)                                                                        \
    do {                                                                                           \
        errno = ODD_ERRNO;                                                                         \
        call;                                                                                      \
        require_eq(errno, ODD_ERRNO);                                                              \
    } while (0)

static char *
reserve(size_t size)
{
    char *p = NULL;

    keeping_errno(p = os_reserve(NULL, size));
    require(p != NULL);
    require_eq((uintptr_t)p % OS_PAGE, 0);
    return p;
}

static char *
committed(size_t size)
{
    char *p = reserve(size);

    keeping_errno(require_eq(os_commit(p, size), 0));
    return p;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void
touch(void *p)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile char *)p = 1;
}

static void
test_reserved_is_not_accessible_and_committed_is_zero(void **state)
{
    char *p = reserve(64 * OS_PAGE);

    (void)state;
    assert_int_not_equal(unit_child_status(touch, p, 10), 0);
    assert_int_equal(os_resident_range(p, 64 * OS_PAGE), 0);
    keeping_errno(require_eq(os_commit(p + OS_PAGE, 2 * OS_PAGE), 0));
    assert_int_not_equal(unit_child_status(touch, p, 10), 0);
    assert_int_not_equal(unit_child_status(touch, p + 3 * OS_PAGE, 10), 0);
    assert_int_equal(unit_child_status(touch, p + OS_PAGE, 10), 0);
    assert_true(unit_is_filled(p + OS_PAGE, 0, 2 * OS_PAGE));
    memset(p + OS_PAGE, 1, 2 * OS_PAGE);
    keeping_errno(os_unreserve(p, 64 * OS_PAGE));
}

static void
test_reserving_at_an_address_fails_where_something_is(void **state)
{
    char *p = reserve(16 * OS_PAGE);

    (void)state;
    keeping_errno(require_eq(os_reserve_at(p, OS_PAGE), EEXIST));
    keeping_errno(require_eq(os_reserve_at(p - OS_PAGE, 2 * OS_PAGE), EEXIST));
    os_unreserve(p + 8 * OS_PAGE, 8 * OS_PAGE);
    keeping_errno(require_eq(os_reserve_at(p + 8 * OS_PAGE, 8 * OS_PAGE), 0));
    assert_int_equal(os_commit(p, 16 * OS_PAGE), 0);
    memset(p, 1, 16 * OS_PAGE);
    os_unreserve(p, 16 * OS_PAGE);
}

static void
test_impossible_amounts_are_errors(void **state)
{
    (void)state;
    keeping_errno(require(os_reserve(NULL, (size_t)1 << 60) == NULL));
    keeping_errno(require_gt(os_commit((void *)OS_PAGE, OS_PAGE), 0)); /* nothing is there */
    keeping_errno(require_gt(os_renew((void *)OS_PAGE, (size_t)1 << 60), 0));
}

static void
test_purged_pages_are_gone_and_zero(void **state)
{
    char *p = committed(64 * OS_PAGE);

    (void)state;
    memset(p, 7, 64 * OS_PAGE);
    assert_int_equal(os_resident_range(p, 64 * OS_PAGE), 64 * OS_PAGE);
    keeping_errno(require_eq(os_purge(p + 8 * OS_PAGE, 16 * OS_PAGE), 0));
    assert_int_equal(os_resident_range(p, 64 * OS_PAGE), 48 * OS_PAGE);
    assert_int_equal(os_resident_range(p + 8 * OS_PAGE, 16 * OS_PAGE), 0);
    assert_true(unit_is_filled(p, 7, 8 * OS_PAGE));
    assert_true(unit_is_filled(p + 8 * OS_PAGE, 0, 16 * OS_PAGE));
    assert_true(unit_is_filled(p + 24 * OS_PAGE, 7, 40 * OS_PAGE));
    os_unreserve(p, 64 * OS_PAGE);
}

/* Every other one of 64 pages, by one call, and one by one where the kernel cannot. */
static void
purge_every_other_page(bool by_one_call)
{
    enum { PAGES = 64 };
    struct os_range ranges[PAGES / 2];
    char *p = committed(PAGES * OS_PAGE);

    memset(p, 7, PAGES * OS_PAGE);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(ranges); i++) {
        ranges[i] = (struct os_range){p + (2 * i + 1) * OS_PAGE, OS_PAGE};
    }
    if (!by_one_call) {
        unit_faults_begin("purge", EAGAIN, 3, 1);
        keeping_errno(require_eq(os_purge_ranges(ranges, TIDE_ARRAY_LEN(ranges)), EAGAIN));
        require_eq(unit_faults_end(), 1);
        require_eq(unit_faults.seen, PAGES / 2);
        require_eq(os_resident_range(p, PAGES * OS_PAGE), (PAGES / 2 + 1) * OS_PAGE);
        require_eq(ranges[2].size, 0);
        ranges[2].size = OS_PAGE;
        atomic_store_relaxed(&os_info.features,
                             os_info.features & ~(uint32_t)OS_FEATURE_PURGE_RANGES);
    }
    keeping_errno(require_eq(os_purge_ranges(ranges, TIDE_ARRAY_LEN(ranges)), 0));
    for (size_t i = 0; i < PAGES; i++) {
        require_eq(os_resident_range(p + i * OS_PAGE, OS_PAGE), i % 2 == 0 ? OS_PAGE : 0);
        require(unit_is_filled(p + i * OS_PAGE, i % 2 == 0 ? 7 : 0, OS_PAGE));
    }
    keeping_errno(require_eq(os_purge_ranges(ranges, 0), 0));
    os_unreserve(p, PAGES * OS_PAGE);
}

static void
purge_one_by_one(void *arg)
{
    (void)arg;
    purge_every_other_page(false);
}

static void
test_many_ranges_go_back_at_once_or_one_by_one(void **state)
{
    (void)state;
    purge_every_other_page(true);
    unit_child(purge_one_by_one, NULL);
}

/* Pages that are locked, the first among them: the others go, and the kernel is asked for many at
 * once later on, too. */
static void
purge_around_locked_pages(void *arg)
{
    char *p = committed(32 * OS_PAGE);
    struct os_range ranges[16];
    uint32_t before = os_info.features;

    (void)arg;
    memset(p, 7, 32 * OS_PAGE);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(ranges); i++) {
        ranges[i] = (struct os_range){p + 2 * i * OS_PAGE, OS_PAGE};
        /* Sanitizers make libc's function do nothing. */
        require(i % 7 != 0 || syscall(SYS_mlock, ranges[i].start, OS_PAGE) == 0);
    }
    keeping_errno(require_eq(os_purge_ranges(ranges, TIDE_ARRAY_LEN(ranges)), EINVAL));
    for (size_t i = 0; i < TIDE_ARRAY_LEN(ranges); i++) {
        require_eq(ranges[i].size, i % 7 == 0 ? 0 : OS_PAGE);
        require_eq(os_resident_range(p + 2 * i * OS_PAGE, OS_PAGE), i % 7 == 0 ? OS_PAGE : 0);
        require(unit_is_filled(p + 2 * i * OS_PAGE, i % 7 == 0 ? 7 : 0, OS_PAGE));
        require(unit_is_filled(p + (2 * i + 1) * OS_PAGE, 7, OS_PAGE));
    }
    require_eq(os_info.features, before);
}

static void
test_a_range_that_cannot_go_keeps_none_of_the_others(void **state)
{
    char *p = committed(3 * OS_PAGE);
    struct os_range ranges[] = {{p, OS_PAGE}, {p + 2 * OS_PAGE, OS_PAGE}};

    (void)state;
    require_eq(os_purge_ranges(ranges, TIDE_ARRAY_LEN(ranges)), 0); /* finds out an old kernel */
    if (syscall(SYS_mlock, p, 3 * OS_PAGE) != 0) {
        skip(); /* RLIMIT_MEMLOCK */
    }
    os_unreserve(p, 3 * OS_PAGE);
    unit_child(purge_around_locked_pages, NULL);
}

static void
test_populated_pages_are_there(void **state)
{
    char *p = committed(64 * OS_PAGE);
    int error = 0;

    (void)state;
    keeping_errno(error = os_populate(p + OS_PAGE, 60 * OS_PAGE));
    if (error != 0) { /* an old kernel: from now on they are touched */
        assert_false(os_has(OS_FEATURE_POPULATE_WRITE));
        assert_int_equal(os_populate(p + OS_PAGE, 60 * OS_PAGE), 0);
    }
    assert_int_equal(os_resident_range(p, 64 * OS_PAGE), 60 * OS_PAGE);
    assert_true(unit_is_filled(p, 0, 64 * OS_PAGE));
    os_unreserve(p, 64 * OS_PAGE);
}

static void
test_residency_is_counted_exactly(void **state)
{
    enum { PAGES = 1200 }; /* more than one call tells of */
    char *p = committed(PAGES * OS_PAGE);
    struct unit_random r = {9};
    size_t touched = 0;

    (void)state;
    for (size_t i = 0; i < PAGES; i++) {
        if (unit_below(&r, 3) == 0) {
            p[i * OS_PAGE] = 1;
            touched++;
        }
    }
    keeping_errno(require_eq(os_resident_range(p, PAGES * OS_PAGE), touched * OS_PAGE));
    os_unreserve(p, PAGES * OS_PAGE);
}

/* Mappings that overlap the range. */
static size_t
mappings_in(const char *start, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from;
    unsigned long to;
    char line[512];
    size_t n = 0;

    require(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from < (uintptr_t)start + size &&
            to > (uintptr_t)start) {
            n++;
        }
    }
    fclose(maps);
    return n;
}

static void
test_moved_pages_arrive_and_leave_zeros(void **state)
{
    char *from = committed(64 * OS_PAGE);
    char *to = committed(64 * OS_PAGE);
    int error = 0;

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        memset(from + i * OS_PAGE, (int)i + 1, OS_PAGE);
    }
    keeping_errno(error = os_move_pages(from + 16 * OS_PAGE, to + 8 * OS_PAGE, 32 * OS_PAGE));
    if (error != 0) {
        print_message("pages cannot be moved here: %s\n", strerror(error));
        assert_false(os_has(OS_FEATURE_MREMAP_DONTUNMAP));
        return;
    }
    assert_int_equal(os_resident_range(from, 64 * OS_PAGE), 32 * OS_PAGE);
    assert_int_equal(os_resident_range(to, 64 * OS_PAGE), 32 * OS_PAGE);
    for (size_t i = 0; i < 32; i++) {
        require(unit_is_filled(to + (8 + i) * OS_PAGE, (unsigned char)(17 + i), OS_PAGE));
    }
    assert_true(unit_is_filled(from + 16 * OS_PAGE, 0, 32 * OS_PAGE));
    memset(from, 1, 64 * OS_PAGE); /* both can still be written to */
    memset(to, 2, 64 * OS_PAGE);
    os_unreserve(from, 64 * OS_PAGE);
    os_unreserve(to, 64 * OS_PAGE);
}

static void
test_renewed_pages_are_fresh_and_merge(void **state)
{
    char *from = committed(64 * OS_PAGE);
    char *to = committed(64 * OS_PAGE);

    (void)state;
    memset(from, 3, 16 * OS_PAGE);
    (void)os_move_pages(from, to + 16 * OS_PAGE, 16 * OS_PAGE);
    keeping_errno(require_eq(os_renew(to + 16 * OS_PAGE, 16 * OS_PAGE), 0));
    assert_int_equal(os_resident_range(to, 64 * OS_PAGE), 0);
    assert_true(unit_is_filled(to, 0, 64 * OS_PAGE));
    assert_int_equal(mappings_in(to, 64 * OS_PAGE), 1);
    memset(to, 4, 64 * OS_PAGE);
    os_unreserve(from, 64 * OS_PAGE);
    os_unreserve(to, 64 * OS_PAGE);
}

static void
test_advice_about_huge_pages_is_only_advice(void **state)
{
    char *p = committed(8 << 20);

    (void)state;
    keeping_errno((void)os_advise_huge(p, 8 << 20, true));
    keeping_errno((void)os_advise_huge(p, 8 << 20, false));
    memset(p, 1, 3 * OS_PAGE);
    assert_int_equal(os_resident_range(p, 8 << 20), 3 * OS_PAGE);
    keeping_errno(os_name_range(p, 8 << 20, "tidemalloc"));
    os_unreserve(p, 8 << 20);
}

static void
test_resident_set_follows_touched_pages(void **state)
{
    const size_t size = (size_t)16 << 20;
    char *p = committed(size);
    size_t before = 0;
    size_t full = 0;
    size_t after = 0;

    (void)state;
    keeping_errno(before = os_rss_bytes());
    memset(p, 1, size);
    full = os_rss_bytes();
    require_eq(os_purge(p, size), 0);
    after = os_rss_bytes();
    if (before == 0) {
        print_message("there is no /proc\n");
        return;
    }
    /* The kernel counts per CPU and adds up now and then; sanitizers have a shadow of it all. */
    assert_true(full >= before + size - (2 << 20));
    assert_true(full >= after + size - (2 << 20));
    os_unreserve(p, size);
}

/* --- refused features: in children, since they stay refused ----------------------------------- */

struct refusal {
    const char *call;
    int error;
    enum os_feature feature;
    bool drops;
};

static void
refuse(void *arg)
{
    const struct refusal *refusal = arg;
    char *p = committed(16 * OS_PAGE);
    int first;

    memset(p, 5, 16 * OS_PAGE);
    require(os_has(refusal->feature));
    unit_faults_begin(refusal->call, refusal->error, 1, UINT32_MAX);
    if (refusal->feature == OS_FEATURE_DONTNEED) {
        keeping_errno(first = os_purge(p, OS_PAGE));
    } else {
        keeping_errno(first = os_populate(p, OS_PAGE));
    }
    require_eq(unit_faults_end(), 1);
    require_eq(first, refusal->error);
    require_eq(os_has(refusal->feature), !refusal->drops);
    require(unit_is_filled(p, 5, 16 * OS_PAGE));
    if (!refusal->drops) {
        return;
    }
    /* Not asked again: the caller is told, or it is done without. */
    unit_faults_begin(refusal->call, EIO, 1, UINT32_MAX);
    if (refusal->feature == OS_FEATURE_DONTNEED) {
        require_eq(os_purge(p, OS_PAGE), EPERM);
    } else {
        require_eq(os_purge(p + OS_PAGE, OS_PAGE), 0);
        require_eq(os_populate(p, 2 * OS_PAGE), 0);
        require_eq(os_resident_range(p + OS_PAGE, OS_PAGE), OS_PAGE);
        require(unit_is_filled(p, 5, OS_PAGE));
    }
    unit_faults_end();
    require_eq(unit_faults.seen, 0);
}

static void
test_a_feature_is_dropped_when_refused_and_not_when_it_failed(void **state)
{
    static const struct refusal refusals[] = {
        {"purge", EPERM, OS_FEATURE_DONTNEED, true},
        {"purge", ENOSYS, OS_FEATURE_DONTNEED, true},
        {"purge", EACCES, OS_FEATURE_DONTNEED, true},
        {"purge", EAGAIN, OS_FEATURE_DONTNEED, false},
        {"purge", ENOMEM, OS_FEATURE_DONTNEED, false},
        {"populate", EINVAL, OS_FEATURE_POPULATE_WRITE, true},
        {"populate", EPERM, OS_FEATURE_POPULATE_WRITE, true},
        {"populate", ENOMEM, OS_FEATURE_POPULATE_WRITE, false},
    };

    (void)state;
    for (size_t i = 0; i < TIDE_ARRAY_LEN(refusals); i++) {
        struct refusal refusal = refusals[i];

        unit_child(refuse, &refusal);
    }
}

static void
move_what_cannot_be_moved(void *arg)
{
    char *p = committed(16 * OS_PAGE);

    (void)arg;
    memset(p, 1, 16 * OS_PAGE);
    /* Onto itself: the kernel refuses the arguments, as an old one refuses the flag. */
    keeping_errno(require_gt(os_move_pages(p, p + OS_PAGE, 4 * OS_PAGE), 0));
    require(!os_has(OS_FEATURE_MREMAP_DONTUNMAP));
    keeping_errno(require_eq(os_move_pages(p, p + 8 * OS_PAGE, 4 * OS_PAGE), ENOSYS));
    require(unit_is_filled(p, 1, 16 * OS_PAGE));
}

static void
test_moving_is_dropped_when_the_kernel_cannot(void **state)
{
    (void)state;
    unit_child(move_what_cannot_be_moved, NULL);
}

static void
test_every_fallible_call_can_be_made_to_fail(void **state)
{
    char *p = committed(16 * OS_PAGE);

    (void)state;
    memset(p, 6, 16 * OS_PAGE);
    unit_faults_begin(NULL, ENOMEM, 1, UINT32_MAX);
    keeping_errno(require(os_reserve(NULL, OS_PAGE) == NULL));
    keeping_errno(require_eq(os_reserve_at(p, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_commit(p, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_purge(p, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_advise_huge(p, OS_PAGE, true), ENOMEM));
    keeping_errno(require_eq(os_populate(p, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_move_pages(p, p + 8 * OS_PAGE, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_renew(p, OS_PAGE), ENOMEM));
    keeping_errno(require_eq(os_thread_start(NULL, NULL), ENOMEM));
    assert_int_equal(unit_faults_end(), 9);
    assert_true(unit_is_filled(p, 6, 16 * OS_PAGE));
    os_unreserve(p, 16 * OS_PAGE);
}

/* --- what is found at the start --------------------------------------------------------------- */

static void
test_facts_about_the_machine(void **state)
{
    int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    char c = '0';

    (void)state;
    if (fd >= 0) {
        assert_int_equal(read(fd, &c, 1), 1);
        close(fd);
    }
    assert_int_equal(os_info.overcommit, c - '0');
    assert_int_equal(os_info.huge_page, os_has(OS_FEATURE_THP) ? 2 << 20 : 0);
    assert_true(!os_has(OS_FEATURE_THP_ALWAYS) || os_has(OS_FEATURE_THP));
    assert_true(os_has(OS_FEATURE_DONTNEED));
}

static void
look_under_limits(void *arg)
{
    struct rlimit limit = {(rlim_t)1 << 46, RLIM_INFINITY};

    (void)arg;
    require_eq(setrlimit(RLIMIT_AS, &limit), 0);
    keeping_errno(os_init());
    require_eq(os_info.address_limit, (size_t)1 << 46);
}

static void
test_limits_of_the_process_count(void **state)
{
    (void)state;
    unit_child(look_under_limits, NULL);
}

/* --- time, identity, waiting, threads --------------------------------------------------------- */

static void
note_tid(void *arg)
{
    *(int *)arg = os_tid();
}

static void
test_identity(void **state)
{
    uint64_t a = os_now_ns();
    int other = 0;

    (void)state;
    assert_int_equal(os_pid(), getpid());
    assert_int_equal(os_tid(), gettid());
    unit_on_thread(note_tid, &other);
    assert_int_not_equal(other, os_tid());
    assert_true(os_random() == os_random());
    assert_true(os_random() != 0);
    usleep(2000);
    assert_true(os_now_ns() - a >= 2000000);
}

static uint32_t word; /* atomic */
static uint32_t woken;

static void *
wait_on_word(void *arg)
{
    while (atomic_load_relaxed(&word) == 0) {
        os_futex_wait(&word, 0, 0);
    }
    atomic_add_relaxed(&woken, 1);
    return arg;
}

static void
test_futex_waits_times_out_and_wakes(void **state)
{
    uint32_t local = 5;
    uint64_t before = os_now_ns();
    pthread_t threads[3];

    (void)state;
    keeping_errno(os_futex_wait(&local, 4, 0)); /* at once: another value */
    keeping_errno(os_futex_wait(&local, 5, 20000000));
    assert_true(os_now_ns() - before >= 20000000);
    keeping_errno(os_futex_wake(&local, 1)); /* nobody */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_on_word, NULL), 0);
    }
    usleep(20000);
    assert_int_equal(atomic_load_relaxed(&woken), 0);
    atomic_store_relaxed(&word, 1);
    os_futex_wake(&word, 3);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(woken, 3);
}

struct started {
    uint32_t done;
    uint32_t signals; /* not blocked, of those that can be */
    char name[16];
    bool detached;
};

static void *
started_main(void *arg)
{
    struct started *s = arg;
    pthread_attr_t attr;
    sigset_t blocked;
    int detached = 0;

    keeping_errno(os_name_thread("tide-test"));
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    for (int i = 1; i < SIGRTMAX; i++) {
        bool reserved = i > SIGSYS && i < SIGRTMIN;

        if (i != SIGKILL && i != SIGSTOP && !reserved && sigismember(&blocked, i) == 0) {
            s->signals++;
        }
    }
    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getdetachstate(&attr, &detached);
        pthread_attr_destroy(&attr);
    }
    s->detached = detached == PTHREAD_CREATE_DETACHED;
    atomic_store_release(&s->done, 1);
    os_futex_wake(&s->done, 1);
    return NULL;
}

static void
test_started_threads_are_quiet(void **state)
{
    static struct started s;
    sigset_t before;
    sigset_t after;

    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    keeping_errno(require_eq(os_thread_start(started_main, &s), 0));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    while (atomic_load_acquire(&s.done) == 0) {
        os_futex_wait(&s.done, 0, 100000000);
    }
    assert_int_equal(s.signals, 0);
    assert_string_equal(s.name, "tide-test");
    assert_true(s.detached);
    for (int i = 1; i < SIGRTMAX; i++) {
        require_eq(sigismember(&before, i), sigismember(&after, i));
    }
    assert_true(os_has(OS_FEATURE_THREADS));
}

static void
test_write_writes_all_of_it(void **state)
{
    static char text[100000];
    static char got[100000];
    size_t n = 0;
    int ends[2];
    pid_t pid;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 26);
    }
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* more than a pipe holds: several writes */
        close(ends[0]);
        os_write(ends[1], text, sizeof text);
        _exit(0);
    }
    close(ends[1]);
    while (n < sizeof got) {
        ssize_t part = read(ends[0], got + n, sizeof got - n);

        if (part <= 0) {
            break;
        }
        n += (size_t)part;
    }
    close(ends[0]);
    waitpid(pid, NULL, 0);
    assert_int_equal(n, sizeof text);
    assert_memory_equal(text, got, sizeof text);
    keeping_errno(os_write(-1, text, 10)); /* nothing to be done about it */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserved_is_not_accessible_and_committed_is_zero),
        cmocka_unit_test(test_reserving_at_an_address_fails_where_something_is),
        cmocka_unit_test(test_impossible_amounts_are_errors),
        cmocka_unit_test(test_purged_pages_are_gone_and_zero),
        cmocka_unit_test(test_many_ranges_go_back_at_once_or_one_by_one),
        cmocka_unit_test(test_a_range_that_cannot_go_keeps_none_of_the_others),
        cmocka_unit_test(test_populated_pages_are_there),
        cmocka_unit_test(test_residency_is_counted_exactly),
        cmocka_unit_test(test_moved_pages_arrive_and_leave_zeros),
        cmocka_unit_test(test_renewed_pages_are_fresh_and_merge),
        cmocka_unit_test(test_advice_about_huge_pages_is_only_advice),
        cmocka_unit_test(test_resident_set_follows_touched_pages),
        cmocka_unit_test(test_a_feature_is_dropped_when_refused_and_not_when_it_failed),
        cmocka_unit_test(test_moving_is_dropped_when_the_kernel_cannot),
        cmocka_unit_test(test_every_fallible_call_can_be_made_to_fail),
        cmocka_unit_test(test_facts_about_the_machine),
        cmocka_unit_test(test_limits_of_the_process_count),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_futex_waits_times_out_and_wakes),
        cmocka_unit_test(test_started_threads_are_quiet),
        cmocka_unit_test(test_write_writes_all_of_it),
    };

    return cmocka_run_group_tests_name("os/linux", tests, unit_setup, NULL);
}
