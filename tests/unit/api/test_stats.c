/* SPDX-License-Identifier: MIT */
/* api/stats, ctl and info: the figures in each of their forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/options.h"
#include "api/stats.h"
#include "json.h"
#include "os/os.h"
#include "tidemalloc.h"

static char text[65536];

/* Every field set to a number of its own. */
static struct tide_stats
numbered(void)
{
    struct tide_stats stats;
    uint64_t *words = (uint64_t *)&stats;

    for (size_t i = 0; i < sizeof stats / sizeof *words; i++) {
        words[i] = 1000 + i;
    }
    return stats;
}

static const char *const names[] = {
#define TIDE_STAT(name, kind, unit, brief) #name,
#include "api/stats.def"
};

static const char *const feature_names[] = {
#define TIDE_FEATURE(name, bit, brief) #name,
#include "api/stats.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text tide_ctl gives for a name. */
static const char *
ctl_text(const char *name)
{
    size_t len = sizeof text;

    assert_int_equal(tide_ctl(name, text, &len, NULL, 0), 0);
    assert_int_equal(len, strlen(text) + 1);
    return text;
}

static uint64_t
ctl_number(const char *name)
{
    uint64_t value = 0;
    size_t len = sizeof value;

    assert_int_equal(tide_ctl(name, &value, &len, NULL, 0), 0);
    assert_int_equal(len, sizeof value);
    return value;
}

/* ---- forms --------------------------------------------------------------------------------- */

static void
test_json_has_every_figure(void **state)
{
    struct tide_stats stats = numbered();
    fmt_t out;

    (void)state;
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_json(&stats, &out);
    assert_false(fmt_is_truncated(&out));
    assert_true(json_is_valid(text));
    assert_int_equal(text[out.len - 1], '\n');
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(json_number(text, names[i]), 1000 + i);
    }
    assert_int_equal(json_number(text, "pid"), getpid());
    assert_non_null(strstr(text, "\"tidemalloc\":\"" TIDE_VERSION "\""));
    assert_non_null(strstr(text, "\"name\":\"default\",\"allocated_bytes\":"));
    assert_int_equal(json_number(text, "block_bytes"), stats.classes[0].block_bytes);
    assert_int_equal(json_number(text, "capacity"), stats.classes[0].capacity);
    assert_int_equal(json_number(text, "reserve"), tide_opt.reserve);
}

static void
test_json_omits_unused_classes(void **state)
{
    struct tide_stats stats = {.allocated_bytes = 7};
    fmt_t out;

    (void)state;
    stats.classes[5].spans = 1;
    stats.classes[5].block_bytes = 96;
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_json(&stats, &out);
    assert_true(json_is_valid(text));
    assert_ptr_equal(strstr(text, "block_bytes"), strstr(text, "block_bytes\":96"));
    stats.classes[5].spans = 0;
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_json(&stats, &out);
    assert_true(json_is_valid(text));
    assert_non_null(strstr(text, "\"classes\":[]"));
}

static void
test_json_of_largest_numbers(void **state)
{
    struct tide_stats stats;
    fmt_t out;

    (void)state;
    memset(&stats, 0xff, sizeof stats);
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_json(&stats, &out);
    assert_false(fmt_is_truncated(&out));
    assert_true(json_is_valid(text));
}

static void
test_find_by_exact_name(void **state)
{
    struct tide_stats stats = numbered();

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        const uint64_t *figure = stats_find(&stats, names[i], strlen(names[i]));

        assert_non_null(figure);
        assert_int_equal(*figure, 1000 + i);
        assert_null(stats_find(&stats, names[i], strlen(names[i]) - 1));
    }
    assert_null(stats_find(&stats, "", 0));
}

static void
test_features_follow_os_info(void **state)
{
    uint32_t before = os_info.features;
    char member[64];
    fmt_t out;

    (void)state;
    os_info.features = OS_FEATURE_POPULATE_WRITE;
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_features_json(&out);
    os_info.features = before;
    assert_true(json_is_valid(text));
    for (size_t i = 0; i < COUNT(feature_names); i++) {
        snprintf(member, sizeof member, "\"%s\":%s", feature_names[i],
                 strcmp(feature_names[i], "populate_write") == 0 ? "true" : "false");
        assert_non_null(strstr(text, member));
    }
}

static void
test_text_names_every_figure(void **state)
{
    struct tide_stats stats = {.allocated_bytes = 25690112, .refills = 4711};
    fmt_t out;

    (void)state;
    fmt_init_buffer(&out, text, sizeof text);
    stats_write_text(&stats, &out);
    assert_false(fmt_is_truncated(&out));
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_non_null(strstr(text, names[i]));
    }
    assert_non_null(strstr(text, "24.5 MiB"));
    assert_non_null(strstr(text, "          4711  "));
}

/* ---- the report at exit -------------------------------------------------------------------- */

static void
test_report_at_exit_goes_to_its_file(void **state)
{
    char dir[] = "/tmp/tide-stats-XXXXXX";
    char path[128];
    ssize_t len;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(tide_opt.stats, sizeof tide_opt.stats, "%s/%%p.json", dir);
    snprintf(path, sizeof path, "%s/%d.json", dir, (int)getpid());
    errno = E2BIG;
    stats_at_exit();
    stats_at_exit(); /* truncates */
    tide_opt.stats[0] = '\0';
    assert_int_equal(errno, E2BIG);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    len = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(path);
    rmdir(dir);
    assert_true(len > 0);
    text[len] = '\0';
    assert_true(json_is_valid(text));
}

static int captured_stderr;
static int capture_fds[2];

/* Between the two, standard error is a pipe; what went into it is in `text` afterwards. */
static void
capture_begin(void)
{
    captured_stderr = dup(STDERR_FILENO);
    assert_int_equal(pipe(capture_fds), 0);
    assert_int_equal(dup2(capture_fds[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *
capture_end(void)
{
    ssize_t len;

    dup2(captured_stderr, STDERR_FILENO);
    close(captured_stderr);
    close(capture_fds[1]);
    len = read(capture_fds[0], text, sizeof text - 1);
    close(capture_fds[0]);
    assert_true(len >= 0);
    text[len] = '\0';
    return text;
}

static void
report_to_stderr(const char *option)
{
    capture_begin();
    strcpy(tide_opt.stats, option);
    stats_at_exit();
    tide_opt.stats[0] = '\0';
    capture_end();
}

static void
test_report_at_exit_to_stderr_or_not_at_all(void **state)
{
    (void)state;
    report_to_stderr("stderr");
    assert_true(strncmp(text, "{\"tidemalloc\":", 14) == 0);
    report_to_stderr("");
    assert_string_equal(text, "");
}

static void
test_report_at_exit_outlives_stderr(void **state)
{
    (void)state;
    capture_begin();
    strcpy(tide_opt.stats, "stderr");
    stats_at_start();
    close(STDERR_FILENO);
    stats_at_exit();
    tide_opt.stats[0] = '\0';
    /* The copy keeps the pipe open, so read what is there and not up to the end. */
    assert_true(strncmp(capture_end(), "{\"tidemalloc\":", 14) == 0);
}

static void
test_report_at_exit_that_fails_says_so(void **state)
{
    (void)state;
    report_to_stderr("/nonexistent/x");
    assert_string_equal(text, "tidemalloc: stats: cannot write /nonexistent/x: error 2 (ENOENT)\n");
}

/* ---- tide_ctl ------------------------------------------------------------------------------ */

static void
test_ctl_texts(void **state)
{
    (void)state;
    assert_string_equal(ctl_text("version"), tide_version());
    assert_true(json_is_valid(ctl_text("options")));
    assert_true(json_is_valid(ctl_text("features")));
    assert_true(json_is_valid(ctl_text("stats.json")));
    assert_non_null(strstr(ctl_text("help"), "purge_window_ms:1000"));
    assert_non_null(strstr(ctl_text("stats"), "allocated_bytes"));
}

static void
test_ctl_numbers(void **state)
{
    char name[64];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(name, sizeof name, "stats.%s", names[i]);
        ctl_number(name);
    }
    ctl_number("trim");
    assert_int_equal(tide_ctl("trim", NULL, NULL, NULL, 0), 0);
}

static void
test_ctl_tells_the_room_needed(void **state)
{
    uint64_t value = 42;
    char small[4] = "###";
    size_t len = 0;

    (void)state;
    assert_int_equal(tide_ctl("version", NULL, &len, NULL, 0), 0);
    assert_int_equal(len, strlen(tide_version()) + 1);
    len = 3;
    assert_int_equal(tide_ctl("version", small, &len, NULL, 0), ENOSPC);
    assert_int_equal(len, strlen(tide_version()) + 1);
    len = 0;
    assert_int_equal(tide_ctl("stats.refills", NULL, &len, NULL, 0), 0);
    assert_int_equal(len, 8);
    len = 7;
    assert_int_equal(tide_ctl("stats.refills", &value, &len, NULL, 0), ENOSPC);
    assert_int_equal(len, 8);
    assert_int_equal(value, 42);
}

static void
test_ctl_sets_and_gives_the_old_value(void **state)
{
    size_t len = sizeof text;

    (void)state;
    assert_int_equal(tide_ctl("option.purge_window_ms", text, &len, "250", 3), 0);
    assert_string_equal(text, "1000");
    assert_int_equal(tide_opt.purge_window_ms, 250);
    assert_int_equal(tide_ctl("option.purge_window_ms", NULL, NULL, "300", 4), 0);
    assert_string_equal(ctl_text("option.purge_window_ms"), "300");
    /* Nothing is written when the old value does not fit. */
    len = 2;
    assert_int_equal(tide_ctl("option.purge_window_ms", text, &len, "1", 1), ENOSPC);
    assert_int_equal(tide_opt.purge_window_ms, 300);
    assert_int_equal(tide_ctl("option.purge_window_ms", NULL, NULL, "1000", 4), 0);
}

static void
test_ctl_errors(void **state)
{
    size_t len = sizeof text;

    (void)state;
    errno = E2BIG;
    assert_int_equal(tide_ctl(NULL, text, &len, NULL, 0), EINVAL);
    assert_int_equal(tide_ctl("version", text, NULL, NULL, 0), EINVAL);
    assert_int_equal(tide_ctl("option.lifo", NULL, NULL, NULL, 1), EINVAL);
    assert_int_equal(tide_ctl("option.purge", NULL, NULL, "nonsense", 8), EINVAL);
    assert_int_equal(tide_ctl("option.keeper_interval_ms", NULL, NULL, "0", 1), ERANGE);
    assert_int_equal(tide_ctl("option.reserve", NULL, NULL, "1G", 2), EPERM);
    assert_int_equal(tide_ctl("version", NULL, NULL, "2", 1), EPERM);
    assert_int_equal(tide_ctl("trim", NULL, NULL, "2", 1), EPERM);
    assert_int_equal(tide_ctl("stats.refills", NULL, NULL, "2", 1), EPERM);
    assert_int_equal(tide_ctl("", text, &len, NULL, 0), ENOENT);
    assert_int_equal(tide_ctl("versions", text, &len, NULL, 0), ENOENT);
    assert_int_equal(tide_ctl("option.", text, &len, NULL, 0), ENOENT);
    assert_int_equal(tide_ctl("option.nonsense", text, &len, "1", 1), ENOENT);
    assert_int_equal(tide_ctl("stats.", text, &len, NULL, 0), ENOENT);
    assert_int_equal(tide_ctl("stats.nonsense", text, &len, NULL, 0), ENOENT);
    assert_int_equal(errno, E2BIG);
}

/* ---- the C library's questions ------------------------------------------------------------- */

static void
test_mallopt_knows_its_parameters(void **state)
{
    static const int known[] = {-8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4};
    static const int unknown[] = {0, 5, -9, 1000, -1000};

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        assert_int_equal(tide_mallopt(known[i], 1), 1);
    }
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_int_equal(tide_mallopt(unknown[i], 1), 0);
    }
}

/* The first number behind `name=" after `place`. */
static unsigned long long
attribute(const char *place, const char *name)
{
    char key[32];

    assert_non_null(place);
    snprintf(key, sizeof key, " %s=\"", name);
    place = strstr(place, key);
    assert_non_null(place);
    return strtoull(place + strlen(key), NULL, 10);
}

static void
test_malloc_info_adds_up(void **state)
{
    FILE *stream = fmemopen(text, sizeof text, "w");
    unsigned long long count = 0;
    const char *heap_end;

    (void)state;
    assert_non_null(stream);
    assert_int_equal(tide_malloc_info(1, stream), EINVAL);
    assert_int_equal(tide_malloc_info(0, stream), 0);
    fclose(stream);
    assert_ptr_equal(strstr(text, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n"), text);
    heap_end = strstr(text, "</heap>\n");
    assert_non_null(heap_end);
    for (const char *p = text; (p = strstr(p, "<size from")) != NULL; p++) {
        assert_true(attribute(p, "from") <= attribute(p, "to"));
        assert_int_equal(attribute(p, "total"), attribute(p, "to") * attribute(p, "count"));
        count += attribute(p, "count");
    }
    assert_int_equal(attribute(strstr(text, "<total type=\"rest\""), "count"), count);
    assert_int_equal(attribute(strstr(heap_end, "<total type=\"rest\""), "count"), count);
    assert_true(attribute(strstr(heap_end, "<system type=\"max\""), "size") >=
                attribute(strstr(heap_end, "<system type=\"current\""), "size"));
    assert_string_equal(text + strlen(text) - 10, "</malloc>\n");
}

static void
test_malloc_info_reports_a_broken_stream(void **state)
{
    FILE *stream = fopen("/dev/full", "w");

    (void)state;
    if (stream == NULL) {
        return;
    }
    setvbuf(stream, NULL, _IONBF, 0);
    assert_int_equal(tide_malloc_info(0, stream), ENOSPC);
    fclose(stream);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_has_every_figure),
        cmocka_unit_test(test_json_omits_unused_classes),
        cmocka_unit_test(test_json_of_largest_numbers),
        cmocka_unit_test(test_find_by_exact_name),
        cmocka_unit_test(test_features_follow_os_info),
        cmocka_unit_test(test_text_names_every_figure),
        cmocka_unit_test(test_report_at_exit_goes_to_its_file),
        cmocka_unit_test(test_report_at_exit_to_stderr_or_not_at_all),
        cmocka_unit_test(test_report_at_exit_outlives_stderr),
        cmocka_unit_test(test_report_at_exit_that_fails_says_so),
        cmocka_unit_test(test_ctl_texts),
        cmocka_unit_test(test_ctl_numbers),
        cmocka_unit_test(test_ctl_tells_the_room_needed),
        cmocka_unit_test(test_ctl_sets_and_gives_the_old_value),
        cmocka_unit_test(test_ctl_errors),
        cmocka_unit_test(test_mallopt_knows_its_parameters),
        cmocka_unit_test(test_malloc_info_adds_up),
        cmocka_unit_test(test_malloc_info_reports_a_broken_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
