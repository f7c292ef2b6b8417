/* SPDX-License-Identifier: MIT */
/* os/machine: what the files of /proc and /sys say, also when they say nonsense; this machine. */
#include "../unit.h"

#include <sched.h>

#include "os/machine.h"

static void
test_meminfo(void **state)
{
    (void)state;
    assert_int_equal(machine_parse_meminfo("MemTotal:  8 kB\nMemAvailable:     123 kB\nX: 1 kB\n"),
                     123 * 1024);
    assert_int_equal(machine_parse_meminfo("MemTotal:  8 kB\n"), 0);
    assert_int_equal(machine_parse_meminfo("MemAvailable: kB\n"), 0);
    assert_int_equal(machine_parse_meminfo("MemAvailable: 99999999999999999999999 kB\n"), 0);
    assert_int_equal(machine_parse_meminfo(""), 0);
}

static void
assert_group(const char *text, const char *controller, const char *expected)
{
    const char *path = "";
    size_t len = machine_parse_group(text, controller, &path);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(path, expected, len);
}

static void
test_group(void **state)
{
    const char *both = "12:cpu,cpuacct:/a\n11:memory:/user.slice/x:y\n1:name=systemd:/b\n0::/c/d\n";

    (void)state;
    assert_group(both, NULL, "/c/d");
    assert_group(both, "memory", "/user.slice/x:y");
    assert_group(both, "cpu", "/a");
    assert_group(both, "cpuacct", "/a");
    assert_group(both, "pu", "");
    assert_group(both, "blkio", "");
    assert_group("0::/", NULL, "/");
    assert_group("0::", NULL, "");
    assert_group("", NULL, "");
    assert_group("\n\n:\n0:", NULL, "");
}

static void
test_running(void **state)
{
    (void)state;
    assert_int_equal(machine_parse_running("0.50 0.40 0.30 3/412 9999\n"), 3);
    assert_int_equal(machine_parse_running("0.50 0.40 0.30 3"), 0);
    assert_int_equal(machine_parse_running("0.50 0.40"), 0);
    assert_int_equal(machine_parse_running("0.50 0.40 0.30 x/y"), 0);
    assert_int_equal(machine_parse_running(""), 0);
}

static void
test_cpu_list(void **state)
{
    (void)state;
    assert_int_equal(machine_parse_cpu_list("0\n"), 1);
    assert_int_equal(machine_parse_cpu_list("0-3\n"), 4);
    assert_int_equal(machine_parse_cpu_list("0-3,8,10-11\n"), 7);
    assert_int_equal(machine_parse_cpu_list("3-0\n"), 0);
    assert_int_equal(machine_parse_cpu_list("0-\n"), 0);
    assert_int_equal(machine_parse_cpu_list("0-18446744073709551615\n"), 0);
    assert_int_equal(machine_parse_cpu_list("\n"), 0);
    assert_int_equal(machine_parse_cpu_list("x"), 0);
}

static void
test_cpu_max(void **state)
{
    (void)state;
    assert_int_equal(machine_parse_cpu_max("max 100000\n"), UINT32_MAX);
    assert_int_equal(machine_parse_cpu_max("150000 100000\n"), 1);
    assert_int_equal(machine_parse_cpu_max("400000 100000\n"), 4);
    assert_int_equal(machine_parse_cpu_max("400000\n"), UINT32_MAX);
    assert_int_equal(machine_parse_cpu_max("400000 0\n"), UINT32_MAX);
    assert_int_equal(machine_parse_cpu_max(""), UINT32_MAX);
}

static void
test_this_machine_has_memory_left(void **state)
{
    uint64_t left = os_headroom_bytes();

    (void)state;
    assert_true(left > 16u << 20); /* or the test would hardly run */
    assert_true(left < (uint64_t)1 << 50);
}

static void
pin_and_ask(void *arg)
{
    cpu_set_t set;
    int cpu = sched_getcpu();

    (void)arg;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    require_eq(sched_setaffinity(0, sizeof set, &set), 0);
    require_eq(os_usable_cpus(), 1);
    require_eq(os_idle_cpus(os_usable_cpus()), 0);
}

static void
test_one_cpu_is_never_idle(void **state)
{
    (void)state;
    unit_child(pin_and_ask, NULL);
}

static void
test_idle_cpus_are_some_of_them(void **state)
{
    unsigned usable = os_usable_cpus();

    (void)state;
    assert_in_range(usable, 0, sysconf(_SC_NPROCESSORS_ONLN));
    assert_true(os_idle_cpus(usable) <= usable);
    assert_int_equal(os_idle_cpus(1), 0);
    assert_int_equal(os_idle_cpus(0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meminfo),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_cpu_list),
        cmocka_unit_test(test_cpu_max),
        cmocka_unit_test(test_this_machine_has_memory_left),
        cmocka_unit_test(test_one_cpu_is_never_idle),
        cmocka_unit_test(test_idle_cpus_are_some_of_them),
    };

    return cmocka_run_group_tests(tests, unit_setup, NULL);
}
