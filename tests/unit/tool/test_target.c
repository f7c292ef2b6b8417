/* SPDX-License-Identifier: MIT */
/*
 * tool/target: pages that lie, are cut off, or change while they are read; answers that are not
 * what the page says. The process that is looked at is the test itself, with pages of its own
 * making.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "tool/target.h"

enum { FIGURES = 40, MUTATIONS = 200000 };

static int page_fd;
static struct page_head *page;
static struct target target;

static struct page_figure *
figure(size_t i)
{
    return (struct page_figure *)(void *)(page + 1) + i;
}

static int
make_page(void **state)
{
    (void)state;
    (void)prctl(PR_SET_NAME, "tide-keeper"); /* whose files are looked at */
    page_fd = memfd_create(PAGE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(page_fd, PAGE_BYTES), 0);
    page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    memcpy(page->magic, PAGE_MAGIC, PAGE_MAGIC_BYTES);
    page->version = PAGE_VERSION;
    page->head_bytes = sizeof *page;
    page->figure_bytes = sizeof(struct page_figure);
    page->pid = getpid();
    page->flags = PAGE_ANSWERS | PAGE_HAS_PROFILE;
    page->figure_count = FIGURES;
    for (size_t i = 0; i < FIGURES; i++) {
        snprintf(figure(i)->name, sizeof figure(i)->name, "figure_%zu", i);
        figure(i)->value = i;
    }
    return 0;
}

static int
drop_page(void **state)
{
    (void)state;
    target_close(&target);
    munmap(page, PAGE_BYTES);
    close(page_fd);
    return 0;
}

static void
expect_open(void)
{
    if (!target_open(&target, getpid())) {
        fail_msg("%s", target.problem);
    }
}

static void
expect_not_open(enum target_state state, const char *problem)
{
    assert_false(target_open(&target, getpid()));
    assert_int_equal(target.state, state);
    if (strstr(target.problem, problem) == NULL) {
        fail_msg("'%s' is not in '%s'", problem, target.problem);
    }
    target_close(&target);
}

static void
test_figures_are_found_by_name(void **state)
{
    uint64_t value = 0;

    (void)state;
    expect_open();
    assert_true(target_figure(&target, "figure_39", &value));
    assert_int_equal(value, 39);
    assert_false(target_figure(&target, "figure_40", &value));
    figure(3)->value = 333;
    assert_true(target_refresh(&target));
    assert_true(target_figure(&target, "figure_3", &value));
    assert_int_equal(value, 333);
}

static void
test_bad_pages_are_refused(void **state)
{
    (void)state;
    page->magic[0] = 'x';
    expect_not_open(TARGET_BROKEN, "is none");
    memcpy(page->magic, PAGE_MAGIC, PAGE_MAGIC_BYTES);
    page->version++;
    expect_not_open(TARGET_BROKEN, "use the tide that came with the library");
    page->version--;
    page->figure_count = PAGE_FIGURES_MAX + 1;
    expect_not_open(TARGET_BROKEN, "damaged");
    page->figure_count = UINT32_MAX;
    expect_not_open(TARGET_BROKEN, "damaged");
    page->figure_count = 0;
    page->figure_bytes = 0;
    expect_not_open(TARGET_BROKEN, "damaged");
    page->figure_bytes = sizeof(struct page_figure);
    page->head_bytes = UINT32_MAX;
    expect_not_open(TARGET_BROKEN, "damaged");
    page->head_bytes = sizeof *page;
    page->sequence = 1; /* for ever */
    expect_not_open(TARGET_BROKEN, "always being written");
    page->sequence = 2;
    page->pid = getppid();
    assert_false(target_open(&target, getpid()));
    target_close(&target);
    page->pid = getpid();
    assert_int_equal(ftruncate(page_fd, 100), 0);
    expect_not_open(TARGET_BROKEN, "cannot be read");
    assert_int_equal(ftruncate(page_fd, PAGE_BYTES), 0);
}

/* A newer library's: more in the head and in each figure. */
static void
test_larger_structures_are_read(void **state)
{
    uint64_t value = 0;

    (void)state;
    page->head_bytes += 64;
    page->figure_bytes += 8;
    page->figure_count = 1;
    memset(page + 1, 0, 200);
    strcpy((char *)page + page->head_bytes, "only");
    ((char *)page)[page->head_bytes + offsetof(struct page_figure, value)] = 5;
    expect_open();
    assert_true(target_figure(&target, "only", &value));
    assert_int_equal(value, 5);
}

/* Whatever stands there, nothing outside the copy is looked at (the address sanitizer knows), and
 * names are text. */
static void
test_random_pages_do_no_harm(void **state)
{
    uint64_t random = 12345;
    unsigned char good[PAGE_BYTES];

    (void)state;
    expect_open();
    memcpy(good, page, sizeof good);
    for (int i = 0; i < MUTATIONS; i++) {
        struct page_figure f;

        memcpy(target.copy, good, sizeof good);
        for (int k = 0; k < 4; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            target.copy[random >> 33 & (k < 3 ? 63 : PAGE_BYTES - 1)] =
                (unsigned char)(random >> 20);
        }
        if (target_check(&target)) {
            for (size_t n = 0; target_figure_at(&target, n, &f) != NULL; n++) {
                assert_true(strlen(f.name) < sizeof f.name);
            }
        }
    }
}

static uint32_t stop;

static void *
write_always(void *arg)
{
    (void)arg;
    for (uint64_t n = 1; atomic_load_relaxed(&stop) == 0; n++) {
        (void)atomic_exchange_acq_rel(&page->sequence, page->sequence | 1);
        for (size_t i = 0; i < FIGURES; i++) {
            atomic_store_relaxed(&figure(i)->value, n);
        }
        (void)atomic_exchange_acq_rel(&page->sequence, page->sequence + 1);
        usleep(n % 64 == 0);
    }
    return NULL;
}

static void
test_no_page_is_torn(void **state)
{
    pthread_t writer;
    uint64_t last = 0;
    unsigned good = 0;

    (void)state;
    for (size_t i = 0; i < FIGURES; i++) {
        figure(i)->value = 0;
    }
    expect_open();
    assert_int_equal(pthread_create(&writer, NULL, write_always, NULL), 0);
    for (int i = 0; i < 2000; i++) {
        struct page_figure f;

        if (!target_refresh(&target)) {
            continue;
        }
        good++;
        target_figure_at(&target, 0, &f);
        assert_true(f.value >= last);
        last = f.value;
        for (size_t k = 1; target_figure_at(&target, k, &f) != NULL; k++) {
            assert_int_equal(f.value, last);
        }
    }
    atomic_store_relaxed(&stop, 1);
    pthread_join(writer, NULL);
    assert_true(good > 100 && last > 0);
}

/* What the page says of an answer, made by the test. */
static enum target_reply
offer(int fd, uint64_t inode, unsigned char **bytes, size_t *length)
{
    assert_true(target_ask(&target, PAGE_PROFILE));
    page->answers[PAGE_PROFILE].fd = fd;
    page->answers[PAGE_PROFILE].inode = inode;
    page->answers[PAGE_PROFILE].serial++;
    return target_poll(&target, PAGE_PROFILE, bytes, length);
}

static void
test_answers_must_be_what_the_page_says(void **state)
{
    unsigned char *bytes;
    size_t length = 0;
    struct page_head *head = page;
    struct stat status;
    int ends[2], fd = memfd_create("answer", MFD_ALLOW_SEALING);

    (void)state;
    assert_int_equal(write(fd, "answer", 6), 6);
    assert_int_equal(fstat(fd, &status), 0);
    expect_open();
    assert_true(target_ask(&target, PAGE_PROFILE));
    assert_int_equal(target_poll(&target, PAGE_PROFILE, &bytes, &length), TARGET_WAIT);
    assert_int_equal(offer(-1, status.st_ino, &bytes, &length), TARGET_WAIT);
    assert_int_equal(offer(fd, status.st_ino + 1, &bytes, &length), TARGET_WAIT);
    assert_int_equal(offer(fd, status.st_ino, &bytes, &length), TARGET_WAIT); /* not sealed */
    assert_int_equal(pipe(ends), 0); /* opening it must not wait for a writer */
    assert_int_equal(offer(ends[0], status.st_ino, &bytes, &length), TARGET_WAIT);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(offer(fd, status.st_ino, &bytes, &length), TARGET_ANSWERED);
    assert_int_equal(length, 6);
    assert_memory_equal(bytes, "answer", 6);
    free(bytes);
    head->answers[PAGE_PROFILE].error = ENOMEM;
    assert_int_equal(offer(fd, status.st_ino, &bytes, &length), TARGET_REFUSED);
    assert_non_null(strstr(target.problem, strerror(ENOMEM)));
    head->flags = PAGE_ANSWERS;
    assert_false(target_ask(&target, PAGE_PROFILE));
    head->flags = PAGE_HAS_PROFILE;
    assert_false(target_ask(&target, PAGE_PROFILE));
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

static void
test_a_page_that_is_gone_is_noticed(void **state)
{
    int copy;

    (void)state;
    expect_open();
    copy = dup(page_fd);
    close(page_fd);
    assert_false(target_refresh(&target));
    assert_int_equal(target.state, TARGET_PAGELESS);
    page_fd = copy;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_page, drop_page)
    const struct CMUnitTest tests[] = {
        CASE(test_figures_are_found_by_name),
        CASE(test_bad_pages_are_refused),
        CASE(test_larger_structures_are_read),
        CASE(test_random_pages_do_no_harm),
        CASE(test_no_page_is_torn),
        CASE(test_answers_must_be_what_the_page_says),
        CASE(test_a_page_that_is_gone_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
