/* SPDX-License-Identifier: MIT */
/* tool/flame: the tree that stacks make, its sums, and what is too small. Names are made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tool/flame.h"

static struct profile profile;
static struct report report;
static char drawn[4096];

/* Location i of `names` stands for these functions, the innermost first; a space separates them,
 * and "?" has no name. */
static void
name_places(const char *const *names, size_t count)
{
    struct symbols *s = &report.symbols;
    char text[128], *save;

    s->first = calloc(count + 1, sizeof *s->first);
    for (size_t i = 0; i < count; i++) {
        s->first[i] = (uint32_t)s->frame_count;
        strcpy(text, names[i]);
        for (char *name = strtok_r(text, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
            s->frames = tool_grow(s->frames, s->frame_count, &s->frame_room, sizeof *s->frames);
            s->frames[s->frame_count++] = (struct symbol_frame){
                .function = name[0] == '?' ? NULL : tool_pool_text(&s->pool, name, strlen(name))};
        }
    }
    s->first[count] = (uint32_t)s->frame_count;
}

static void
begin(const char *const *names, size_t count)
{
    struct profile_module *m = profile_add_module(&profile);

    m->path = "/lib/sea.so";
    report = (struct report){.profile = &profile};
    drawn[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(profile_add_location(&profile, 1, 16 * i), i);
    }
    name_places(names, count);
}

/* A site of so many live bytes; frames are locations, the innermost first. */
static void
add_site(int64_t live, int64_t growth, const char *frames)
{
    struct profile_site *site = profile_add_site(&profile, (uint32_t)strlen(frames));

    site->figures.live_bytes = live;
    site->figures.growth_bytes = growth;
    for (uint32_t i = 0; frames[i] != '\0'; i++) {
        site->frames[i] = (uint32_t)(frames[i] - '0');
    }
}

static void
end(void)
{
    free(report.symbols.first);
    free(report.symbols.frames);
    tool_pool_free(&report.symbols.pool);
    profile_free(&profile);
    memset(&profile, 0, sizeof profile);
}

static void
weigh(const struct report *r, const struct profile_site *site, int64_t *values)
{
    assert_ptr_equal(r, &report);
    values[0] = site->figures.live_bytes;
    values[1] = site->figures.growth_bytes;
}

static void
enter(void *context, const struct flame_node *node)
{
    char *name = flame_name(&report, node);
    size_t length = strlen(drawn);

    assert_ptr_equal(context, drawn);
    snprintf(drawn + length, sizeof drawn - length, "%s:%d", name, (int)node->values[0]);
    length = strlen(drawn);
    snprintf(drawn + length, sizeof drawn - length, "%s%zu(", node->values[1] < 0 ? "-" : "/",
             node->sites);
    free(name);
}

static void
leave(void *context, const struct flame_node *node)
{
    (void)node;
    strcat(context, ")");
}

static size_t
draw(int64_t parts, const uint32_t *sites, size_t site_count)
{
    struct flame_plan plan = {.report = &report,
                              .sites = sites,
                              .site_count = site_count,
                              .weigh = weigh,
                              .deciding = 1,
                              .parts = parts,
                              .enter = enter,
                              .leave = leave,
                              .context = drawn};

    return flame_walk(&plan);
}

static void
test_calls_of_one_function_are_one_frame(void **state)
{
    static const char *const names[] = {"main", "main", "wave", "crest wave", "foam"};

    (void)state;
    begin(names, 5);
    add_site(10, -1, "20"); /* main wave */
    add_site(30, 0, "31");  /* main wave crest, inlined, from elsewhere in main */
    add_site(5, 0, "421");  /* main wave foam */
    add_site(1, 0, "2");
    add_site(7, 0, "");
    assert_int_equal(draw(1000, NULL, 0), 0);
    assert_string_equal(drawn,
                        "all:53-5((no stack):7/1()main:45-3(wave:45-3(crest:30/1()foam:5/1())"
                        ")wave:1/1())");
    end();
}

static void
test_small_frames_are_one(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "?"};

    (void)state;
    begin(names, 5);
    add_site(900, 0, "10"); /* a b */
    add_site(60, 0, "20");  /* a c */
    add_site(39, 0, "30");  /* a d */
    add_site(1, 0, "431");
    add_site(0, 5, "40");
    assert_int_equal(draw(10, NULL, 0), 3);
    assert_string_equal(drawn,
                        "all:1000/5(a:999/4(b:900/1()(small ones):99/2())(small ones):1/1())");
    end();
}

static void
test_places_without_names_and_chosen_sites(void **state)
{
    static const char *const names[] = {"?", "?", "main"};
    static const uint32_t sites[] = {2, 0};

    (void)state;
    begin(names, 3);
    add_site(2, 0, "02");
    add_site(4, 0, "12");
    add_site(8, 0, "12");
    assert_int_equal(draw(1000, sites, 2), 0);
    assert_string_equal(drawn, "all:10/2(main:10/2(sea.so+0x0:2/1()sea.so+0x10:8/1()))");
    end();
}

static void
test_nothing_and_too_much(void **state)
{
    static const char *const names[] = {"a"};

    (void)state;
    begin(names, 1);
    draw(10, NULL, 0);
    assert_string_equal(drawn, "all:0/0()");
    drawn[0] = '\0';
    add_site(INT64_MAX, 0, "0");
    add_site(INT64_MAX, 0, "00");
    assert_int_equal(draw(10, NULL, 0), 0);
    assert_non_null(strstr(drawn, "a:-1/2(a:-1/1())")); /* the end of the range, cut to an int */
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_of_one_function_are_one_frame),
        cmocka_unit_test(test_small_frames_are_one),
        cmocka_unit_test(test_places_without_names_and_chosen_sites),
        cmocka_unit_test(test_nothing_and_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
