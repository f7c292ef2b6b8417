/* SPDX-License-Identifier: MIT */
/* os/code: keys of code, heights of stacks, arguments; what is no code has none. */
#include "../unit.h"

#include <dlfcn.h>
#include <pthread.h>

#include "os/code.h"
#include "tidemalloc.h"

static void
test_code_has_keys_of_its_own(void **state)
{
    uint64_t here = os_code_key((uintptr_t)&test_code_has_keys_of_its_own);
    uint64_t next = os_code_key((uintptr_t)&test_code_has_keys_of_its_own + 1);
    uint64_t libc = os_code_key((uintptr_t)dlsym(RTLD_DEFAULT, "qsort"));
    static char data[64];
    char *heap = tide_malloc(64);

    (void)state;
    if (here == 0) {
        skip(); /* an old C library, or a linker that leaves no build-ids */
    }
    assert_int_not_equal(here, next);
    assert_int_not_equal(libc, 0);
    assert_int_not_equal(libc, here);
    assert_int_equal(os_code_key((uintptr_t)&test_code_has_keys_of_its_own), here);
    assert_int_equal(os_code_key((uintptr_t)heap), 0);
    assert_int_equal(os_code_key(1), 0);
    assert_int_not_equal(os_code_key((uintptr_t)data), here);
    tide_free(heap);
}

static void
test_the_build_id_is_the_one_in_the_file(void **state)
{
    static unsigned char file[1 << 20];
    uint8_t id[BUILD_ID_MAX];
    size_t len = os_program_build_id(id);
    int fd = os_file_open("/proc/self/exe", 0, 0);
    size_t bytes = 0;
    long got = 1;

    (void)state;
    if (len == 0) {
        skip();
    }
    while (got > 0) {
        got = os_file_read(fd, file + bytes, sizeof file - bytes);
        bytes += got > 0 ? (size_t)got : 0;
    }
    os_file_close(fd);
    assert_true(len >= 8);
    assert_non_null(memmem(file, bytes, id, len));
}

TIDE_NOINLINE static uint32_t
height_at_depth(unsigned depth)
{
    volatile char room[256];

    room[0] = 1;
    return depth == 0 ? os_stack_height((uintptr_t)&room[0])
                      : height_at_depth(depth - 1) + 0u * (uint32_t)room[0];
}

static void *
height_of_thread(void *arg)
{
    uint32_t *heights = arg;

    heights[0] = height_at_depth(3);
    heights[1] = height_at_depth(4);
    return NULL;
}

static void
test_heights_depend_on_calls_alone(void **state)
{
    uint32_t first[2];
    uint32_t second[2];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, height_of_thread, first), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, height_of_thread, second), 0);
    pthread_join(thread, NULL);
    assert_int_not_equal(first[0], 0);
    assert_int_equal(first[0], second[0]);
    assert_int_equal(first[1], second[1]);
    assert_true(first[1] >= first[0] + 256);
    assert_true(first[0] < 8 << 20); /* sanitizers put much of theirs there */
    assert_true(height_at_depth(4) >= height_at_depth(3) + 256); /* the main thread's */
}

static void
test_arguments(void **state)
{
    char *none[] = {NULL};
    char *name[] = {"x", NULL};
    char *other_name[] = {"y", NULL};
    char *one[] = {"x", "ab", "c", NULL};
    char *another[] = {"x", "a", "bc", NULL};
    uint64_t key;

    (void)state;
    os_note_arguments(NULL);
    assert_int_equal(os_arguments_key(), 0);
    os_note_arguments(none);
    assert_int_equal(os_arguments_key(), 0);
    os_note_arguments(name);
    key = os_arguments_key();
    assert_int_not_equal(key, 0);
    os_note_arguments(other_name);
    assert_int_equal(os_arguments_key(), key);
    os_note_arguments(one);
    key = os_arguments_key();
    os_note_arguments(another);
    assert_int_not_equal(os_arguments_key(), key);
}

static void
test_damaged_notes_have_no_build_id(void **state)
{
    static const Elf64_Nhdr head = {.n_namesz = 4, .n_descsz = 20, .n_type = NT_GNU_BUILD_ID};
    unsigned char notes[64] = {0};
    uint8_t id[BUILD_ID_MAX];

    (void)state;
    memcpy(notes, &head, sizeof head);
    memcpy(notes + sizeof head, "GNU", 4);
    memset(notes + sizeof head + 4, 7, 20);
    assert_int_equal(build_id_find(notes, sizeof head + 24, id), 20);
    assert_true(unit_is_filled((char *)id, 7, 20));
    for (size_t bytes = 0; bytes < sizeof head + 24; bytes++) {
        assert_int_equal(build_id_find(notes, bytes, id), 0);
    }
    memset(notes, 0xff, sizeof head);
    assert_int_equal(build_id_find(notes, sizeof notes, id), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_has_keys_of_its_own),
        cmocka_unit_test(test_the_build_id_is_the_one_in_the_file),
        cmocka_unit_test(test_heights_depend_on_calls_alone),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_damaged_notes_have_no_build_id),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
