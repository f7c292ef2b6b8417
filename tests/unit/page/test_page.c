/* SPDX-License-Identifier: MIT */
/*
 * page/page: the page's head and figures, questions and answers, its end, forks, and a kernel
 * that refuses. Each case is a child, which has no page yet.
 */
#include "../unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "page/page.h"

static uint64_t value = 1;
static int answer_error;
static unsigned answered;

static size_t
figures(struct page_figure *out, size_t max, bool all)
{
    require_ge(max, 80);
    memset(out, 0, 3 * sizeof *out);
    strcpy(out[2].name, "costly");
    strcpy(out[0].name, "first");
    strcpy(out[1].name, "second");
    out[0].value = value;
    out[1].value = value + 1;
    return all ? 3 : 2;
}

static int
answer(enum page_question question, int fd)
{
    answered++;
    os_write(fd, question == PAGE_PROFILE ? "profile" : "figures", 7);
    return answer_error;
}

static uint32_t
flags(void)
{
    return PAGE_HAS_PROFILE;
}

static void
set_up(void)
{
    page_config = (struct page_config){
        .when = PAGE_LATER, .figures = figures, .answer = answer, .flags = flags};
}

/* The first descriptor that bears the name, which is the library's; -1: none. */
static int
find(const char *name)
{
    char path[64], link[64], wanted[64];

    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", name);
    for (int fd = 3; fd < 100; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (os_read_link(path, link, sizeof link) > 0 && strcmp(link, wanted) == 0) {
            return fd;
        }
    }
    return -1;
}

/* As a reader of another process opens it. */
static int
open_other(int fd)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static struct page_head
head_of(int fd)
{
    struct page_head head;

    require_eq(pread(fd, &head, sizeof head, 0), sizeof head);
    return head;
}

static void
lock_byte(int fd, int byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    require_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

static void
write_and_refresh(void *arg)
{
    struct page_figure figure;
    struct page_head head;
    int fd;

    (void)arg;
    set_up();
    page_config.when = PAGE_NEVER;
    require(!page_is_wanted());
    page_config.when = PAGE_LATER;
    require(page_is_wanted());
    page_pass(); /* without one */
    require_eq(find(PAGE_NAME), -1);
    require(page_bell() == NULL);
    page_begin();
    page_pass();
    fd = find(PAGE_NAME);
    require_ge(fd, 3);
    require(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    head = head_of(fd);
    require(memcmp(head.magic, PAGE_MAGIC, PAGE_MAGIC_BYTES) == 0);
    require_eq(head.version, PAGE_VERSION);
    require_eq(head.head_bytes, sizeof head);
    require_eq(head.pid, getpid());
    require_eq(head.sequence & 1, 0);
    require_eq(head.figure_count, 2);
    require_eq(head.flags & (PAGE_ANSWERS | PAGE_HAS_PROFILE | PAGE_PROFILING),
               PAGE_ANSWERS | PAGE_HAS_PROFILE);
    value = 7;
    usleep(250000);
    page_pass();
    require_eq(pread(fd, &figure, sizeof figure, sizeof head + sizeof figure), sizeof figure);
    require(strcmp(figure.name, "second") == 0);
    require_eq(figure.value, 8);
    require_gt(head_of(fd).sequence, head.sequence);
    require(pwrite(fd, "x", 1, 0) < 0 && ftruncate(fd, 0) < 0 && ftruncate(fd, 8192) < 0);
    require(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
}

static void
answer_who_asks(void *arg)
{
    struct page_head head;
    char text[8] = "";
    int reader, fd;

    (void)arg;
    set_up();
    page_begin();
    page_pass();
    reader = open_other(find(PAGE_NAME));
    require_eq(answered, 0);
    require_eq(page_next_pass_ns(), 0);
    lock_byte(reader, PAGE_PROFILE, F_RDLCK);
    page_pass();
    page_pass(); /* too early for another */
    require_eq(answered, 1);
    head = head_of(reader);
    require_eq(head.answers[PAGE_PROFILE].serial, 1);
    require_eq(head.answers[PAGE_PROFILE].error, 0);
    require_eq(head.answers[PAGE_STATISTICS].serial, 0);
    fd = open_other(head.answers[PAGE_PROFILE].fd);
    require_eq(read(fd, text, sizeof text), 7);
    require(strcmp(text, "profile") == 0);
    require_eq(fcntl(fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW),
               F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
    close(fd);
    require_gt(page_next_pass_ns(), 0);
    lock_byte(reader, PAGE_PROFILE, F_UNLCK);
    lock_byte(reader, PAGE_STATISTICS, F_RDLCK);
    answer_error = ENOMEM;
    page_pass();
    head = head_of(reader);
    require_eq(head.answers[PAGE_STATISTICS].serial, 1);
    require_eq(head.answers[PAGE_STATISTICS].error, ENOMEM);
    require_eq(head.answers[PAGE_STATISTICS].inode, 0);
    require_eq(head.figure_count, 2);
    lock_byte(reader, PAGE_FIGURES, F_RDLCK);
    usleep(150000);
    page_pass();
    require_eq(head_of(reader).figure_count, 3);
    close(reader);
    usleep(2100000); /* nobody is there any more */
    page_pass();
    require_eq(find(PAGE_NAME "-profile"), -1);
    require_eq(head_of(find(PAGE_NAME)).answers[PAGE_PROFILE].inode, 0);
}

static void
end_and_begin_again(void *arg)
{
    int reader, second;

    (void)arg;
    set_up();
    page_begin();
    page_pass();
    reader = open_other(find(PAGE_NAME));
    lock_byte(reader, PAGE_PROFILE, F_RDLCK);
    page_pass();
    require_gt(find(PAGE_NAME "-profile"), 0);
    require_eq(head_of(reader).flags & PAGE_ANSWERS, PAGE_ANSWERS);
    page_end();
    require_eq(head_of(reader).flags, 0);
    require_eq(find(PAGE_NAME "-profile"), -1);
    require_eq(page_next_pass_ns(), 0);
    require(page_bell() == NULL);
    close(reader);
    require_eq(find(PAGE_NAME), -1);
    page_end(); /* of none */
    page_begin();
    page_pass();
    second = find(PAGE_NAME);
    require_ge(second, 3);
    require_eq(head_of(second).answers[PAGE_PROFILE].serial, 0);
}

static void
part_with_children(void *arg)
{
    int fd, inherited, status;
    struct page_head before;
    uint32_t *bell;
    unsigned char resident;
    pid_t child;

    (void)arg;
    set_up();
    page_begin();
    page_pass();
    fd = find(PAGE_NAME);
    inherited = open_other(fd);
    before = head_of(fd);
    bell = page_bell();
    child = fork();
    if (child == 0) {
        int own;

        page_fork_child();
        require(page_bell() == NULL);
        require_eq(mincore((void *)((uintptr_t)bell & ~(uintptr_t)(PAGE_BYTES - 1)), PAGE_BYTES,
                           &resident),
                   -1); /* it is not even there */
        close(fd);      /* the test is no keeper with files of its own */
        page_begin();
        page_pass();
        own = find(PAGE_NAME);
        require_eq(own, fd);
        require_eq(head_of(inherited).sequence, before.sequence);
        _exit(head_of(own).pid == getpid() ? 0 : 1);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    require_eq(find(PAGE_NAME), fd);
    require_eq(head_of(fd).pid, getpid());
}

static int
refuse(const char *call)
{
    return strcmp(call, "memfile") == 0 ? EPERM : 0;
}

static void
go_without(void *arg)
{
    (void)arg;
    set_up();
    os_fault_hook = refuse;
    page_begin();
    page_pass();
    require_eq(find(PAGE_NAME), -1);
    require(page_bell() == NULL);
    require_eq(page_next_pass_ns(), 0);
    page_end();
    os_fault_hook = NULL;
    page_begin(); /* the next keeper */
    page_pass();
    require_gt(find(PAGE_NAME), 0);
}

#define TEST(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        unit_child(name, NULL);                                                                    \
    }
TEST(write_and_refresh)
TEST(answer_who_asks)
TEST(end_and_begin_again)
TEST(part_with_children)
TEST(go_without)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_refresh),   cmocka_unit_test(test_answer_who_asks),
        cmocka_unit_test(test_end_and_begin_again), cmocka_unit_test(test_part_with_children),
        cmocka_unit_test(test_go_without),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
