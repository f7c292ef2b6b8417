/* SPDX-License-Identifier: MIT */
/*
 * profile/profile: samples are recorded and followed; what a thread that is inside allocates is
 * not, and what it frees is made up for; forks; files that cannot be written. Each case is a child.
 */
#include "../unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/random.h"
#include "heap/sample.h"
#include "profile/live.h"
#include "profile/modules.h"
#include "profile/profile.h"
#include "profile/record.h"
#include "profile/unwind.h"
#include "tidemalloc.h"

static void
start(void)
{
    tide_free(tide_malloc(1)); /* reads the options, which want no profile */
#ifdef UNIT_TSAN               /* whose threads end before libunwind's data of them do */
    profile_config.unwinder = UNWIND_FRAME_POINTER;
#endif
    profile_config.rate = 1;       /* all of them, each for itself alone */
    profile_config.keeper = false; /* a thread, which the thread sanitizer has not in children */
    require_eq(profile_start(false), 0);
    tide_free(tide_malloc(1)); /* the first one after a change goes by the rate before */
    tide_free(tide_malloc(100));
    tide_free(tide_malloc(5000));
}

static size_t
live_samples(void)
{
    size_t count;

    lock_acquire(&profile_lock);
    count = live_count_locked();
    lock_release(&profile_lock);
    return count;
}

static void
record_and_follow(void *arg)
{
    size_t before;
    int64_t bytes;
    void *p;
    void *large;

    (void)arg;
    require_eq(profile_write(1), ENODATA);
    require(!profile_exists());
    start();
    before = live_samples();
    bytes = site_totals.live_bytes;
    p = tide_malloc(100);
    large = tide_malloc(1 << 20);
    require_eq(live_samples(), before + 2);
    require_eq(site_totals.live_bytes, bytes + 100 + (1 << 20));
    p = tide_realloc(p, 5000);
    require_eq(site_totals.live_bytes, bytes + 5000 + (1 << 20));
    large = tide_realloc(large, 3 << 20);
    require_eq(site_totals.live_bytes, bytes + 5000 + (3 << 20));
    profile_stop();
    require(!profile_is_on() && profile_exists());
    tide_free(tide_malloc(100));
    tide_free(p);
    tide_free(large);
    require_eq(live_samples(), before);
    require_eq(site_totals.live_bytes, bytes);
}

static void
inside(void *arg)
{
    size_t before;
    uint64_t allocated;
    void *p;
    void *q;

    (void)arg;
    start();
    p = tide_malloc(100);
    before = live_samples();
    allocated = site_totals.allocated_milli;
    require(profile_enter());
    require(!profile_enter());
    q = tide_malloc(100);
    require_eq(site_totals.allocated_milli, allocated);
    require_eq(profile_write(1), EDEADLK);
    tide_free(p);
    require_eq(live_samples(), before); /* put off */
    tide_free(q);                       /* never recorded */
    profile_leave();
    p = tide_malloc(100); /* perhaps at the same address */
    require_eq(live_samples(), before);
    tide_free(p);
    require_eq(live_samples(), before - 1);
}

static void
fork_while_sampled(void *arg)
{
    void *p;
    pid_t child;
    int status;

    (void)arg;
    start();
    p = tide_malloc(100);
    child = fork();
    if (child == 0) {
        size_t before = live_samples();

        tide_free(p);
        require_eq(live_samples(), before - 1);
        p = tide_malloc(200);
        require_eq(live_samples(), before);
        require_eq(profile_write(memfd_create("test", 0)), 0);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    tide_free(p);
}

static void
write_files(void *arg)
{
    char name[64];
    char other[80];
    struct stat status;
    int full = open("/dev/full", O_WRONLY);

    (void)arg;
    start();
    require_eq(profile_write(full), ENOSPC);
    require_eq(profile_dump("/nonexistent/file"), ENOENT);
    snprintf(name, sizeof name, "/tmp/tide-test-%d.tide", getpid());
    require_eq(symlink("/dev/null", name), 0);
    require_eq(profile_dump(name), 0);
    unlink(name);
    require_eq(symlink("/proc/self/exe", name), 0);
    require_eq(profile_dump(name), ETXTBSY);
    unlink(name);
    snprintf(other, sizeof other, "%s.other", name);
    require_eq(symlink(other, name), 0);
    close(open(other, O_WRONLY | O_CREAT, 0600));
    require_eq(profile_dump(name), ELOOP); /* a file, through a link somebody put there */
    unlink(name);
    unlink(other);
    require_eq(profile_dump(name), 0);
    require_eq(profile_dump(name), 0);
    require(stat(name, &status) == 0 && (status.st_mode & 0777) == 0600 && status.st_size > 100);
    profile_config.secure = true;
    require_eq(profile_dump(name), EEXIST);
    unlink(name);
    require_eq(profile_dump(name), 0);
    unlink(name);
}

static void
test_samples_are_recorded_and_followed(void **state)
{
    (void)state;
    unit_child(record_and_follow, NULL);
}

static void
test_inside_nothing_is_recorded(void **state)
{
    (void)state;
    unit_child(inside, NULL);
}

static void
test_a_child_goes_on(void **state)
{
    (void)state;
    unit_child(fork_while_sampled, NULL);
}

static void
test_files_are_complete_or_not_there(void **state)
{
    (void)state;
    unit_child(write_files, NULL);
}

static uint32_t churning; /* atomic: threads that are not done */

static void *
churn(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    void *kept[32] = {NULL};

    for (size_t i = 0; i < 3000; i++) {
        void **p = &kept[random_next(&random) % 32];
        size_t size = random_next(&random) % 60000 + 1;

        if (i % 3 == 0) {
            *p = tide_realloc(*p, size);
        } else {
            tide_free(*p);
            *p = tide_malloc(size);
        }
    }
    for (size_t i = 0; i < 32; i++) {
        tide_free(kept[i]);
    }
    (void)atomic_sub_relaxed(&churning, 1);
    return NULL;
}

/* Last, and no child: the thread sanitizer cannot start threads there. */
static void
test_threads_and_dumps_side_by_side(void **state)
{
    pthread_t threads[4];
    int fd = memfd_create("test", 0);
    size_t before;

    (void)state;
    start();
    profile_set_rate(4096);
    profile_config.statistics = NULL; /* which looks into heaps without asking */
    before = live_samples();
    atomic_store_relaxed(&churning, 4);
    for (size_t i = 0; i < 4; i++) {
        require_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    do {
        require_eq(profile_write(fd), 0);
        profile_pass();
        modules_look();
    } while (atomic_load_relaxed(&churning) > 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    profile_stop();
    require_le(live_samples(), before + 4); /* libc keeps something of threads */
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_are_recorded_and_followed),
        cmocka_unit_test(test_inside_nothing_is_recorded),
        cmocka_unit_test(test_a_child_goes_on),
        cmocka_unit_test(test_files_are_complete_or_not_there),
        cmocka_unit_test(test_threads_and_dumps_side_by_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
