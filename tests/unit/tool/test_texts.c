/* SPDX-License-Identifier: MIT */
/* tool/texts: equal texts have one number, others have others, and what UTF-8 is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tool/texts.h"

static void
test_equal_texts_have_one_number(void **state)
{
    struct texts t = {0};
    char copy[] = "wave";

    (void)state;
    assert_int_equal(texts_add(&t, "wave"), 0);
    assert_int_equal(texts_add(&t, ""), 1);
    assert_int_equal(texts_add(&t, copy), 0);
    assert_int_equal(texts_add(&t, "waves"), 2);
    assert_int_equal(texts_add(&t, ""), 1);
    assert_int_equal(t.count, 3);
    assert_string_equal(t.texts[2], "waves");
    texts_free(&t);
    assert_int_equal(t.count, 0);
}

static void
test_numbers_stay_while_the_table_grows(void **state)
{
    static char many[20000][8];
    struct texts t = {0};

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(many[i], sizeof many[i], "%x", i * 7);
        assert_int_equal(texts_add(&t, many[i]), i);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        char copy[8];
        memcpy(copy, many[i], sizeof copy);
        assert_int_equal(texts_add(&t, copy), i);
        assert_ptr_equal(t.texts[i], many[i]);
    }
    assert_int_equal(t.count, 20000);
    texts_free(&t);
}

static void
test_sequences(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc3\xa4", 2},
        {"\xe2\x80\xa6", 3},
        {"\xf0\x9f\x8c\x8a", 4},
        {"\x80", 0},
        {"\xc3", 0},
        {"\xc0\x80", 0},
        {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xe2\x80", 0},
        {"\xff", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = texts_sequence_length((const unsigned char *)cases[i].bytes);
        if (length != cases[i].length) {
            fail_msg("case %zu: %zu, not %zu", i, length, cases[i].length);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_texts_have_one_number),
        cmocka_unit_test(test_numbers_stay_while_the_table_grows),
        cmocka_unit_test(test_sequences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
