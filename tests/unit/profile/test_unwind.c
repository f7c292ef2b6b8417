/* SPDX-License-Identifier: MIT */
/* profile/unwind by frame pointers, which needs nothing of the system: with frames where the test
 * has them, and at least somebody's address where it has not. */
#include "../unit.h"

#include "profile/modules.h"
#include "profile/unwind.h"

#define DEPTH 12u
enum { MAX = 64 };

static uintptr_t addresses[MAX];

static int
set_up(void **state)
{
    int error = modules_init();

    (void)state;
    modules_look();
    unwind_start(UNWIND_FRAME_POINTER);
    return error;
}

static TIDE_NOINLINE size_t
deep(unsigned depth)
{
    size_t count =
        depth == 0 ? unwind_stack(__builtin_frame_address(0), addresses, MAX) : deep(depth - 1);

    __asm__ volatile("" : "+r"(count));
    return count;
}

static void
test_frame_pointers_are_followed(void **state)
{
    uintptr_t from = (uintptr_t)&deep;
    size_t count = deep(DEPTH);
    size_t ours = 0;

    (void)state;
    assert_string_equal(unwind_name(), "frame-pointer");
    for (size_t i = 0; i < count; i++) {
        ours += addresses[i] - from < 256;
    }
    assert_true(ours >= DEPTH);
    assert_true(count <= MAX);
}

static void
test_no_more_than_asked_for(void **state)
{
    (void)state;
    addresses[2] = 1;
    assert_true(unwind_stack(__builtin_frame_address(0), addresses, 2) <= 2);
    assert_int_equal(addresses[2], 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_pointers_are_followed),
        cmocka_unit_test(test_no_more_than_asked_for),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
