/* SPDX-License-Identifier: MIT */
/*
 * profile/sites: one site for one stack, figures and histograms that agree, growth over the last
 * minute, and what happens when the table is full: nothing is lost, it is counted at site 0.
 */
#include "../unit.h"

#include "profile/sites.h"

enum { MEMORY = 1 << 16 };
#define SECOND ((uint64_t)1000000000)

static int
set_up(void **state)
{
    (void)state;
    return sites_init(MEMORY);
}

static uint32_t
take(const frame_t *frames, size_t depth)
{
    uint32_t place;

    lock_acquire(&profile_lock);
    place = sites_take_locked(frames, depth, site_hash(frames, depth));
    lock_release(&profile_lock);
    return place;
}

static sample_t
allocate(uint32_t site, size_t size, double weight, uint64_t now_ns)
{
    sample_t sample = {
        .site = site, .size = size, .weight = weight, .born_ns = now_ns, .thread = 1};

    lock_acquire(&profile_lock);
    site_allocated_locked(&sample);
    sample.born_clock = site_totals.allocated_bytes;
    lock_release(&profile_lock);
    return sample;
}

static void
release(const sample_t *sample, uint64_t now_ns, uint32_t thread)
{
    lock_acquire(&profile_lock);
    site_freed_locked(sample, now_ns, thread);
    lock_release(&profile_lock);
}

static struct profile_figures
figures_of(uint32_t site, uint64_t now_ns)
{
    struct profile_figures figures;

    lock_acquire(&profile_lock);
    figures = site_figures_locked(site_at(site), now_ns);
    lock_release(&profile_lock);
    return figures;
}

static void
test_a_stack_is_one_site(void **state)
{
    const frame_t one[] = {frame_make(1, 10), frame_make(2, 20)};
    const frame_t other[] = {frame_make(1, 10), frame_make(2, 21)};
    uint32_t place = take(one, 2);

    (void)state;
    assert_true(place != 0);
    assert_int_equal(take(one, 2), place);
    assert_int_equal(sites_find(one, 2, site_hash(one, 2)), place);
    assert_true(take(other, 2) != place);
    assert_true(take(one, 1) != place);
    assert_int_equal(sites_find(one, 0, 5), 0);
    assert_int_equal(frame_module_plus_1(one[1]), 2);
    assert_int_equal(frame_offset(one[1]), 20);
    assert_int_equal(frame_module_plus_1(frame_make(0, 0x7fffffffffff)), 0);
}

/* Of all depths, so that own frames and stems end everywhere. */
static void
test_deep_stacks_keep_all_their_frames(void **state)
{
    enum { DEEP = 40 };
    uint32_t places[DEEP + 1];

    (void)state;
    for (size_t depth = 1; depth <= DEEP; depth++) {
        frame_t frames[DEEP];

        for (size_t i = 0; i < depth; i++) { /* the outermost are the same */
            frames[i] = frame_make(5, depth - i);
        }
        places[depth] = take(frames, depth);
        assert_int_equal(take(frames, depth), places[depth]);
        for (size_t i = 0; i < depth; i++) {
            assert_int_equal(site_frame(site_at(places[depth]), i), frame_make(5, depth - i));
        }
        for (size_t i = 0; i < depth; i++) { /* one other frame is another site */
            uint64_t hash = site_at(places[depth])->hash;

            frames[i]++;
            assert_int_equal(sites_find(frames, depth, site_hash(frames, depth)), 0);
            assert_int_equal(sites_find(frames, depth, hash), 0); /* not the hash alone */
            frames[i]--;
        }
    }
    for (size_t depth = 2; depth <= DEEP; depth++) {
        assert_true(places[depth] != places[depth - 1]);
    }
}

static void
test_common_stems_are_kept_once(void **state)
{
    frame_t frames[200];
    uint32_t overflow = sites_next(0);
    uint32_t first;
    uint32_t last;

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        frames[i] = frame_make(6, i);
    }
    first = take(frames, 200);
    frames[0] = frame_make(7, 0);
    last = take(frames, 200);
    assert_true(first != overflow && last != overflow);
    assert_true((last - first) * 8 < sizeof(site_t) + 8 * sizeof(frame_t) + 64);
}

static void
test_figures_and_histograms_agree(void **state)
{
    const frame_t frame = frame_make(3, 1);
    uint32_t site = take(&frame, 1);
    sample_t a = allocate(site, 100, 10, 5 * SECOND);
    sample_t b = allocate(site, 4000, 2.5, 6 * SECOND);
    struct profile_figures f = figures_of(site, 6 * SECOND);
    struct site_histograms h;

    (void)state;
    assert_int_equal(f.allocated_bytes, 11000);
    assert_int_equal(f.allocated_blocks, 12500);
    assert_int_equal(f.live_bytes, 11000);
    assert_int_equal(f.growth_bytes, 11000);
    release(&a, 5 * SECOND + 2000000, 1); /* 2 ms */
    release(&b, 10 * SECOND, 2);
    f = figures_of(site, 10 * SECOND);
    assert_int_equal(f.live_bytes, 0);
    assert_int_equal(f.live_blocks, 0);
    assert_int_equal(f.peak_live_bytes, 11000);
    assert_int_equal(f.freed_same_blocks, 10000);
    assert_int_equal(f.freed_other_blocks, 2500);
    assert_int_equal(f.samples, 2);
    assert_int_equal(f.live_samples, 0);
    lock_acquire(&profile_lock);
    site_histograms_locked(site_at(site), &h);
    lock_release(&profile_lock);
    assert_int_equal(h.buckets[PROFILE_LIFETIME_NS][4], 10000);    /* below 10^4 us */
    assert_int_equal(h.buckets[PROFILE_LIFETIME_NS][7], 2500);     /* 4 s */
    assert_int_equal(h.buckets[PROFILE_LIFETIME_BYTES][2], 10000); /* 10,000 bytes later */
    assert_int_equal(h.buckets[PROFILE_LIFETIME_BYTES][0], 2500);
    assert_int_equal(h.buckets[PROFILE_SIZES][3], 10000); /* up to 128 */
    assert_int_equal(h.buckets[PROFILE_SIZES][8], 2500);
}

static void
test_a_resized_sample_counts_as_if_it_had_been_so(void **state)
{
    const frame_t frame = frame_make(3, 2);
    uint32_t site = take(&frame, 1);
    sample_t from = allocate(site, 100, 10, SECOND);
    sample_t to = from;
    struct profile_figures f;

    (void)state;
    to.size = 1000;
    to.weight = 4;
    lock_acquire(&profile_lock);
    site_resized_locked(&from, &to, SECOND);
    lock_release(&profile_lock);
    f = figures_of(site, SECOND);
    assert_int_equal(f.allocated_bytes, 4000);
    assert_int_equal(f.allocated_blocks, 4000);
    assert_int_equal(f.live_blocks, 4000);
    from = to;
    to.weight = 0;
    lock_acquire(&profile_lock);
    site_resized_locked(&from, &to, SECOND);
    lock_release(&profile_lock);
    f = figures_of(site, SECOND);
    assert_int_equal(f.live_bytes, 0);
    assert_int_equal(f.allocated_blocks, 0);
    assert_int_equal(f.live_samples, 0);
}

static void
test_growth_is_that_of_the_last_minute(void **state)
{
    const frame_t frame = frame_make(3, 3);
    uint32_t site = take(&frame, 1);
    uint64_t start = 1000 * SECOND;

    (void)state;
    allocate(site, 1000, 1, start);
    assert_int_equal(figures_of(site, start).growth_bytes, 1000);
    allocate(site, 500, 1, start + 30 * SECOND);
    assert_int_equal(figures_of(site, start + 40 * SECOND).growth_bytes, 1500);
    assert_int_equal(figures_of(site, start + 65 * SECOND).growth_bytes, 500);
    assert_int_equal(figures_of(site, start + 95 * SECOND).growth_bytes, 0);
    assert_int_equal(figures_of(site, start + 86400 * SECOND).growth_bytes, 0);
}

static void
test_buckets_are_those_of_the_format(void **state)
{
    (void)state;
    assert_int_equal(bucket_of_time(999), 0);
    assert_int_equal(bucket_of_time(1000), 1);
    assert_int_equal(bucket_of_time(UINT64_MAX), PROFILE_DECADES - 1);
    assert_int_equal(bucket_of_bytes(0), 0);
    assert_int_equal(bucket_of_bytes(1000), 1);
    assert_int_equal(bucket_of_size(0), 0);
    assert_int_equal(bucket_of_size(16), 0);
    assert_int_equal(bucket_of_size(17), 1);
    assert_int_equal(bucket_of_size(SIZE_MAX), PROFILE_SIZE_BUCKETS - 1);
}

/* Last: it fills the table. */
static void
test_what_has_no_room_is_counted_at_site_0(void **state)
{
    uint32_t overflow = sites_next(0);
    uint32_t sites = 0;
    int64_t blocks = 0;
    uint64_t before = site_totals.allocated_milli;

    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        const frame_t frames[] = {frame_make(9, i), frame_make(9, i + 1), frame_make(9, i + 2)};

        allocate(take(frames, 3), 100 << i % 8, 1, SECOND);
    }
    assert_true(figures_of(overflow, SECOND).samples > 1000);
    assert_int_equal(site_at(overflow)->depth, 0);
    assert_int_equal(site_totals.allocated_milli, before + 2000 * 1000);
    for (uint32_t place = overflow; place != 0; place = sites_next(place)) {
        struct site_histograms h;
        int64_t sum = 0;

        lock_acquire(&profile_lock);
        site_histograms_locked(site_at(place), &h);
        lock_release(&profile_lock);
        for (unsigned i = 0; i < PROFILE_SIZE_BUCKETS; i++) {
            sum += (int64_t)h.buckets[PROFILE_SIZES][i];
        }
        assert_int_equal(sum, site_at(place)->figures.allocated_blocks);
        blocks += sum;
        sites++;
    }
    assert_int_equal(sites, site_totals.sites);
    assert_true(blocks >= 2000 * 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stack_is_one_site),
        cmocka_unit_test(test_deep_stacks_keep_all_their_frames),
        cmocka_unit_test(test_common_stems_are_kept_once),
        cmocka_unit_test(test_figures_and_histograms_agree),
        cmocka_unit_test(test_a_resized_sample_counts_as_if_it_had_been_so),
        cmocka_unit_test(test_growth_is_that_of_the_last_minute),
        cmocka_unit_test(test_buckets_are_those_of_the_format),
        cmocka_unit_test(test_what_has_no_room_is_counted_at_site_0),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
