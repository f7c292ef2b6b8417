/* SPDX-License-Identifier: MIT */
/* base/assert: the last words, and which words speak at which level of checking. */
#include "../unit.h"

#include "base/assert.h"

struct last_words {
    int pipe[2];
    int level;
};

/* Counts evaluations: a disabled assert evaluates nothing. */
static int evaluations;

static bool
is_false(void)
{
    evaluations++;
    return false;
}

static void
assert_at_level(void *arg)
{
    const struct last_words *w = arg;

    dup2(w->pipe[1], STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    switch (w->level) {
    case 1:
        tide_assert(is_false());
        break;
    case 2:
        tide_assert_internal(is_false());
        break;
    default:
        tide_assert_full(is_false());
        break;
    }
    _exit(evaluations);
}

static void
test_failure_names_place_and_expression(void **state)
{
    (void)state;
    for (int level = 1; level <= 3; level++) {
        struct last_words w = {.level = level};
        char text[400] = "";
        ssize_t n;
        int status;

        require_eq(pipe(w.pipe), 0);
        status = unit_child_status(assert_at_level, &w, 10);
        close(w.pipe[1]);
        n = read(w.pipe[0], text, sizeof text - 1);
        close(w.pipe[0]);
        if (config_debug >= level) {
            require(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
            require_gt(n, 0);
            require(strncmp(text, "tidemalloc: ", 12) == 0);
            require(strstr(text, "test_assert.c:") != NULL);
            require(strstr(text, "is_false()") != NULL);
            require(strchr(text, '\n') == text + n - 1); /* one line */
        } else {
            require_eq(status, 0); /* not evaluated either */
            require_eq(n, 0);
        }
    }
}

static void
test_true_is_silent(void **state)
{
    (void)state;
    tide_assert(true);
    tide_assert_internal(1 + 1 == 2);
    tide_assert_full(state != NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_names_place_and_expression),
        cmocka_unit_test(test_true_is_silent),
    };

    return cmocka_run_group_tests_name("base/assert", tests, unit_setup, NULL);
}
