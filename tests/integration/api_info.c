/* SPDX-License-Identifier: MIT */
/*
 * mallopt, mallinfo, mallinfo2, malloc_info, malloc_stats, malloc_trim: return values and effects.
 */
#include "check.h"
#include <malloc.h>
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { COUNT = 16000, SIZE = 4000 };
static void *block[COUNT];

static size_t
in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void
fill(void)
{
    for (int i = 0; i < COUNT; i++) {
        block[i] = malloc(SIZE);
        CHECK(block[i] != NULL);
        memset(block[i], 1, SIZE);
    }
}

static void
release(void)
{
    for (int i = 0; i < COUNT; i++) {
        free(block[i]);
    }
}

static void
mallopt_answers(void)
{
    CHECK(mallopt(M_TRIM_THRESHOLD, 128 << 10) == 1);
    CHECK(mallopt(M_MMAP_THRESHOLD, 128 << 10) == 1);
    CHECK(mallopt(M_TOP_PAD, 0) == 1);
    CHECK(mallopt(M_MMAP_MAX, 65536) == 1);
    CHECK(mallopt(M_ARENA_MAX, 4) == 1);
    CHECK(mallopt(M_ARENA_TEST, 4) == 1);
    CHECK(mallopt(M_PERTURB, 0) == 1);
    CHECK(mallopt(M_MXFAST, 64) == 1);
    CHECK(mallopt(M_CHECK_ACTION, 3) == 1);
}

static void
mallinfo_follows(void)
{
    size_t before = in_use();
    fill();
    size_t with = in_use();
    CHECK(with >= before + (size_t)COUNT * SIZE * 95 / 100, "%zu before, %zu with", before, with);
    CHECK(with <= before + (size_t)COUNT * SIZE * 150 / 100, "%zu before, %zu with", before, with);
    struct mallinfo2 m2 = mallinfo2();
    struct mallinfo m = mallinfo();
    CHECK(m2.arena + m2.hblkhd >= m2.uordblks, "arena %zu hblkhd %zu uordblks %zu", m2.arena,
          m2.hblkhd, m2.uordblks);
    CHECK((size_t)(unsigned)m.uordblks + (unsigned)m.hblkhd >= with * 9 / 10);
    release();
    size_t after = in_use();
    CHECK(after < before + (size_t)COUNT * SIZE / 10, "%zu before, %zu after", before, after);
}

static void
malloc_info_is_xml(void)
{
    static char text[1 << 20];
    FILE *f = tmpfile();
    CHECK(f != NULL);
    CHECK(malloc_info(0, f) == 0);
    rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    CHECK(strncmp(text, "<malloc version=\"1\">", 20) == 0, "begins %.40s", text);
    CHECK(strstr(text, "</malloc>") != NULL);
    CHECK(strstr(text, "<heap") != NULL && strstr(text, "<total") != NULL &&
          strstr(text, "<system") != NULL);
    int depth = 0;
    for (const char *at = text; *at != 0; at++) {
        if (at[0] == '<') {
            const char *end = strchr(at, '>');
            CHECK(end != NULL);
            if (at[1] == '/') {
                depth--;
            } else if (end[-1] != '/') {
                depth++;
            }
            CHECK(depth >= 0);
        }
    }
    CHECK(depth == 0);
    rewind(f);
    CHECK(malloc_info(1, f) == EINVAL);
    CHECK(malloc_info(-1, f) == EINVAL);
    fclose(f);
}

static void
malloc_stats_prints(void)
{
    FILE *f = tmpfile();
    int saved = dup(2);
    fflush(stderr);
    CHECK(f != NULL && dup2(fileno(f), 2) == 2);
    malloc_stats();
    fflush(stderr);
    dup2(saved, 2);
    CHECK(lseek(fileno(f), 0, SEEK_END) > 20);
    fclose(f);
}

static void
malloc_trim_returns_memory(void)
{
    fill();
    size_t peak = rss_kib();
    /* One survivor in each thousand keeps the top of the heap busy. */
    for (int i = 0; i < COUNT; i++) {
        if (i % 1000 != 999) {
            free(block[i]);
            block[i] = NULL;
        }
    }
    (void)malloc_trim(0);
    size_t after = rss_kib();
    CHECK(after < peak - (size_t)COUNT * SIZE / 1024 * 8 / 10, "%zu KiB at peak, %zu after", peak,
          after);
    for (int i = 0; i < COUNT; i++) {
        free(block[i]);
    }
    fill();
    release();
    size_t full = rss_kib();
    int answer = malloc_trim(0);
    CHECK(answer == 1 || rss_kib() + 1024 > full, "answer %d, but memory was returned", answer);
    int again = malloc_trim(0);
    CHECK(again == 0 || again == 1);
    (void)malloc_trim(SIZE_MAX);
    fill();
    release();
}

int
main(void)
{
    mallopt_answers();
    mallinfo_follows();
    malloc_info_is_xml();
    malloc_stats_prints();
    malloc_trim_returns_memory();
    return 0;
}
