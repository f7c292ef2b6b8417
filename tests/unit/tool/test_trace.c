/* SPDX-License-Identifier: MIT */
/* tool/trace_reader, trace_blocks: records in order, and nothing believed of a damaged file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/random.h"
#include "tool/trace.h"

enum { ROOM = 64 << 10, EVENTS_MAX = 4000 };

static unsigned char file[ROOM];
static size_t length;   /* of the file */
static size_t chunk_at; /* the last chunk */
static size_t used;     /* of its payload */
static struct trace t;
static struct trace_event events[EVENTS_MAX];

/* ---- Files, byte by byte --------------------------------------------------------------------- */

static struct trace_head *
begin_file(void)
{
    struct trace_head *head = (struct trace_head *)file;

    memset(file, 0, sizeof file);
    memcpy(head->magic, TRACE_MAGIC, TRACE_MAGIC_BYTES);
    head->version = TRACE_VERSION;
    head->tick_ns = 1u << TRACE_TICK_SHIFT;
    head->pid = 17;
    head->start_tick = 1000;
    length = TRACE_PAGE;
    return head;
}

static struct trace_chunk *
begin_chunk(enum trace_kind kind, uint32_t thread, uint64_t first)
{
    struct trace_chunk *chunk = (struct trace_chunk *)(file + length);

    *chunk = (struct trace_chunk){.magic = TRACE_CHUNK_MAGIC,
                                  .kind = kind,
                                  .offset = length,
                                  .bytes = TRACE_PAGE,
                                  .thread = thread,
                                  .first = first,
                                  .tick = 1000};
    chunk_at = length;
    length += TRACE_PAGE;
    used = 0;
    return chunk;
}

static void
put(const void *bytes, size_t n)
{
    memcpy(file + chunk_at + sizeof(struct trace_chunk) + used, bytes, n);
    used += n;
}

#define PUT(bytes) put(bytes, sizeof(bytes) - 1)

static void
close_chunk(void)
{
    struct trace_chunk *chunk = (struct trace_chunk *)(file + chunk_at);

    chunk->used = (uint32_t)used;
    chunk->sum = trace_sum(chunk + 1, chunk->used);
}

/* The number of events, or -1 when it is refused. */
static int
read_file(size_t bytes)
{
    int fd = memfd_create("trace", MFD_CLOEXEC), count = 0;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, file, bytes), bytes);
    if (!trace_open(&t, fd)) {
        return -1;
    }
    while (count < EVENTS_MAX && trace_next(&t, &events[count])) {
        count++;
    }
    return count;
}

static void
expect_problem(const char *text)
{
    if (strstr(t.problem.text, text) == NULL) {
        fail_msg("'%s' is not in '%s'", text, t.problem.text);
    }
    assert_true(t.problem.count > 0);
}

/* Two threads: malloc of 24 at 0x1000 by 1, its free by 2 and malloc of the same address, which 1
 * reallocates to 0x2000. */
static void
two_threads(void)
{
    begin_file();
    begin_chunk(TRACE_RECORDS, 1, 0);
    PUT("\x01\x01\x18\x80\x08"   /* malloc, site 1, 24 bytes, 0x1000 >> 3, zigzag */
        "\x0d\x03\x00");         /* seq + 3: realloc begins, the same */
    PUT("\x36\x02\x30\x80\x08"); /* ticks + 2: it ends, same site, 48 bytes, 0x2000 */
    close_chunk();
    begin_chunk(TRACE_RECORDS, 2, 1);
    PUT("\x02\x80\x08");     /* free of 0x1000 */
    PUT("\x41\x02\x20\x00"); /* operator new, site 2, 32 bytes, the same */
    begin_chunk(TRACE_SITES, 0, 1);
    PUT("\x10\x20\0\0\0\0\0\0\x07\0\0\0\0\0\0\0"
        "\x30\x40\0\0\0\0\0\0\x08\0\0\0\0\0\0\0");
    close_chunk();
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void
test_records_come_in_order_of_all_threads(void **state)
{
    static const enum trace_operation operations[] = {TRACE_MALLOC, TRACE_FREE, TRACE_MALLOC,
                                                      TRACE_REALLOC_BEGIN, TRACE_REALLOC_END};

    (void)state;
    two_threads();
    assert_int_equal(read_file(length), 5);
    assert_int_equal(t.problem.count, 0);
    assert_int_equal(t.thread_count, 2);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(events[i].operation, operations[i]);
        assert_int_equal(events[i].seq, i + 1);
        assert_int_equal(events[i].address, i < 4 ? 0x1000 : 0x2000);
    }
    assert_int_equal(events[0].size, 24);
    assert_int_equal(events[0].site, 1);
    assert_int_equal(t.sites[1].caller, 0x2010);
    assert_int_equal(t.sites[1].height, 7);
    assert_true(events[2].is_operator);
    assert_int_equal(events[2].thread, 1);
    assert_int_equal(events[4].time_ns, 512);
    trace_rewind(&t);
    assert_true(trace_next(&t, &events[0]));
    assert_int_equal(events[0].seq, 1);
    trace_close(&t);
}

static void
test_blocks_follow_records(void **state)
{
    static const enum trace_effect effects[] = {TRACE_ALLOCATED, TRACE_FREED, TRACE_ALLOCATED,
                                                TRACE_NOTHING, TRACE_RESIZED};
    struct trace_blocks blocks;
    struct trace_change change;

    (void)state;
    two_threads();
    assert_int_equal(read_file(length), 5);
    trace_blocks_init(&blocks, &t);
    for (unsigned i = 0; i < 5; i++) {
        change = trace_blocks_apply(&blocks, &events[i]);
        assert_int_equal(change.effect, effects[i]);
    }
    assert_int_equal(change.before.size, 32);
    assert_int_equal(change.now->size, 48);
    assert_int_equal(change.now->address, 0x2000);
    assert_int_equal(blocks.count, 1);
    /* Freed twice: the second is unknown. Allocated twice: the first lost its free. */
    events[1].address = 0x2000;
    assert_int_equal(trace_blocks_apply(&blocks, &events[1]).effect, TRACE_FREED);
    assert_int_equal(trace_blocks_apply(&blocks, &events[1]).effect, TRACE_NOTHING);
    assert_int_equal(blocks.unknown_frees, 1);
    trace_blocks_apply(&blocks, &events[0]);
    assert_int_equal(trace_blocks_apply(&blocks, &events[0]).lost.size, 24);
    assert_int_equal(blocks.lost_frees, 1);
    assert_int_equal(blocks.count, 1);
    trace_blocks_free(&blocks);
    trace_close(&t);
}

/* A realloc that fails leaves the block; one to nothing frees it. */
static void
test_reallocs_that_give_nothing(void **state)
{
    struct trace_event e = {.operation = TRACE_MALLOC, .address = 64, .size = 10};
    struct trace_blocks blocks;

    (void)state;
    two_threads();
    assert_int_equal(read_file(length), 5);
    trace_blocks_init(&blocks, &t);
    trace_blocks_apply(&blocks, &e);
    e.operation = TRACE_REALLOC_BEGIN;
    trace_blocks_apply(&blocks, &e);
    e = (struct trace_event){.operation = TRACE_REALLOC_END, .size = 99};
    assert_int_equal(trace_blocks_apply(&blocks, &e).effect, TRACE_NOTHING);
    assert_int_equal(blocks.count, 1);
    assert_int_equal(blocks.failed_reallocs, 1);
    e = (struct trace_event){.operation = TRACE_REALLOC_BEGIN, .address = 64};
    trace_blocks_apply(&blocks, &e);
    e = (struct trace_event){.operation = TRACE_REALLOC_END};
    assert_int_equal(trace_blocks_apply(&blocks, &e).before.size, 10);
    assert_int_equal(blocks.count, 0);
    trace_blocks_free(&blocks);
    trace_close(&t);
}

/* As an array says that is searched from end to end. */
static void
test_blocks_against_a_plain_list(void **state)
{
    enum { LIST = 500 };
    uint64_t list[LIST] = {0};
    struct trace_blocks blocks;
    uint64_t random = 7;

    (void)state;
    two_threads();
    read_file(length);
    trace_blocks_init(&blocks, &t);
    for (unsigned i = 0; i < 100000; i++) {
        struct trace_event e = {.operation = TRACE_MALLOC};
        size_t at = random_next(&random) % LIST;

        if (list[at] == 0) {
            /* Few different low bits, so that homes are shared. */
            e.address = (at + 1) << 16 | (random_next(&random) & 0x7) << 4;
            e.size = list[at] = e.address;
            assert_int_equal(trace_blocks_apply(&blocks, &e).now->size, e.address);
        } else {
            e.operation = TRACE_FREE;
            e.address = list[at];
            assert_int_equal(trace_blocks_apply(&blocks, &e).before.size, list[at]);
            list[at] = 0;
        }
    }
    assert_int_equal(blocks.unknown_frees, 0);
    assert_int_equal(blocks.lost_frees, 0);
    trace_blocks_free(&blocks);
    trace_close(&t);
}

static void
test_what_is_no_trace_is_refused(void **state)
{
    (void)state;
    two_threads();
    assert_int_equal(read_file(0), -1);
    expect_problem("no trace");
    assert_int_equal(read_file(TRACE_MAGIC_BYTES), -1);
    expect_problem("cut off within its head");
    file[0] ^= 1;
    assert_int_equal(read_file(length), -1);
    expect_problem("no trace");
    begin_file()->version = TRACE_VERSION + 1;
    assert_int_equal(read_file(length), -1);
    expect_problem("version 2");
    begin_file()->tick_ns = 1;
    assert_int_equal(read_file(length), -1);
    expect_problem("clock");
    begin_file();
    assert_int_equal(read_file(length), 0);
    assert_int_equal(t.problem.count, 0);
    trace_close(&t);
}

static void
test_a_file_cut_off_has_what_came_before(void **state)
{
    (void)state;
    two_threads();
    for (size_t bytes = sizeof(struct trace_head); bytes < length; bytes += 13) {
        int count = read_file(bytes);

        assert_in_range(count, 0, 5);
        trace_close(&t);
    }
    /* In the middle of the second thread's chunk. */
    assert_int_equal(read_file(2 * TRACE_PAGE + sizeof(struct trace_chunk) + 3), 4);
    expect_problem("cut off");
    trace_close(&t);
}

static void
test_a_chunk_with_a_wrong_checksum_is_left_out(void **state)
{
    (void)state;
    two_threads();
    file[TRACE_PAGE + sizeof(struct trace_chunk) + 2] ^= 1;
    assert_int_equal(read_file(length), 2);
    expect_problem("checksum");
    trace_close(&t);
}

static void
test_heads_of_chunks_are_not_believed(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
    } lies[] = {
        {offsetof(struct trace_chunk, magic), 0x12345678},
        {offsetof(struct trace_chunk, kind), 77},
        {offsetof(struct trace_chunk, offset), 0},
        {offsetof(struct trace_chunk, bytes), 0},
        {offsetof(struct trace_chunk, bytes), TRACE_PAGE + 8},
        {offsetof(struct trace_chunk, bytes), 0xfffff000},
        {offsetof(struct trace_chunk, used), TRACE_PAGE},
        {offsetof(struct trace_chunk, used), 0xffffffff},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        two_threads();
        memcpy(file + TRACE_PAGE + lies[i].at, &lies[i].value, sizeof lies[i].value);
        assert_int_equal(read_file(length), 2);
        expect_problem("no chunk");
        trace_close(&t);
    }
}

static void
test_senseless_records_end_their_chunk(void **state)
{
    (void)state;
    begin_file();
    begin_chunk(TRACE_RECORDS, 1, 0);
    PUT("\x01\x01\x18\x80\x08"
        "\x81\x01");
    close_chunk();
    assert_int_equal(read_file(length), 1);
    expect_problem("makes no sense");
    trace_close(&t);

    /* A varint without end, a number that goes round, and ticks of an age. */
    begin_file();
    begin_chunk(TRACE_RECORDS, 1, 0);
    PUT("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    begin_chunk(TRACE_RECORDS, 2, UINT64_MAX - 1);
    PUT("\x02\x10"
        "\x02\x10");
    begin_chunk(TRACE_RECORDS, 3, 0);
    PUT("\x12\xff\xff\xff\xff\xff\xff\xff\x7f\x10");
    assert_int_equal(read_file(length), 1);
    assert_int_equal(t.problem.count, 3);
    trace_close(&t);
}

static void
test_a_stop_ends_all_threads(void **state)
{
    (void)state;
    two_threads();
    ((struct trace_head *)file)->stop = TRACE_STOP_SIZE;
    ((struct trace_head *)file)->stop_seq = 2;
    assert_int_equal(read_file(length), 2);
    trace_close(&t);
}

static void
test_modules_are_not_believed(void **state)
{
    struct trace_module m = {.bytes = sizeof m + 8, .path_bytes = 5, .start = 0x1000};

    (void)state;
    begin_file();
    begin_chunk(TRACE_MODULES, 0, 0);
    put(&m, sizeof m);
    PUT("/a/b1\0\0\0");
    m.bytes = sizeof m;
    put(&m, sizeof m);
    assert_int_equal(read_file(length), 0);
    expect_problem("module");
    assert_int_equal(t.module_count, 1);
    assert_string_equal(t.modules[0].path, "/a/b1");
    trace_close(&t);
    /* A site's number that would take all memory. */
    begin_file();
    begin_chunk(TRACE_SITES, 0, UINT64_MAX / 16);
    PUT("\x10\x20\0\0\0\0\0\0\x07\0\0\0\0\0\0\0");
    assert_int_equal(read_file(length), 0);
    expect_problem("out of range");
    trace_close(&t);
}

static void
test_no_damage_is_too_much(void **state)
{
    uint64_t random = 11;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        struct trace_blocks blocks;
        int count;

        two_threads();
        for (unsigned i = random_next(&random) % 8; i-- > 0;) {
            size_t page = random_next(&random) % (length / TRACE_PAGE) * TRACE_PAGE;

            file[page + random_next(&random) % 128] = (unsigned char)random_next(&random);
        }
        count = read_file(random_next(&random) % 4 == 0 ? random_next(&random) % length : length);
        if (count < 0) {
            continue;
        }
        trace_blocks_init(&blocks, &t);
        for (int i = 0; i < count; i++) {
            assert_true(i == 0 || events[i].seq >= events[i - 1].seq);
            trace_blocks_apply(&blocks, &events[i]);
        }
        trace_blocks_free(&blocks);
        trace_close(&t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_in_order_of_all_threads),
        cmocka_unit_test(test_blocks_follow_records),
        cmocka_unit_test(test_reallocs_that_give_nothing),
        cmocka_unit_test(test_blocks_against_a_plain_list),
        cmocka_unit_test(test_what_is_no_trace_is_refused),
        cmocka_unit_test(test_a_file_cut_off_has_what_came_before),
        cmocka_unit_test(test_a_chunk_with_a_wrong_checksum_is_left_out),
        cmocka_unit_test(test_heads_of_chunks_are_not_believed),
        cmocka_unit_test(test_senseless_records_end_their_chunk),
        cmocka_unit_test(test_a_stop_ends_all_threads),
        cmocka_unit_test(test_modules_are_not_believed),
        cmocka_unit_test(test_no_damage_is_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
