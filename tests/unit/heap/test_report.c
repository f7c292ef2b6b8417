/* SPDX-License-Identifier: MIT */
/* heap/report: one line, word for word; then the end, or not. */
#include "spans.h"

#include "heap/report.h"

struct report {
    const char *function;
    const char *what;
    const void *p;
    const span_t *span;
    bool aborts;
    int out; /* where stderr goes */
};

static void
make_report(void *arg)
{
    const struct report *r = arg;
    uint64_t before = report_count();

    dup2(r->out, STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    report_aborts = r->aborts;
    report_pointer(r->function, r->what, r->p, r->span);
    require_eq(report_count(), before + 1);
    report_pointer(r->function, r->what, r->p, r->span); /* counted, not said again */
    require_eq(report_count(), before + 2);
}

static void
require_line(struct report report, const char *expected)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        char text[512] = "";
        int ends[2];
        int status;

        require_eq(pipe(ends), 0);
        report.aborts = aborts != 0;
        report.out = ends[1];
        status = unit_child_status(make_report, &report, 10);
        close(ends[1]);
        require(read(ends[0], text, sizeof text - 1) > 0);
        close(ends[0]);
        if (strcmp(text, expected) != 0) {
            dprintf(STDERR_FILENO, "said:     %sexpected: %s", text, expected);
        }
        require(strcmp(text, expected) == 0);
        require_eq(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, report.aborts);
        require(report.aborts || status == 0);
    }
}

static const void *
at(uintptr_t address)
{
    return (void *)address;
}

static void
test_lines_word_for_word(void **state)
{
    span_t small = {.start = (char *)0x7000000, .block_size = 48, .kind = SPAN_SMALL};
    span_t large = {.start = (char *)0x8000000, .bytes = 65536, .kind = SPAN_LARGE};

    (void)state;
    require_line((struct report){"free", REPORT_DOUBLE_FREE, at(0x7000060), &small, false, 0},
                 "tidemalloc: free: double free: pointer 0x7000060 (size class 48, block 2 of the "
                 "span at 0x7000000)\n");
    require_line((struct report){"realloc", REPORT_INTERIOR, at(0x7000061), &small, false, 0},
                 "tidemalloc: realloc: interior pointer: pointer 0x7000061 (size class 48, block 2 "
                 "of the span at 0x7000000, 1 bytes into it)\n");
    require_line(
        (struct report){"free", REPORT_INTERIOR, at(0x8001000), &large, false, 0},
        "tidemalloc: free: interior pointer: pointer 0x8001000 (large block of 65536 bytes "
        "at 0x8000000)\n");
    require_line((struct report){"free", REPORT_FOREIGN, at(0x10), NULL, false, 0},
                 "tidemalloc: free: foreign pointer: pointer 0x10 (outside every arena and not of "
                 "the C library's heap)\n");
    require_line(
        (struct report){"free", REPORT_NOT_ALLOCATED, at(0x20), &span_none, false, 0},
        "tidemalloc: free: not allocated: pointer 0x20 (arena memory that no block was ever "
        "in)\n");
    require_line(
        (struct report){"free", REPORT_DOUBLE_FREE, at(0x30), &span_gone, false, 0},
        "tidemalloc: free: double free: pointer 0x30 (its span was released; all its blocks "
        "were freed before)\n");
    require_line(
        (struct report){"malloc", REPORT_CORRUPTED, at(0x7000000), &small, false, 0},
        "tidemalloc: malloc: corrupted free list: pointer 0x7000000 (size class 48, block 0 "
        "of the span at 0x7000000)\n");
    require_line((struct report){"free_sized", REPORT_WRONG_SIZE, at(0x7000000), &small, false, 0},
                 "tidemalloc: free_sized: wrong size: pointer 0x7000000 (size class 48, block 0 of "
                 "the span at 0x7000000)\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_word_for_word),
    };

    return cmocka_run_group_tests_name("heap/report", tests, unit_setup, NULL);
}
