/* SPDX-License-Identifier: MIT */
/* os/memfile: files with names that can be sealed and locked, and are nobody's messages. */
#include "../unit.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "os/memfile.h"

static void
test_makes_maps_and_seals(void **state)
{
    memfile_t file;
    char link[64], path[64], *map;

    (void)state;
    require_eq(memfile_make(&file, "some-name"), 0);
    require(memfile_exists(&file));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd);
    require(os_read_link(path, link, sizeof link) > 0);
    require(strcmp(link, "/memfd:some-name (deleted)") == 0);
    require(fcntl(file.fd, F_GETFD) & FD_CLOEXEC);
    map = memfile_map(&file, OS_PAGE);
    require(map != NULL);
    require_eq(memfile_seal(&file, true), 0);
    map[0] = 'x'; /* the mapping that was there stays writable */
    require_eq(pread(file.fd, link, 1, 0), 1);
    require_eq(link[0], 'x');
    require(memfile_map(&file, 2 * OS_PAGE) == NULL);
    os_unreserve(map, OS_PAGE);
    memfile_close(&file);
    require(!memfile_exists(&file));
    require(access(path, F_OK) != 0);
}

static void
test_tells_locks_apart(void **state)
{
    memfile_t file;
    char path[64];
    int reader;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};

    (void)state;
    require_eq(memfile_make(&file, "locks"), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd);
    reader = open(path, O_RDONLY);
    require_eq(memfile_locks(&file, 3), 0);
    require_eq(fcntl(reader, F_OFD_SETLK, &lock), 0);
    require_eq(memfile_locks(&file, 3), 2);
    require_eq(memfile_locks(&file, 1), 0);
    lock.l_start = 2;
    require_eq(fcntl(reader, F_OFD_SETLK, &lock), 0);
    require_eq(memfile_locks(&file, 3), 6);
    close(reader);
    require_eq(memfile_locks(&file, 3), 0);
    memfile_close(&file);
}

/* In a table of its own, which is empty. */
static void
without_files(void *arg)
{
    struct rlimit limit = {3, 3};
    memfile_t file;

    (void)arg;
    require(memfile_own_table());
    require_eq(memfile_make(&file, "first"), 0);
    require_eq(file.fd, 3);
    require_eq(open("/dev/null", O_RDONLY), 0); /* nothing else was kept */
    memfile_close(&file);
    close(0);
    require_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    require(memfile_make(&file, "few") != 0 && !memfile_exists(&file));
    require_eq(open("/dev/null", O_RDONLY), 0);
}

static void
test_first_numbers(void **state)
{
    (void)state;
    unit_child(without_files, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_maps_and_seals),
        cmocka_unit_test(test_tells_locks_apart),
        cmocka_unit_test(test_first_numbers),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
