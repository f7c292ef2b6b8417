/* SPDX-License-Identifier: MIT */
/* tool/json: what comes out is JSON, whatever goes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tool/json.h"

static char *text;
static size_t length;
static struct json j;

static void
begin(void)
{
    j = (struct json){.out = open_memstream(&text, &length)};
}

static void
expect(const char *wanted)
{
    fclose(j.out);
    assert_string_equal(text, wanted);
    assert_true(json_is_valid(text));
    free(text);
}

static void
test_structure(void **state)
{
    (void)state;
    begin();
    json_open(&j, NULL, '{');
    json_number(&j, "a", -5);
    json_open_row(&j, "b", '[');
    json_unsigned(&j, NULL, UINT64_MAX);
    json_bool(&j, NULL, false);
    json_close(&j, ']');
    json_open(&j, "c", '[');
    json_close(&j, ']');
    json_close(&j, '}');
    expect("{\n \"a\": -5,\n \"b\": [18446744073709551615, false],\n \"c\": []\n}");
}

static void
test_in_a_page(void **state)
{
    (void)state;
    begin();
    j.in_page = true;
    json_open(&j, NULL, '{');
    json_text(&j, "a<", "</script><!--");
    json_open(&j, "b", '[');
    json_unsigned(&j, NULL, 1);
    json_open(&j, NULL, '[');
    json_close(&j, ']');
    json_close(&j, ']');
    json_close(&j, '}');
    expect("{\"a\\u003c\":\"\\u003c/script>\\u003c!--\",\"b\":[1,[]]}");
}

static void
test_thousandths(void **state)
{
    (void)state;
    begin();
    json_open_row(&j, NULL, '[');
    json_thousandths(&j, NULL, 0);
    json_thousandths(&j, NULL, 12000);
    json_thousandths(&j, NULL, -1);
    json_thousandths(&j, NULL, 1050);
    json_thousandths(&j, NULL, INT64_MIN);
    json_close(&j, ']');
    expect("[0, 12, -0.001, 1.050, -9223372036854775.808]");
}

static void
test_texts(void **state)
{
    (void)state;
    begin();
    json_text(&j, NULL, "a\"b\\c\n\x01\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8a");
    expect("\"a\\\"b\\\\c\\u000a\\u0001\\u007f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8a\"");
    begin();
    json_text(&j, NULL, "\xff \xc3 \xe2\x82 \xc0\x80 \xed\xa0\x80 \xf5\x80\x80\x80 \xc3");
    expect("\"\\ufffd \\ufffd \\ufffd\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
           "\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\"");
}

static void
test_embedding(void **state)
{
    (void)state;
    begin();
    json_open_row(&j, NULL, '[');
    json_embed(&j, NULL, "{\"a\": 1}");
    json_embed(&j, NULL, "{\"a\": }");
    json_close(&j, ']');
    expect("[{\"a\": 1}, \"{\\\"a\\\": }\"]");
}

static void
test_what_is_json(void **state)
{
    static const char *const good[] = {
        "{}",  "[]",        " [1, -2.5e+3 ,{\"a\":[]}] ", "\"\\u00e9\\n\"", "null", "0", "-0.1",
        "1E5", "[[[true]]]"};
    static const char *const bad[] = {
        "",   "{",   "}",        "[1,]",        "{\"a\"}",   "{a:1}", "01",    "1.",
        ".5", "\"a", "\"\\x\"",  "\"\\u12g4\"", "nul",       "[1 2]", "{} {}", "\"\t\"",
        "+1", "1e",  "\"\xff\"", "[",           "{\"a\":1,", "-",     "\"\\"};
    char deep[5000];
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!json_is_valid(good[i])) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (json_is_valid(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_false(json_is_valid(deep));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),   cmocka_unit_test(test_in_a_page),
        cmocka_unit_test(test_thousandths), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_embedding),   cmocka_unit_test(test_what_is_json),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
