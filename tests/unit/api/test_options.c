/* SPDX-License-Identifier: MIT */
/* api/options: the table, the parser, its messages, and the three sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/options.h"
#include "heap/report.h"
#include "json.h"

static struct tide_options at_start;
static const char *program;
static char messages[16384];
static char text[32768];

static int
restore(void **state)
{
    (void)state;
    tide_opt = at_start;
    messages[0] = '\0';
    return 0;
}

/* Parses as if from TIDE_CONF; messages go to `messages`. */
static size_t
parse(const char *conf)
{
    int fds[2];
    size_t bad;
    ssize_t len;

    assert_int_equal(pipe(fds), 0);
    bad = options_parse("TIDE_CONF", conf, strlen(conf), fds[1]);
    close(fds[1]);
    len = read(fds[0], messages, sizeof messages - 1);
    assert_true(len >= 0);
    messages[len] = '\0';
    close(fds[0]);
    return bad;
}

static void
expect_refused(const char *conf, const char *message)
{
    struct tide_options before = tide_opt;

    assert_int_equal(parse(conf), 1);
    assert_string_equal(messages, message);
    assert_memory_equal(&before, &tide_opt, sizeof before);
}

static fmt_t
get(const char *name)
{
    fmt_t out;

    fmt_init_buffer(&out, text, sizeof text);
    assert_int_equal(options_get_by_name(name, strlen(name), &out), 0);
    return out;
}

static int
set(const char *name, const char *value)
{
    return options_set_by_name(name, strlen(name), value, strlen(value));
}

/* ---- the table ----------------------------------------------------------------------------- */

#define IS_STRING_BOOL 0
#define IS_STRING_SIZE 0
#define IS_STRING_INT 0
#define IS_STRING_ENUM 0
#define IS_STRING_STRING 1
#define IS_RUNTIME_RUNTIME 1
#define IS_RUNTIME_STARTUP 0

struct row {
    const char *name;
    int is_string;
    int is_runtime;
    const char *unit;
    uint64_t min;
    uint64_t max;
    const char *brief;
    const char *paragraph;
};

static const struct row rows[] = {
#define TIDE_OPTION(tag, kind, unit, min, max, def, when, stability, brief, paragraph)             \
    {#tag, IS_STRING_##kind, IS_RUNTIME_##when, unit, min, max, brief, paragraph},
#include "api/options.def"
#undef TIDE_OPTION
};

#define ROWS (sizeof rows / sizeof rows[0])

static void
test_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];

        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        assert_in_range(strlen(row->name), 1, 31);
        assert_true(row->min <= row->max);
        assert_true(strlen(row->brief) > 10 && strlen(row->brief) < 80);
        assert_true(strlen(row->paragraph) > 40);
        /* A text cannot be replaced while others read it. */
        assert_false(row->is_string && row->is_runtime);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, rows[j].name);
        }
    }
}

static void
test_value_read_back_is_accepted(void **state)
{
    char conf[512];

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        get(rows[i].name);
        snprintf(conf, sizeof conf, "%s:%.400s", rows[i].name, text);
        assert_int_equal(parse(conf), 0);
        assert_memory_equal(&at_start, &tide_opt, sizeof tide_opt);
    }
}

/* ---- values -------------------------------------------------------------------------------- */

static void
test_bool_words(void **state)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    char conf[64];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        tide_opt.background = i >= 4;
        snprintf(conf, sizeof conf, "background:%s", words[i]);
        assert_int_equal(parse(conf), 0);
        assert_int_equal(tide_opt.background, i < 4);
    }
    expect_refused("background:maybe",
                   "tidemalloc: TIDE_CONF: background: 'maybe' is not true or false "
                   "(kept false)\n");
    expect_refused("background:",
                   "tidemalloc: TIDE_CONF: background: '' is not true or false (kept false)\n");
    expect_refused("background:TRUE",
                   "tidemalloc: TIDE_CONF: background: 'TRUE' is not true or false "
                   "(kept false)\n");
}

/* Words mean on and off where there are such words: predict:false is what people write. */
static void
test_bool_words_of_enums(void **state)
{
    (void)state;
    assert_int_equal(parse("predict:true"), 0);
    assert_int_equal(tide_opt.predict, TIDE_PREDICT_ON);
    assert_int_equal(parse("predict:false"), 0);
    assert_int_equal(tide_opt.predict, TIDE_PREDICT_OFF);
    assert_int_equal(parse("page:1"), 0);
    assert_int_equal(tide_opt.page, TIDE_PAGE_ON);
    assert_int_equal(parse("page:no"), 0);
    assert_int_equal(tide_opt.page, TIDE_PAGE_OFF);
    assert_int_equal(parse("page:auto"), 0);
    expect_refused("purge:true",
                   "tidemalloc: TIDE_CONF: purge: 'true' is not one of off|peak (kept peak)\n");
}

static void
test_size_suffixes_and_bounds(void **state)
{
    (void)state;
    assert_int_equal(parse("keeper_threshold:0"), 0);
    assert_int_equal(tide_opt.keeper_threshold, 0);
    assert_int_equal(parse("keeper_threshold:12345"), 0);
    assert_int_equal(tide_opt.keeper_threshold, 12345);
    assert_int_equal(parse("keeper_threshold:3k"), 0);
    assert_int_equal(tide_opt.keeper_threshold, 3072);
    assert_int_equal(parse("keeper_threshold:5M"), 0);
    assert_int_equal(tide_opt.keeper_threshold, (size_t)5 << 20);
    assert_int_equal(parse("keeper_threshold:128T"), 0);
    assert_int_equal(tide_opt.keeper_threshold, (size_t)128 << 40);
    expect_refused("keeper_threshold:129T",
                   "tidemalloc: TIDE_CONF: keeper_threshold: '129T' is out "
                   "of bounds, 0 to 128T (kept 128T)\n");
    tide_opt.keeper_threshold = 16;
    expect_refused(
        "keeper_threshold:16777217T",
        "tidemalloc: TIDE_CONF: keeper_threshold: '16777217T' is out of bounds, 0 to 128T "
        "(kept 16)\n");
    expect_refused("keeper_threshold:99999999999999999999999",
                   "tidemalloc: TIDE_CONF: keeper_threshold: '99999999999999999999999' is out of "
                   "bounds, 0 to 128T (kept 16)\n");
    expect_refused("reserve:1", "tidemalloc: TIDE_CONF: reserve: '1' is out of bounds, 64M to 64T "
                                "(kept 1T)\n");
    expect_refused("reserve:-1",
                   "tidemalloc: TIDE_CONF: reserve: '-1' is not a size such as 4096 or "
                   "64M (kept 1T)\n");
    expect_refused("reserve:M", "tidemalloc: TIDE_CONF: reserve: 'M' is not a size such as 4096 or "
                                "64M (kept 1T)\n");
    expect_refused("reserve:1 G",
                   "tidemalloc: TIDE_CONF: reserve: '1 G' is not a size such as 4096 "
                   "or 64M (kept 1T)\n");
    expect_refused("reserve:0x1000000000",
                   "tidemalloc: TIDE_CONF: reserve: '0x1000000000' is not a "
                   "size such as 4096 or 64M (kept 1T)\n");
}

static void
test_int_bounds(void **state)
{
    (void)state;
    assert_int_equal(parse("keeper_interval_ms:1,purge_window_ms:3600000"), 0);
    assert_int_equal(tide_opt.keeper_interval_ms, 1);
    assert_int_equal(tide_opt.purge_window_ms, 3600000);
    expect_refused("keeper_interval_ms:0",
                   "tidemalloc: TIDE_CONF: keeper_interval_ms: '0' is out of "
                   "bounds, 1 to 60000 (kept 1)\n");
    expect_refused("keeper_interval_ms:4K",
                   "tidemalloc: TIDE_CONF: keeper_interval_ms: '4K' is not a "
                   "whole number (kept 1)\n");
}

static void
test_enum_words(void **state)
{
    (void)state;
    assert_int_equal(parse("purge:off,huge_pages:always"), 0);
    assert_int_equal(tide_opt.purge, TIDE_PURGE_OFF);
    assert_int_equal(tide_opt.huge_pages, TIDE_HUGE_ALWAYS);
    assert_int_equal(parse("purge:peak,huge_pages:never"), 0);
    assert_int_equal(tide_opt.purge, TIDE_PURGE_PEAK);
    assert_int_equal(tide_opt.huge_pages, TIDE_HUGE_NEVER);
    expect_refused("huge_pages:alway", "tidemalloc: TIDE_CONF: huge_pages: 'alway' is not one of "
                                       "auto|never|always (kept never)\n");
    expect_refused("huge_pages:auto|never",
                   "tidemalloc: TIDE_CONF: huge_pages: 'auto|never' is not "
                   "one of auto|never|always (kept never)\n");
}

static void
test_string_length_and_characters(void **state)
{
    char conf[600] = "stats:";
    size_t max = sizeof tide_opt.stats - 1;

    (void)state;
    assert_int_equal(parse("stats:/tmp/a b#%p"), 0);
    assert_string_equal(tide_opt.stats, "/tmp/a b#%p");
    assert_int_equal(parse("stats:a:b"), 0);
    assert_string_equal(tide_opt.stats, "a:b");
    memset(conf + 6, 'x', max);
    assert_int_equal(parse(conf), 0);
    assert_int_equal(strlen(tide_opt.stats), max);
    assert_int_equal(parse("stats:"), 0);
    assert_string_equal(tide_opt.stats, "");
    memset(conf + 6, 'x', max + 1);
    expect_refused(conf, "tidemalloc: TIDE_CONF: stats: the text is too long (left empty)\n");
    memset(conf + 6, 'x', 500);
    expect_refused(conf, "tidemalloc: TIDE_CONF: stats: the entry is too long (left empty)\n");
    expect_refused("stats:a\033b", "tidemalloc: TIDE_CONF: stats: the text has control characters "
                                   "(left empty)\n");
}

/* ---- entries ------------------------------------------------------------------------------- */

static void
test_unknown_option_is_named(void **state)
{
    (void)state;
    expect_refused("nonsense:1", "tidemalloc: TIDE_CONF: nonsense: no such option (ignored)\n");
    expect_refused("nonsense", "tidemalloc: TIDE_CONF: nonsense: no such option (ignored)\n");
    expect_refused("lif:1", "tidemalloc: TIDE_CONF: lif: no such option (ignored)\n");
    expect_refused("lifoo:1", "tidemalloc: TIDE_CONF: lifoo: no such option (ignored)\n");
    expect_refused(":1", "tidemalloc: TIDE_CONF: : no such option (ignored)\n");
    expect_refused("a\x01\xff%s:1", "tidemalloc: TIDE_CONF: a??%s: no such option (ignored)\n");
    expect_refused("background",
                   "tidemalloc: TIDE_CONF: background: no value given, write key:value "
                   "(kept true)\n");
    expect_refused("stats", "tidemalloc: TIDE_CONF: stats: no value given, write key:value "
                            "(left empty)\n");
    assert_int_equal(parse("stats:a.json"), 0);
    expect_refused("stats", "tidemalloc: TIDE_CONF: stats: no value given, write key:value "
                            "(kept a.json)\n");
}

static void
test_long_unknown_key_is_cut(void **state)
{
    char conf[300];

    (void)state;
    memset(conf, 'k', sizeof conf - 1);
    conf[sizeof conf - 1] = '\0';
    assert_int_equal(parse(conf), 1);
    assert_true(strlen(messages) < 130);
    assert_non_null(strstr(messages, "kkk...: no such option (ignored)\n"));
}

static void
test_blanks_commas_and_comments(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse(",,\n\n , \t\r\n"), 0);
    assert_int_equal(parse("# all comment, background:false"), 0);
    assert_true(tide_opt.background);
    assert_int_equal(
        parse("  background :\tfalse  # bad:entry, worse\npurge:off\r\n#x\n  hole_purge:off"), 0);
    assert_false(tide_opt.background);
    assert_int_equal(tide_opt.purge, TIDE_PURGE_OFF);
    assert_false(tide_opt.hole_purge);
    assert_string_equal(messages, "");
}

static void
test_good_entries_hold_beside_bad_ones(void **state)
{
    (void)state;
    assert_int_equal(parse("bad:1,background:false,reserve:x,purge:off"), 2);
    assert_false(tide_opt.background);
    assert_int_equal(tide_opt.purge, TIDE_PURGE_OFF);
}

static void
test_last_value_counts(void **state)
{
    (void)state;
    assert_int_equal(parse("purge_window_ms:1,purge_window_ms:2,purge_window_ms:x"), 1);
    assert_int_equal(tide_opt.purge_window_ms, 2);
    assert_string_equal(messages,
                        "tidemalloc: TIDE_CONF: purge_window_ms: 'x' is not a whole number "
                        "(kept 2)\n");
}

static void
test_garbage_does_not_flood(void **state)
{
    char conf[4000];
    size_t lines = 0;

    (void)state;
    for (size_t i = 0; i < sizeof conf - 1; i++) {
        conf[i] = i % 2 == 0 ? 'x' : ',';
    }
    conf[sizeof conf - 1] = '\0';
    assert_int_equal(parse(conf), sizeof conf / 2);
    for (const char *p = messages; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    assert_int_equal(lines, 16);
    assert_non_null(strstr(messages, "; more bad entries are not reported\n"));
}

/* ---- run time ------------------------------------------------------------------------------ */

static void
test_set_at_run_time(void **state)
{
    (void)state;
    assert_int_equal(set("purge_window_ms", "7"), 0);
    assert_int_equal(option_load(purge_window_ms), 7);
    assert_int_equal(set("purge_window_ms", "seven"), EINVAL);
    assert_int_equal(set("purge_window_ms", "3600001"), ERANGE);
    assert_int_equal(set("purge_windows_ms", "7"), ENOENT);
    assert_int_equal(set("", "7"), ENOENT);
    assert_int_equal(set("reserve", "64M"), EPERM);
    assert_int_equal(option_load(purge_window_ms), 7);
    get("purge_window_ms");
    assert_string_equal(text, "7");
    /* The layers below have their copy. */
    assert_int_equal(set("abort", "false"), 0);
    assert_false(report_aborts);
    assert_int_equal(set("abort", "true"), 0);
    assert_true(report_aborts);
}

static void
test_get_formats_as_written(void **state)
{
    fmt_t out;

    (void)state;
    get("reserve");
    assert_string_equal(text, "1T");
    get("purge");
    assert_string_equal(text, "peak");
    get("abort");
    assert_string_equal(text, "true");
    fmt_init_buffer(&out, text, sizeof text);
    assert_int_equal(options_get_by_name("abor", 4, &out), ENOENT);
}

/* ---- the sources --------------------------------------------------------------------------- */

static void
test_environment_is_read_and_errno_kept(void **state)
{
    (void)state;
    setenv("TIDE_CONFX", "background:true", 1);
    setenv("TIDE_CONF", "background:false,purge_window_ms:3", 1);
    errno = E2BIG;
    options_init();
    assert_int_equal(errno, E2BIG);
    assert_false(tide_opt.background);
    assert_int_equal(tide_opt.purge_window_ms, 3);
    unsetenv("TIDE_CONF");
    tide_opt = at_start;
    options_init();
    assert_true(tide_opt.background);
}

/* In the child: the environment that exec left, read from /proc since environ is not there. */
static int
without_environ(void)
{
    environ = NULL;
    memset(&tide_opt, 0, sizeof tide_opt);
    options_init();
    return tide_opt.purge_window_ms == 77 && tide_opt.hole_purge ? 0 : 1;
}

static void
test_environ_not_yet_there(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
    if (access("/proc/self/environ", R_OK) != 0) {
        return;
    }
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *argv[] = {(char *)program, "without-environ", NULL};
        char *envp[] = {"TIDE_CONFIG=background:true", "ATIDE_CONF=background:true",
                        "TIDE_CONF=purge_window_ms:77,hole_purge:true", "ZTIDE_CONF=x", NULL};

        execve(program, argv, envp);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- listings ------------------------------------------------------------------------------ */

static void
test_help_names_every_option(void **state)
{
    fmt_t out;
    char line[64];

    (void)state;
    tide_opt.background = false;
    fmt_init_buffer(&out, text, sizeof text);
    options_write_help(&out);
    assert_false(fmt_is_truncated(&out));
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(line, sizeof line, "\n  %s:", rows[i].name);
        assert_non_null(strstr(text, line));
        assert_non_null(strstr(text, rows[i].brief));
    }
    assert_non_null(strstr(text, "  background:true   now false\n"));
    assert_non_null(strstr(text, "(bytes, 64M to 64T)"));
}

static void
test_json_listings_are_valid(void **state)
{
    fmt_t out;

    (void)state;
    strcpy(tide_opt.stats, "quote\" back\\slash \xff");
    fmt_init_buffer(&out, text, sizeof text);
    options_write_json(&out);
    assert_false(fmt_is_truncated(&out));
    assert_true(json_is_valid(text));
    assert_non_null(strstr(text, "\"name\":\"keeper_interval_ms\",\"type\":\"int\",\"unit\":\"ms\","
                                 "\"min\":1,\"max\":60000,\"default\":100,\"value\":100,"
                                 "\"runtime\":true,\"stable\":false"));
    fmt_init_buffer(&out, text, sizeof text);
    options_write_values_json(&out);
    assert_true(json_is_valid(text));
    assert_int_equal(json_number(text, "reserve"), tide_opt.reserve);
}

static void
test_changed_lists_differences_only(void **state)
{
    fmt_t out;

    (void)state;
    parse("background:false,stats:x.%p,huge_threshold:1M");
    fmt_init_buffer(&out, text, sizeof text);
    options_write_changed(&out);
    assert_string_equal(text, "stats:x.%p,background:false,huge_threshold:1M");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_table_is_sound, restore),
        cmocka_unit_test_setup(test_value_read_back_is_accepted, restore),
        cmocka_unit_test_setup(test_bool_words, restore),
        cmocka_unit_test_setup(test_bool_words_of_enums, restore),
        cmocka_unit_test_setup(test_size_suffixes_and_bounds, restore),
        cmocka_unit_test_setup(test_int_bounds, restore),
        cmocka_unit_test_setup(test_enum_words, restore),
        cmocka_unit_test_setup(test_string_length_and_characters, restore),
        cmocka_unit_test_setup(test_unknown_option_is_named, restore),
        cmocka_unit_test_setup(test_long_unknown_key_is_cut, restore),
        cmocka_unit_test_setup(test_blanks_commas_and_comments, restore),
        cmocka_unit_test_setup(test_good_entries_hold_beside_bad_ones, restore),
        cmocka_unit_test_setup(test_last_value_counts, restore),
        cmocka_unit_test_setup(test_garbage_does_not_flood, restore),
        cmocka_unit_test_setup(test_set_at_run_time, restore),
        cmocka_unit_test_setup(test_get_formats_as_written, restore),
        cmocka_unit_test_setup(test_environment_is_read_and_errno_kept, restore),
        cmocka_unit_test_setup(test_environ_not_yet_there, restore),
        cmocka_unit_test_setup(test_help_names_every_option, restore),
        cmocka_unit_test_setup(test_json_listings_are_valid, restore),
        cmocka_unit_test_setup(test_changed_lists_differences_only, restore),
    };
    int failed;

    if (argc > 1 && strcmp(argv[1], "without-environ") == 0) {
        return without_environ();
    }
    program = argv[0];
    at_start = tide_opt;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tide_opt = at_start;
    options_apply_runtime();
    return failed;
}
