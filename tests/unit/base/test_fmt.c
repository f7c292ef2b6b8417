/* SPDX-License-Identifier: MIT */
/* base/fmt: every text it makes, and the edges of the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"

static char text[4096];
static fmt_t out;

static fmt_t *
begin(void)
{
    memset(text, '#', sizeof text);
    fmt_init_buffer(&out, text, sizeof text);
    return &out;
}

/* What was formatted since begin() is exactly this, and counted right. */
#define expect_text(expected)                                                                      \
    do {                                                                                           \
        assert_string_equal(text, expected);                                                       \
        assert_int_equal(out.len, strlen(expected));                                               \
        assert_int_equal(out.total_bytes, strlen(expected));                                       \
        assert_false(fmt_is_truncated(&out));                                                      \
    } while (0)

static void
test_numbers_at_their_limits(void **state)
{
    fmt_t *f = begin();

    (void)state;
    fmt_u64(f, 0);
    fmt_char(f, ' ');
    fmt_u64(f, UINT64_MAX);
    fmt_char(f, ' ');
    fmt_i64(f, INT64_MIN);
    fmt_char(f, ' ');
    fmt_i64(f, INT64_MAX);
    fmt_char(f, ' ');
    fmt_hex(f, UINT64_MAX);
    fmt_char(f, ' ');
    fmt_hex(f, 0);
    fmt_char(f, ' ');
    fmt_ptr(f, NULL);
    fmt_char(f, ' ');
    fmt_ptr(f, (void *)(uintptr_t)0xdeadbeef);
    expect_text(
        "0 18446744073709551615 -9223372036854775808 9223372036854775807 ffffffffffffffff 0 "
        "0x0 0xdeadbeef");
}

static void
test_widths_pad_and_never_cut(void **state)
{
    fmt_t *f = begin();

    (void)state;
    fmt_u64_width(f, 42, 5);
    fmt_u64_width(f, 123456, 5);
    fmt_char(f, '|');
    fmt_str_width(f, "ab", 4);
    fmt_str_width(f, "abcdef", 4);
    fmt_char(f, '|');
    expect_text("   42123456|ab  abcdef|");
}

static void
test_milliseconds_truncate(void **state)
{
    fmt_t *f = begin();

    (void)state;
    fmt_ms_from_ns(f, 1234567);
    fmt_char(f, ' ');
    fmt_ms_from_ns(f, 999);
    fmt_char(f, ' ');
    fmt_ms_from_ns(f, 5000000000);
    fmt_char(f, ' ');
    fmt_ms_from_ns(f, 1000);
    expect_text("1.234 0.000 5000.000 0.001");
}

static void
expect_size(uint64_t bytes, const char *exact, const char *human)
{
    fmt_size(begin(), bytes);
    expect_text(exact);
    fmt_size_human(begin(), bytes);
    expect_text(human);
}

static void
test_sizes(void **state)
{
    (void)state;
    expect_size(0, "0", "0 B");
    expect_size(1023, "1023", "1023 B");
    expect_size(1024, "1K", "1.0 KiB");
    expect_size(25165824, "24M", "24.0 MiB");
    expect_size(25690112, "25088K", "24.5 MiB");
    expect_size((uint64_t)1 << 40, "1T", "1.0 TiB");
    expect_size((uint64_t)1 << 63, "8E", "8.0 EiB");
    expect_size(UINT64_MAX, "18446744073709551615", "15.9 EiB");
    expect_size(1024 * 1024 - 1, "1048575", "1023.9 KiB");
}

static void
test_json_escapes_and_repairs(void **state)
{
    (void)state;
    fmt_json_str(begin(), "a\"b\\c/\n\t\r\x01\x7f");
    expect_text("\"a\\\"b\\\\c/\\n\\t\\r\\u0001\\u007f\"");
    fmt_json_str(begin(), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_text("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    /* a stray continuation, an overlong form, a surrogate, beyond U+10FFFF, a sequence cut short */
    fmt_json_str(begin(), "\x80.\xc0\xaf.\xed\xa0\x80.\xf4\x90\x80\x80.\xe2\x82");
    expect_text("\"\\ufffd.\\ufffd\\ufffd.\\ufffd\\ufffd\\ufffd.\\ufffd\\ufffd\\ufffd\\ufffd."
                "\\ufffd\\ufffd\"");
    fmt_json_mem(begin(), "a\0b", 3);
    expect_text("\"a\\u0000b\"");
    fmt_json_str(begin(), "");
    expect_text("\"\"");
}

static void
test_xml_escapes(void **state)
{
    (void)state;
    fmt_xml_str(begin(), "<a b=\"1&2\">\x02\n");
    expect_text("&lt;a b=&quot;1&amp;2&quot;&gt;?\n");
}

static void
test_printable_stays_on_one_line(void **state)
{
    fmt_t *f = begin();

    (void)state;
    fmt_printable(f, "ab\ncd\x80", 6, 10);
    fmt_char(f, ' ');
    fmt_printable(f, "abcdefgh", 8, 3);
    expect_text("ab?cd? abc...");
}

static void
test_printf_conversions(void **state)
{
    char c = 'x';

    (void)state;
    fmt_printf(begin(), "%s|%.*s|%c|%%|%d|%i|%u|%x|%p", "str", 2, "abcdef", c, -1, INT_MIN, 7u,
               255u, (void *)16);
    expect_text("str|ab|x|%|-1|-2147483648|7|ff|0x10");
    fmt_printf(begin(), "%zu %lu %llu %ld %lld %zd %jd %ju %td %hhu %hd %lx", (size_t)1, 2ul, 3ull,
               -4l, -5ll, (ssize_t)-6, (intmax_t)-7, (uintmax_t)8, (ptrdiff_t)-9, (unsigned char)10,
               (short)-11, 0xabcul);
    expect_text("1 2 3 -4 -5 -6 -7 8 -9 10 -11 abc");
    fmt_printf(begin(), "[%.*s]", -1, "abc");
    expect_text("[]");
}

static void
test_printf_stops_understanding(void **state)
{
    static const char *const formats[] = {"a %08x b", "a %", "a %lq"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fmt_printf(begin(), formats[i]);
#pragma GCC diagnostic pop
        expect_text(formats[i]);
    }
}

static void
test_null_string_is_named(void **state)
{
    (void)state;
    fmt_str(begin(), NULL);
    expect_text("(null)");
}

static void
test_buffer_too_small_keeps_what_fits(void **state)
{
    char small[8];

    (void)state;
    for (size_t cap = 0; cap < sizeof small; cap++) {
        memset(small, '#', sizeof small);
        fmt_init_buffer(&out, small, cap);
        fmt_str(&out, "0123456789");
        assert_true(fmt_is_truncated(&out));
        assert_int_equal(out.total_bytes, 10);
        assert_int_equal(out.len, cap > 0 ? cap - 1 : 0);
        assert_memory_equal(small, "0123456789", out.len);
        if (cap > 0) {
            assert_int_equal(small[cap - 1], '\0');
        }
        assert_int_equal(small[cap], '#');
    }
    fmt_init_buffer(&out, small, 4);
    fmt_str(&out, "abc");
    assert_false(fmt_is_truncated(&out));
    fmt_init_buffer(&out, NULL, 0);
    fmt_str(&out, "only counted");
    assert_int_equal(out.total_bytes, 12);
}

static char collected[256];
static size_t collected_len;
static int sink_error;

static int
collect(void *arg, const char *part, size_t len)
{
    assert_ptr_equal(arg, &collected_len);
    assert_in_range(len, 1, 4);
    memcpy(collected + collected_len, part, len);
    collected_len += len;
    return sink_error;
}

static void
test_sink_gets_everything_in_order(void **state)
{
    char small[4];

    (void)state;
    collected_len = 0;
    sink_error = 0;
    fmt_init_sink(&out, collect, &collected_len, small, sizeof small);
    fmt_str(&out, "0123456789abc");
    assert_int_equal(collected_len, 12);
    assert_int_equal(fmt_flush(&out), 0);
    assert_int_equal(fmt_flush(&out), 0);
    assert_int_equal(collected_len, 13);
    assert_memory_equal(collected, "0123456789abc", 13);
    assert_int_equal(out.total_bytes, 13);
    assert_false(fmt_is_truncated(&out));
}

static void
test_sink_error_stops_and_stays(void **state)
{
    char small[4];

    (void)state;
    collected_len = 0;
    sink_error = EPIPE;
    fmt_init_sink(&out, collect, &collected_len, small, sizeof small);
    fmt_str(&out, "0123456789abc");
    assert_int_equal(fmt_flush(&out), EPIPE);
    assert_int_equal(collected_len, 4);
}

static void
test_fd_writer_preserves_errno(void **state)
{
    char small[16];
    char back[64] = "";
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    errno = E2BIG;
    fmt_init_fd(&out, fds[1], small, sizeof small);
    fmt_printf(&out, "%s %d", "more than sixteen bytes", 42);
    assert_int_equal(fmt_flush(&out), 0);
    assert_int_equal(read(fds[0], back, sizeof back - 1), 26);
    assert_string_equal(back, "more than sixteen bytes 42");
    close(fds[0]);
    close(fds[1]);
    fmt_init_fd(&out, -1, small, sizeof small);
    fmt_str(&out, "x");
    errno = E2BIG;
    assert_int_equal(fmt_flush(&out), EBADF);
    assert_int_equal(errno, E2BIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_at_their_limits),
        cmocka_unit_test(test_widths_pad_and_never_cut),
        cmocka_unit_test(test_milliseconds_truncate),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_json_escapes_and_repairs),
        cmocka_unit_test(test_xml_escapes),
        cmocka_unit_test(test_printable_stays_on_one_line),
        cmocka_unit_test(test_printf_conversions),
        cmocka_unit_test(test_printf_stops_understanding),
        cmocka_unit_test(test_null_string_is_named),
        cmocka_unit_test(test_buffer_too_small_keeps_what_fits),
        cmocka_unit_test(test_sink_gets_everything_in_order),
        cmocka_unit_test(test_sink_error_stops_and_stays),
        cmocka_unit_test(test_fd_writer_preserves_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
