/* SPDX-License-Identifier: MIT */
/* profile/modules: addresses as frames of calls, and what a plug-in's frames are before, while and
 * after it is loaded elsewhere. */
#include "../unit.h"

#include <dlfcn.h>

#include "profile/modules.h"

static int
set_up(void **state)
{
    int error = modules_init();

    (void)state;
    modules_look();
    return error;
}

static void
test_program_comes_first(void **state)
{
    uintptr_t here = (uintptr_t)&test_program_comes_first;
    frame_t frame;

    (void)state;
    assert_true(modules_count() > 0);
    assert_int_equal(modules_frames(&here, 1, &frame, 1), 1);
    assert_int_equal(frame_module_plus_1(frame), 1);
    assert_int_equal(frame_offset(frame), here - 1 - module_at(0)->start + module_at(0)->offset);
    assert_int_equal(module_at(0)->path[0], '/');
    assert_int_equal(modules_code_at(here), MODULE_CODE);
    assert_int_equal(modules_code_at((uintptr_t)&here), MODULE_NO_CODE);
}

static void
test_addresses_of_no_module_stay(void **state)
{
    const uintptr_t addresses[] = {0x1001, (uintptr_t)&state};
    frame_t frames[2];

    (void)state;
    assert_int_equal(modules_frames(addresses, 2, frames, 2), 2);
    assert_int_equal(frames[0], frame_make(0, 0x1000));
    assert_int_equal(frames[1], frame_make(0, (uintptr_t)&state - 1));
    assert_int_equal(modules_frames(addresses, 2, frames, 1), 1);
}

static void
test_a_library_loaded_again_is_the_same(void **state)
{
    static const char name[] = "libm.so.6";
    uint32_t before = modules_count();
    frame_t first = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        uintptr_t address;
        frame_t frame;

        if (library == NULL || dlsym(library, "cosh") == NULL) {
            skip(); /* a static program */
        }
        address = (uintptr_t)dlsym(library, "cosh");
        assert_int_equal(modules_frames(&address, 1, &frame, 1), 1);
        assert_true(frame_module_plus_1(frame) > 0);
        assert_true(i == 0 || frame == first);
        first = frame;
        dlclose(library);
        modules_look();
    }
    assert_true(modules_count() <= before + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program_comes_first),
        cmocka_unit_test(test_addresses_of_no_module_stay),
        cmocka_unit_test(test_a_library_loaded_again_is_the_same),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
