/* SPDX-License-Identifier: MIT */
/* tool/symbols: places of this very program are named, and only by the file that ran. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <elfutils/libdwelf.h>

#include "tool/symbols.h"

static const struct symbol_options quiet = {.quiet = true};
static char self[PATH_MAX];
static uintptr_t inlined_at;
static int inlined_line, call_line;

/* Where the instruction pointer is now. */
#define HERE()                                                                                     \
    ({                                                                                             \
        uintptr_t at_;                                                                             \
        __asm__ volatile("1: " LEA_HERE : "=r"(at_));                                              \
        at_;                                                                                       \
    })
#ifdef __x86_64__
#define LEA_HERE "lea 1b(%%rip), %0"
#else
#define LEA_HERE "adr %0, 1b"
#endif

static inline __attribute__((always_inline)) void
the_inlined_one(void)
{
    inlined_line = __LINE__ + 1;
    inlined_at = HERE();
}

static __attribute__((noinline)) void
the_outer_one(void)
{
    call_line = __LINE__ + 1;
    the_inlined_one();
    __asm__ volatile("");
}

/* A profile with this program as its module and one site at the address. */
static void
profile_of(struct profile *p, uintptr_t address)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start, end, offset;
    struct profile_module *m = profile_add_module(p);
    char line[PATH_MAX + 128], permissions[8];
    uint64_t place = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s %lx", &start, &end, permissions, &offset) == 4 &&
            start <= address && address < end) {
            m->start = start;
            m->size = end - start;
            m->file_offset = offset;
            place = address - start + offset;
        }
    }
    fclose(maps);
    m->path = self;
    m->is_main = true;
    profile_add_site(p, 1)->frames[0] = profile_add_location(p, 1, place);
}

static void
take_build_id(struct profile *p)
{
    int fd = open(self, O_RDONLY);
    Elf *elf;
    const void *id;
    ssize_t n;

    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    n = dwelf_elf_gnu_build_id(elf, &id);
    if (n > 0) {
        p->modules[0].build_id =
            (unsigned char *)tool_pool_text(&p->pool, (const char *)id, (size_t)n);
        p->modules[0].build_id_length = (size_t)n;
    }
    elf_end(elf);
    close(fd);
}

static void
test_functions_lines_and_inlining(void **state)
{
    struct profile p = {0};
    struct symbols s;
    (void)state;

    the_outer_one();
    profile_of(&p, inlined_at);
    take_build_id(&p);
    profile_finish(&p);
    symbols_resolve(&s, &p, &quiet);
    assert_int_equal(s.sources[0], SYMBOLS_DEBUG);
    assert_int_equal(s.first[1], 2);
    assert_string_equal(s.frames[0].function, "the_inlined_one");
    assert_non_null(strstr(s.frames[0].file, "test_symbols.c"));
    assert_int_equal(s.frames[0].line, inlined_line);
    assert_true(s.frames[0].inlined);
    assert_string_equal(s.frames[1].function, "the_outer_one");
    assert_int_equal(s.frames[1].line, call_line);
    assert_false(s.frames[1].inlined);
    symbols_free(&s);
    profile_free(&p);
}

static void
expect_nothing(struct profile *p, enum symbol_source source, const struct symbol_options *options)
{
    struct symbols s;

    profile_finish(p);
    symbols_resolve(&s, p, options);
    assert_int_equal(s.sources[0], source);
    assert_int_equal(s.first[1], 1);
    assert_null(s.frames[0].function);
    assert_null(s.frames[0].file);
    symbols_free(&s);
    profile_free(p);
}

static void
test_another_build_is_not_used(void **state)
{
    struct profile p = {0};
    (void)state;

    the_outer_one();
    profile_of(&p, inlined_at);
    p.modules[0].build_id = (const unsigned char *)"\1\2\3\4";
    p.modules[0].build_id_length = 4;
    expect_nothing(&p, SYMBOLS_MISMATCH, &quiet);
}

static void
test_files_that_are_not_there(void **state)
{
    static const char *const paths[] = {
        "/nonexistent/library.so", "[vdso]", "", "relative.so", "/", "/dev/null", "/etc/passwd",
        "/proc/self/mem"};
    (void)state;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct profile p = {0};
        profile_of(&p, inlined_at);
        p.modules[0].path = paths[i];
        expect_nothing(&p, SYMBOLS_NONE, &quiet);
    }
}

static void
test_places_outside_of_the_file(void **state)
{
    struct profile p = {0};
    struct symbols s;
    (void)state;

    profile_of(&p, inlined_at);
    take_build_id(&p);
    p.locations[0].offset = UINT64_MAX;
    profile_finish(&p);
    symbols_resolve(&s, &p, &quiet);
    assert_null(s.frames[0].function);
    symbols_free(&s);
    profile_free(&p);
}

static void
test_no_names_when_none_are_wanted(void **state)
{
    static const struct symbol_options none = {.none = true};
    struct profile p = {0};
    (void)state;

    profile_of(&p, inlined_at);
    take_build_id(&p);
    expect_nothing(&p, SYMBOLS_UNASKED, &none);
}

static void
test_demangling(void **state)
{
    char *name = symbols_demangle("_ZN3foo3barEi");
    (void)state;

    /* Without libstdc++ names stay as they are. */
    if (name != NULL) {
        assert_string_equal(name, "foo::bar(int)");
        free(name);
    }
    assert_null(symbols_demangle("i"));
    assert_null(symbols_demangle("main"));
    assert_null(symbols_demangle("_Znonsense"));
    assert_null(symbols_demangle(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_lines_and_inlining),
        cmocka_unit_test(test_another_build_is_not_used),
        cmocka_unit_test(test_files_that_are_not_there),
        cmocka_unit_test(test_places_outside_of_the_file),
        cmocka_unit_test(test_no_names_when_none_are_wanted),
        cmocka_unit_test(test_demangling),
    };
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    return cmocka_run_group_tests_name("symbols", tests, NULL, NULL);
}
