/* SPDX-License-Identifier: MIT */
/* profile/writer: the bytes that format.h promises, to the letter; errors stay and nothing is said
 * to have been written. */
#include "../unit.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "profile/format.h"
#include "profile/writer.h"

static void
test_checksum_is_zlibs(void **state)
{
    (void)state;
    assert_int_equal(crc32_of(0, "", 0), 0);
    assert_int_equal(crc32_of(0, "123456789", 9), 0xcbf43926u);
    assert_int_equal(crc32_of(crc32_of(0, "1234", 4), "56789", 5), 0xcbf43926u);
}

static void
test_a_file_byte_by_byte(void **state)
{
    static const unsigned char
        wanted
            [] =
                {
                    0x89, 'T', 'I', 'D', 'E', '\r', '\n', 0x1a, 1,   0,   0,
                    0,    'T', 'E', 'S', 'T', 13,   0,    0,    0,   7,   0x80,
                    1,    3,   4,   2,   'a', 'b',  2,    '4',  '2', 'r', 'w', /* payload */
                };
    unsigned char got[256];
    int fd = memfd_create("test", 0);
    writer_t w;
    ssize_t size;
    uint32_t crc = crc32_of(0, wanted + 12, sizeof wanted - 12);

    (void)state;
    assert_true(fd >= 0);
    writer_begin(&w, fd);
    writer_section(&w, "TEST");
    writer_unsigned(&w, 128);
    writer_signed(&w, -2);
    writer_signed(&w, 2);
    writer_text(&w, "abc", 2);
    writer_number(&w, 42);
    assert_int_equal(writer_sink(&w, "rw", 2), 0);
    writer_unsigned_first(&w, 7);
    writer_section_end(&w);
    assert_int_equal(writer_finish(&w), 0);
    size = pread(fd, got, sizeof got, 0);
    assert_int_equal(size, sizeof wanted + 4 + 4 + 4 + 1 + 4);
    assert_memory_equal(got, wanted, sizeof wanted);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(got[sizeof wanted + i], crc >> 8 * i & 0xff);
    }
    assert_memory_equal(got + sizeof wanted + 4, "END!\1\0\0\0\1", 9);
    close(fd);
}

static void
test_large_sections_are_whole(void **state)
{
    int fd = memfd_create("test", 0);
    static char text[100000];
    writer_t w;

    (void)state;
    memset(text, 'x', sizeof text);
    writer_begin(&w, fd);
    writer_section(&w, "LARG");
    for (int i = 0; i < 30; i++) {
        writer_text(&w, text, sizeof text);
    }
    writer_section_end(&w);
    assert_int_equal(writer_finish(&w), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 12 + 8 + 30 * (3 + (off_t)sizeof text) + 4 + 13);
    close(fd);
}

static void
test_errors_are_told_at_the_end(void **state)
{
    int fd = open("/dev/full", O_WRONLY);
    writer_t w;

    (void)state;
    assert_true(fd >= 0);
    writer_begin(&w, fd);
    writer_section(&w, "TEST");
    writer_unsigned(&w, 1);
    writer_section_end(&w);
    assert_int_equal(writer_finish(&w), ENOSPC);
    close(fd);
}

static int
no_memory(const char *call)
{
    (void)call;
    return ENOMEM;
}

static void
test_without_memory_nothing_is_written(void **state)
{
    int fd = memfd_create("test", 0);
    writer_t w;

    (void)state;
    os_fault_hook = no_memory;
    writer_begin(&w, fd);
    writer_section(&w, "TEST");
    writer_unsigned_first(&w, 1);
    writer_section_end(&w);
    os_fault_hook = NULL;
    assert_int_equal(writer_finish(&w), ENOMEM);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_is_zlibs),
        cmocka_unit_test(test_a_file_byte_by_byte),
        cmocka_unit_test(test_large_sections_are_whole),
        cmocka_unit_test(test_errors_are_told_at_the_end),
        cmocka_unit_test(test_without_memory_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
