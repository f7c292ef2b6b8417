/* SPDX-License-Identifier: MIT */
/* tool/profile: what is the same becomes one; in which order profiles are merged is not seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "tool/profile.h"

static void
add_module(struct profile *p, const char *path, const char *id, uint64_t start, uint64_t offset)
{
    struct profile_module *m = profile_add_module(p);

    m->path = tool_pool_text(&p->pool, path, strlen(path));
    m->build_id = (unsigned char *)tool_pool_text(&p->pool, id, strlen(id));
    m->build_id_length = strlen(id);
    m->start = start;
    m->file_offset = offset;
    m->size = 0x1000;
    m->is_main = p->module_count == 1;
}

/* A site with two frames: places in the modules of these numbers. */
static struct profile_site *
add_site(struct profile *p, uint32_t module, uint64_t offset, int64_t bytes)
{
    uint32_t inner = profile_add_location(p, module, offset);
    uint32_t outer = profile_add_location(p, 1, 0x10);
    struct profile_site *s = profile_add_site(p, 2);

    s->frames[0] = inner;
    s->frames[1] = outer;
    s->figures.live_bytes = bytes;
    s->buckets[3] = 1000;
    return s;
}

static void
make_random(struct profile *p, uint64_t seed)
{
    static const char *const ids[] = {"aaaa", "bbbb", "cccc", "", ""};
    static const char *const paths[] = {"/a", "/b", "/c", "/d", "/e"};
    char text[32];
    unsigned count = 1 + (unsigned)(random_next(&seed) % 4);

    *p = (struct profile){0};
    for (unsigned i = 0; i < count; i++) {
        unsigned k = (unsigned)(random_next(&seed) % 5);
        add_module(p, paths[random_next(&seed) % 5], ids[k], random_next(&seed) % 1000 * 0x1000,
                   random_next(&seed) % 4 * 0x1000);
    }
    for (unsigned i = 0; i < 30; i++) {
        add_site(p, (uint32_t)(random_next(&seed) % (count + 1)), random_next(&seed) % 8,
                 (int64_t)(random_next(&seed) % 1000));
    }
    profile_add_site(p, 0)->figures.samples = 3;
    for (unsigned i = 0; i < 2; i++) {
        struct profile_series *s = profile_add_series(p, 2);
        s->name = i == 0 ? "live_bytes" : "rate";
        s->unit = "bytes";
        s->interval_ns = 1 + random_next(&seed) % 2;
        s->values[1] = (int64_t)(random_next(&seed) % 3);
    }
    profile_add_stats(p, random_next(&seed) % 2 ? "{}" : "[1]");
    snprintf(text, sizeof text, "%u", (unsigned)(random_next(&seed) % 3));
    profile_set_meta(p, "pid", text);
    profile_set_meta(p, "program", text);
    profile_set_meta(p, "start_ns", text);
    profile_set_meta(p, "time_ns", text);
    profile_set_meta(p, "duration_ns", text);
    if (random_next(&seed) % 3 == 0) {
        profile_set_meta(p, "incomplete", "true");
    }
    profile_finish(p);
}

/* (a + b) + c, or a + (b + c), of profiles made from these seeds, as bytes. */
static unsigned char *
merged(uint64_t a, uint64_t b, uint64_t c, bool right_first, size_t *length)
{
    struct profile x, y, z, *whole = &x;
    unsigned char *bytes;

    make_random(&x, a);
    make_random(&y, b);
    make_random(&z, c);
    if (right_first) {
        profile_merge(&y, &z);
        profile_merge(&x, &y);
    } else {
        profile_merge(&x, &y);
        profile_merge(&x, &z);
    }
    bytes = profile_encode(whole, length);
    profile_free(&x);
    profile_free(&y);
    profile_free(&z);
    return bytes;
}

static void
test_merge_is_associative_and_commutative(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;

    for (uint64_t seed = 1; seed < 200; seed++) {
        size_t length, other;
        unsigned char *first = merged(seed, seed + 1000, seed + 2000, false, &length);
        for (unsigned i = 0; i < 12; i++) {
            const unsigned *o = orders[i / 2];
            unsigned char *bytes =
                merged(seed + o[0] * 1000, seed + o[1] * 1000, seed + o[2] * 1000, i % 2, &other);
            assert_int_equal(other, length);
            assert_memory_equal(bytes, first, length);
            free(bytes);
        }
        free(first);
    }
}

static void
test_merge_adds_up(void **state)
{
    struct profile a = {0}, b = {0};
    (void)state;

    add_module(&a, "/bin/main", "id-1", 0x10000, 0x1000);
    add_site(&a, 1, 7, 100);
    profile_finish(&a);
    add_module(&b, "/elsewhere/main", "id-1", 0x90000, 0x1000);
    add_site(&b, 1, 7, 11);
    add_site(&b, 1, 8, 1000);
    profile_set_meta(&b, "rate", "512");
    profile_finish(&b);
    profile_merge(&a, &b);
    assert_int_equal(a.module_count, 1);
    assert_string_equal(a.modules[0].path, "/bin/main");
    assert_int_equal(a.modules[0].start, 0x10000);
    assert_int_equal(a.site_count, 2);
    assert_int_equal(a.sites[0].figures.live_bytes, 111);
    assert_int_equal(a.sites[0].buckets[3], 2000);
    assert_int_equal(a.sites[1].figures.live_bytes, 1000);
    assert_int_equal(profile_total(&a).live_bytes, 1111);
    assert_int_equal(profile_meta_number(&a, "profiles"), 2);
    assert_int_equal(profile_meta_number(&a, "rate"), 512);
    profile_free(&a);
    profile_free(&b);
}

static void
test_sums_stay_at_the_ends(void **state)
{
    struct profile p = {0};
    (void)state;

    add_module(&p, "/m", "", 0, 0);
    add_site(&p, 1, 7, INT64_MAX - 1);
    add_site(&p, 1, 7, 100);
    profile_finish(&p);
    assert_int_equal(p.site_count, 1);
    assert_true(p.sites[0].figures.live_bytes == INT64_MAX);
    profile_free(&p);
}

static void
test_two_mappings_of_a_file_are_one_module(void **state)
{
    struct profile p = {0};
    (void)state;

    add_module(&p, "/main", "m", 0x1000, 0);
    add_module(&p, "/lib", "l", 0x705000, 0x5000);
    add_module(&p, "/lib", "l", 0x702000, 0x2000);
    add_site(&p, 2, 0x5010, 1);
    add_site(&p, 3, 0x5010, 2);
    profile_finish(&p);
    assert_int_equal(p.module_count, 2);
    assert_true(p.modules[0].is_main);
    assert_int_equal(p.modules[1].file_offset, 0x2000);
    assert_int_equal(p.modules[1].start, 0x702000);
    assert_int_equal(p.modules[1].size, 0x4000);
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].figures.live_bytes, 3);
    profile_free(&p);
}

static void
test_many_locations_are_found_again(void **state)
{
    struct profile p = {0};
    (void)state;

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 20000; i++) {
            assert_int_equal(profile_add_location(&p, i % 3, i * 4096u), i);
        }
    }
    assert_int_equal(p.location_count, 20000);
    profile_free(&p);
}

static void
test_locations_that_are_mapped_together(void **state)
{
    struct profile p = {0};
    uint32_t map[3] = {0, 1, 1};
    (void)state;

    add_module(&p, "/m", "", 0, 0);
    add_site(&p, 1, 0x20, 5);
    add_site(&p, 1, 0x30, 6);
    profile_finish(&p);
    assert_int_equal(p.location_count, 3);
    profile_map_locations(&p, map);
    assert_int_equal(p.site_count, 1);
    assert_int_equal(p.sites[0].figures.live_bytes, 11);
    profile_free(&p);
}

static void
test_nothing_is_a_profile(void **state)
{
    struct profile a = {0}, b = {0};
    (void)state;

    profile_finish(&a);
    profile_finish(&b);
    profile_merge(&a, &b);
    assert_int_equal(a.site_count, 0);
    assert_null(profile_meta(&a, "program"));
    assert_int_equal(profile_meta_number(&a, "rate"), 0);
    profile_free(&a);
    profile_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_is_associative_and_commutative),
        cmocka_unit_test(test_merge_adds_up),
        cmocka_unit_test(test_sums_stay_at_the_ends),
        cmocka_unit_test(test_two_mappings_of_a_file_are_one_module),
        cmocka_unit_test(test_many_locations_are_found_again),
        cmocka_unit_test(test_locations_that_are_mapped_together),
        cmocka_unit_test(test_nothing_is_a_profile),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
