/* SPDX-License-Identifier: MIT */
/* tool/reader: whole files are read as they are, damaged ones up to the damage and no further. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/random.h"
#include "tool/profile.h"

static unsigned char file[1 << 16];
static size_t length;
static struct profile p;
static struct profile_problem problem;

/* ---- Files, byte by byte --------------------------------------------------------------------- */

static void
put(const void *bytes, size_t n)
{
    memcpy(file + length, bytes, n);
    length += n;
}

static void
put_word(size_t at, uint32_t word)
{
    for (size_t i = 0; i < 4; i++) {
        file[at + i] = (unsigned char)(word >> 8 * i);
    }
}

static void
begin_file(void)
{
    length = 0;
    put("\x89TIDE\r\n\x1a\1\0\0\0", 12);
}

static void
section(const char *tag, const void *payload, size_t n)
{
    size_t start = length;

    put(tag, 4);
    put("\0\0\0\0", 4);
    put_word(start + 4, (uint32_t)n);
    put(payload, n);
    put("\0\0\0\0", 4);
    put_word(length - 4, (uint32_t)crc32(0, file + start, (uInt)(n + 8)));
}

#define SECTION(tag, payload) section(tag, payload, sizeof(payload) - 1)

/* Two modules (the second has build-id ab cd), META and a site of two frames and an address. */
#define META                                                                                       \
    "\7program\4/a/b\4rate\3"                                                                      \
    "512"
#define MODS "\2\x80\x20\x80\x20\0\0\4/a/b\x80\x40\x80\x20\x80\x20\2\xab\xcd\5/lib1"
#define SITE                                                                                       \
    "\1\3\1\x10\2\x90\x20\0\x7f"                                                                   \
    "\2\xc8\1\2"                                                                                   \
    "\1\2\xe8\7\1"

static void
begin_good(void)
{
    begin_file();
    SECTION("META", META);
    SECTION("MODS", MODS);
    SECTION("SITE", SITE);
}

static bool
parse(void)
{
    unsigned char *copy = malloc(length + 1); /* so that a sanitizer sees a step behind it */
    bool good;

    profile_free(&p);
    memset(&problem, 0, sizeof problem);
    memcpy(copy, file, length);
    copy = realloc(copy, length > 0 ? length : 1);
    good = profile_parse(&p, copy, length, 0, &problem);
    free(copy);
    assert_int_equal(good, !p.incomplete);
    return good;
}

static void
expect_problem(const char *text, uint64_t offset)
{
    assert_false(parse());
    if (strstr(problem.text, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, problem.text);
    }
    assert_int_equal(problem.offset, offset);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void
test_a_whole_file(void **state)
{
    (void)state;
    begin_good();
    SECTION("SERI", "\4live\5bytes\x0a\x14\3\4\1\2");
    SECTION("STAT", "\2{}");
    SECTION("END!", "\5");
    assert_true(parse());
    assert_string_equal(profile_meta(&p, "program"), "/a/b");
    assert_int_equal(profile_meta_number(&p, "rate"), 512);
    assert_int_equal(p.module_count, 2);
    assert_string_equal(p.modules[1].path, "/lib1");
    assert_int_equal(p.modules[1].start, 0x2000);
    assert_int_equal(p.modules[1].size, 0x1000);
    assert_int_equal(p.modules[1].file_offset, 0x1000);
    assert_int_equal(p.modules[1].build_id_length, 2);
    assert_true(p.modules[0].is_main && !p.modules[1].is_main);
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].frame_count, 3);
    assert_int_equal(p.locations[p.sites[0].frames[1]].module, 2);
    assert_int_equal(p.locations[p.sites[0].frames[1]].offset, 0x1010);
    assert_int_equal(p.locations[p.sites[0].frames[2]].module, 0);
    assert_int_equal(p.sites[0].figures.allocated_bytes, 100);
    assert_int_equal(p.sites[0].figures.allocated_blocks, 1);
    assert_int_equal(p.sites[0].figures.samples, 0);
    assert_int_equal(p.sites[0].buckets[0], 1000);
    assert_int_equal(p.sites[0].buckets[1], 1);
    assert_int_equal(p.series_count, 1);
    assert_int_equal(p.series[0].values[0], 2);
    assert_int_equal(p.series[0].values[1], 1);
    assert_int_equal(p.series[0].values[2], 2);
    assert_string_equal(p.stats[0], "{}");
}

/* Cut off anywhere, a file has what the sections before the cut said, and a problem. */
static void
test_every_truncation(void **state)
{
    size_t whole, sites_end;
    (void)state;

    begin_good();
    sites_end = length;
    SECTION("END!", "\3");
    whole = length;
    for (length = 0; length < whole; length++) {
        assert_false(parse());
        assert_true(problem.offset <= length && problem.text[0] != '\0');
        assert_int_equal(p.site_count, length >= sites_end);
    }
    assert_true(parse());
}

/* One wrong bit anywhere is seen, and nothing of the section it is in is used. */
static void
test_every_flipped_bit(void **state)
{
    size_t sites_at, sites_end;
    (void)state;

    begin_file();
    SECTION("MODS", MODS);
    sites_at = length;
    SECTION("SITE", SITE);
    sites_end = length;
    SECTION("END!", "\2");
    for (size_t bit = 0; bit < length * 8; bit++) {
        file[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(parse());
        assert_int_equal(p.site_count, bit / 8 >= sites_end);
        assert_true(p.module_count <= 2 * (bit / 8 >= sites_at));
        file[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}

static void
test_headers(void **state)
{
    (void)state;
    length = 0;
    expect_problem("empty", 0);
    begin_file();
    expect_problem("END section is missing", 12);
    file[8] = 2;
    expect_problem("version 2", 8);
    begin_file();
    file[9] = 1;
    expect_problem("header", 9);
    begin_file();
    memmove(file + 5, file + 6, 6); /* as a copy in text mode: \r\n became \n */
    length--;
    expect_problem("copied as text", 0);
    memcpy(file, "PK\3\4abcdefgh", 12);
    expect_problem("no .tide file", 0);
}

static void
test_sections_that_are_not_as_they_should_be(void **state)
{
    static const struct {
        const char *tag, *payload;
        size_t length;
        const char *text;
    } bad[] = {
#define BAD(tag, payload, text) {tag, payload, sizeof(payload) - 1, text}
        BAD("SITE", "\1\1\3\0\0\0", "not listed"),
        BAD("SITE", "\2\0\0\0", "than its bytes can hold"),
        BAD("SITE", "\1\0\7\0", "than its bytes can hold"),
        BAD("SITE", "\1\0\1\x80", "within a number"),
        BAD("SITE", "\1\0\0\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "more blocks than"),
        BAD("SITE", "\1\0\0\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", "64 bits"),
        BAD("SITE", "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0", "64 bits"),
        BAD("SITE", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "than its bytes can hold"),
        BAD("META", "\3abc\5ab", "longer than"),
        BAD("META", "\3a\0c\1b", "zero byte"),
        BAD("META", "\3abc", "within a number"),
        BAD("MODS", "\0", "two sections"),
        BAD("SERI", "\1a\1b\1\1\7\1", "than its bytes can hold"),
        BAD("END!", "\7", "another number"),
        BAD("END!", "", "within a number"),
    };
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin_good();
        section(bad[i].tag, bad[i].payload, bad[i].length);
        assert_false(parse());
        if (strstr(problem.text, bad[i].text) == NULL || strstr(problem.text, bad[i].tag) == NULL) {
            fail_msg("%zu: '%s'", i, problem.text);
        }
        assert_int_equal(p.site_count, 1);
        assert_int_equal(p.module_count, 2);
    }
}

/* A good site before a bad one in the same section goes with it. */
static void
test_a_section_counts_as_a_whole(void **state)
{
    (void)state;
    begin_good();
    SECTION("SITE", "\2\0\1\4\0\1\7\0\0\0");
    expect_problem("not listed", length - 6); /* behind the frame, before two counts and the sum */
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].frame_count, 3);
}

static void
test_modules_come_before_sites(void **state)
{
    (void)state;
    begin_file();
    SECTION("SITE", SITE);
    assert_false(parse());
    assert_int_equal(p.site_count, 0);
}

static void
test_bad_modules(void **state)
{
    (void)state;
    begin_file();
    SECTION("MODS", "\1\0\2\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\0");
    assert_false(parse());
    assert_non_null(strstr(problem.text, "what a file can be"));
    assert_int_equal(p.module_count, 0);
    begin_file();
    SECTION("MODS", "\1\0\0\0\x41"
                    "0123456789012345678901234567890123456789012345678901234567890123x\0");
    assert_false(parse());
    assert_non_null(strstr(problem.text, "build-id"));
}

/* What a later version of the library may add is no trouble. */
static void
test_what_is_not_known_is_skipped(void **state)
{
    (void)state;
    begin_file();
    SECTION("NEW1", "anything");
    SECTION("MODS", MODS "and more");
    /* 12 figures; 5 histograms, the first of 15 buckets. */
    SECTION("SITE", "\1\0\x0c\2\2\2\2\2\2\2\2\2\2\2\2"
                    "\5\x0f\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0\0\0\1\5"
                    "more");
    SECTION("END!", "\3more");
    assert_true(parse());
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].figures.live_samples, 1);
    assert_int_equal(p.sites[0].buckets[PROFILE_DECADES - 1], 3);
    assert_int_equal(p.sites[0].buckets[PROFILE_DECADES], 0);
}

static void
test_bytes_behind_the_end(void **state)
{
    (void)state;
    begin_good();
    SECTION("END!", "\3");
    put("x", 1);
    expect_problem("behind the END", length - 1);
    assert_int_equal(p.site_count, 1);
}

static void
test_equal_sites_are_added_up(void **state)
{
    (void)state;
    begin_good();
    SECTION("SITE", SITE);
    SECTION("END!", "\4");
    assert_true(parse());
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].figures.allocated_bytes, 200);
}

static void
test_what_is_written_is_read(void **state)
{
    unsigned char *once, *twice;
    size_t n, m;
    (void)state;

    begin_good();
    SECTION("SITE", "\1\0\1\xc7\1\0"); /* a negative figure, no frames */
    SECTION("SERI", "\4live\5bytes\x0a\x14\3\4\1\2");
    SECTION("STAT", "\2{}");
    SECTION("END!", "\6");
    assert_true(parse());
    once = profile_encode(&p, &n);
    profile_free(&p);
    assert_true(profile_parse(&p, once, n, 0, &problem));
    assert_int_equal(p.site_count, 2);
    assert_int_equal(p.sites[0].figures.allocated_bytes, -100);
    twice = profile_encode(&p, &m);
    assert_int_equal(n, m);
    assert_memory_equal(once, twice, n);
    free(once);
    free(twice);
}

/* Any bytes at all behind a good header, their sums not looked at. */
static void
test_random_bytes(void **state)
{
    static const char *const tags[] = {"META", "MODS", "SITE", "SERI", "STAT", "END!"};
    uint64_t seed = 7;
    (void)state;

    for (unsigned i = 0; i < 20000; i++) {
        unsigned char payload[64];
        begin_file();
        for (unsigned k = 0; k < 4; k++) {
            size_t n = random_next(&seed) % sizeof payload;
            for (size_t b = 0; b < n; b++) {
                payload[b] = (unsigned char)(random_next(&seed) >> 40) >> (random_next(&seed) % 8);
            }
            section(tags[random_next(&seed) % 6], payload, n);
        }
        parse();
    }
}

static int
free_profile(void **state)
{
    (void)state;
    profile_free(&p);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_sections_that_are_not_as_they_should_be),
        cmocka_unit_test(test_a_section_counts_as_a_whole),
        cmocka_unit_test(test_modules_come_before_sites),
        cmocka_unit_test(test_bad_modules),
        cmocka_unit_test(test_what_is_not_known_is_skipped),
        cmocka_unit_test(test_bytes_behind_the_end),
        cmocka_unit_test(test_equal_sites_are_added_up),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, free_profile);
}
