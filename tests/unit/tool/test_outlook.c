/* SPDX-License-Identifier: MIT */
/*
 * tool/outlook: series of different ends on one grid, outcomes, reasons in words, charts and
 * pictures that stay within their bounds, and answers that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tool/outlook.h"

enum { INTERVAL = 100000000, HORIZON = 4, MIB = 1 << 20 };

static const char ready_text[] =
    "{\"options\":{\"predict\":\"on\"},\"resident_bytes\":7,\"forecasts\":[{\"arena\":\"default\","
    "\"state\":\"forecasting\",\"keep_reason\":\"window\",\"rise_reason\":\"of_the_future\","
    "\"interval_ns\":100000000,\"horizon_ns\":400000000,\"forecast_bytes\":5242880}]}";

static void
add_series(struct profile *p, const char *name, uint64_t time_ns, const int64_t *values,
           uint32_t count)
{
    struct profile_series *s = profile_add_series(p, count);

    s->name = name;
    s->unit = "bytes";
    s->interval_ns = INTERVAL;
    s->time_ns = time_ns;
    memcpy(s->values, values, count * sizeof *values);
}

/* Eight samples, of which the forecasts of the last four are known. */
static void
make(struct profile *p)
{
    static const int64_t level[] = {1 * MIB, 3 * MIB, 2 * MIB, 2 * MIB,
                                    2 * MIB, 2 * MIB, 2 * MIB, 4 * MIB};
    static const int64_t upper[] = {-1, -1, -1, -1, 5 * MIB, 5 * MIB, 5 * MIB, 6 * MIB};
    static const int64_t forecast[] = {-1, -1, -1, -1, 4 * MIB, 4 * MIB, 4 * MIB, 5 * MIB};
    static const int64_t lower[] = {-1, -1, -1, -1, 2 * MIB, 2 * MIB, 2 * MIB, 2 * MIB};
    uint64_t start_ns = 5000000000u, ahead_ns = start_ns + HORIZON * (uint64_t)INTERVAL + 900;

    *p = (struct profile){0};
    profile_add_stats(p, ready_text);
    add_series(p, "forecast/level_bytes", start_ns, level, 8);
    add_series(p, "forecast/upper_bytes", ahead_ns, upper, 8);
    add_series(p, "forecast/forecast_bytes", ahead_ns, forecast, 8);
    add_series(p, "forecast/lower_bytes", ahead_ns, lower, 8);
    add_series(p, "live_bytes", start_ns, level, 8);
}

static void
test_all_series_are_on_one_grid(void **state)
{
    static const int64_t outcomes[] = {-1, -1, -1, 3 * MIB, 3 * MIB, 2 * MIB, 2 * MIB, 4 * MIB};
    struct profile p;
    struct outlook o;

    (void)state;
    make(&p);
    assert_true(outlook_take(&o, &p));
    assert_int_equal(o.past, 8);
    assert_int_equal(o.count, 12);
    for (size_t i = 0; i < o.count; i++) {
        const int64_t *v = o.points[i].values;

        assert_int_equal(v[OUTLOOK_outcome_bytes], i < 8 ? outcomes[i] : OUTLOOK_UNKNOWN);
        assert_int_equal(v[OUTLOOK_kept_bytes], OUTLOOK_UNKNOWN);
        assert_true((v[OUTLOOK_forecast_bytes] < 0) == (i < 8));
    }
    assert_int_equal(o.points[11].values[OUTLOOK_upper_bytes], 6 * MIB);
    assert_int_equal(outlook_highest(&o), 6 * MIB);
    outlook_free(&o);
    profile_free(&p);
}

static void
test_words_and_figures(void **state)
{
    struct profile p;
    struct outlook o;

    (void)state;
    make(&p);
    assert_true(outlook_take(&o, &p));
    assert_true(outlook_is_ready(&o));
    assert_int_equal(outlook_figure(&o, "forecast_bytes"), 5 * MIB);
    assert_int_equal(outlook_figure(&o, "colour"), 0);
    assert_int_equal(outlook_statistic(&o, "resident_bytes"), 7);
    assert_non_null(strstr(outlook_reason(&o, "keep_reason"), "in use lately"));
    /* of a library that has more reasons */
    assert_string_equal(outlook_reason(&o, "rise_reason"), "of_the_future");
    assert_string_equal(outlook_word(&o, "colour"), "");
    outlook_free(&o);
    profile_free(&p);
}

struct lines {
    size_t count, longest, marks;
};

static void
count_line(void *context, const char *text)
{
    struct lines *lines = context;
    size_t length = strlen(text);

    lines->count++;
    lines->longest = length > lines->longest ? length : lines->longest;
    for (; *text != '\0'; text++) {
        lines->marks += *text == '#' || *text == '+';
    }
}

static void
test_charts_are_as_large_as_they_may_be(void **state)
{
    static const size_t sizes[][2] = {{100, 20}, {40, 10}, {22, 5}, {0, 0}, {10000, 3}};
    struct profile p;
    struct outlook o;

    (void)state;
    make(&p);
    assert_true(outlook_take(&o, &p));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct lines lines = {0};

        outlook_chart(&o, sizes[i][0], sizes[i][1], count_line, &lines);
        assert_int_equal(lines.count, sizes[i][1] > 4 ? sizes[i][1] : 4);
        assert_true(lines.longest <= 80);
        assert_true(lines.marks > 8);
    }
    outlook_free(&o);
    profile_free(&p);
}

static void
test_pictures_have_a_band_and_no_more_than_there_is(void **state)
{
    struct profile p;
    struct outlook o;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    (void)state;
    make(&p);
    profile_set_meta(&p, "program", "/bin/<script>&");
    assert_true(outlook_take(&o, &p));
    outlook_html(&o, &p, out);
    fclose(out);
    assert_non_null(strstr(text, "&lt;script&gt;&amp;"));
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "<polygon class=\"band\""));
    assert_null(strstr(text, "<polygon class=\"kept\"")); /* there is no such series */
    assert_null(strstr(text, "nan"));
    free(text);
    outlook_free(&o);
    profile_free(&p);
}

static void
test_lies_are_left_out(void **state)
{
    static const int64_t value[] = {INT64_MAX, 1, INT64_MIN};
    static const char *const texts[] = {"[]", "{", "{\"forecasts\":7}",
                                        "{\"forecasts\":[{\"state\":\"forecasting\"}]}"};
    struct profile p = {0};
    struct outlook o;

    (void)state;
    assert_false(outlook_take(&o, &p)); /* no statistics */
    outlook_free(&o);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct lines lines = {0};

        p = (struct profile){0};
        profile_add_stats(&p, texts[i]);
        add_series(&p, "forecast/level_bytes", 1000, value, 3);
        add_series(&p, "forecast/upper_bytes", UINT64_MAX, value, 3); /* of no time near */
        add_series(&p, "forecast/lower_bytes", 0, value, 3);
        (void)outlook_take(&o, &p);
        assert_true(o.count <= 3);
        assert_int_equal(outlook_figure(&o, "level_bytes"), 0);
        outlook_chart(&o, 60, 10, count_line, &lines);
        assert_int_equal(lines.count, 10);
        outlook_free(&o);
        profile_free(&p);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_series_are_on_one_grid),
        cmocka_unit_test(test_words_and_figures),
        cmocka_unit_test(test_charts_are_as_large_as_they_may_be),
        cmocka_unit_test(test_pictures_have_a_band_and_no_more_than_there_is),
        cmocka_unit_test(test_lies_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
