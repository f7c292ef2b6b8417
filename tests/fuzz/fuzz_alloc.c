/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer entry: the input's bytes are a sequence of calls on 64 slots, checked against a shadow
 * model: no two live blocks overlap, alignment and usable size are as promised, contents stay,
 * errors are the right ones and change nothing.
 *
 * Built by run.sh with clang -fsanitize=fuzzer,address and all sources under the tide_ names. With
 * TIDE_FUZZ_MAIN it is a plain program that replays the files named as arguments, or, without any,
 * pseudo-random inputs.
 */
#define TEST_ABORTS
#include "alloc_names.h"
#include "check.h"

enum { SLOTS = 64, LIVE_MAX = 128 << 20 };

struct shadow {
    unsigned char *p;
    size_t size, usable, alignment;
    uint64_t tag;
};

struct input {
    const uint8_t *at, *end;
};

static struct shadow slot[SLOTS];
static size_t live_bytes;
static uint64_t next_tag;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* Sizes of every order of magnitude from two bytes; rarely more than 1 MiB. */
static size_t
take_size(struct input *in)
{
    unsigned shape = take(in), value = take(in);
    switch (shape % 8) {
    case 0:
    case 1:
    case 2:
        return value;
    case 3:
        return value * 16 + shape / 8;
    case 4:
        return value * 130 + shape;
    case 5:
        return ((size_t)16 << (value % 14)) + shape / 8 - 16;
    case 6:
        return (size_t)value * 4096 + shape / 8;
    default:
        return value < 8 ? (size_t)value << 20 : (size_t)value * 300;
    }
}

static size_t
take_alignment(struct input *in)
{
    return (size_t)1 << (take(in) % 21);
}

static size_t
too_large(struct input *in)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096, PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX + 1};
    return hide_size(sizes[take(in) % (sizeof sizes / sizeof sizes[0])]);
}

/* Large blocks are filled at both ends only, or an input would take too long. */
enum { ENDS = 8192 };

static void
fill(struct shadow *s)
{
    s->tag = ++next_tag * 0x9e3779b97f4a7c15u;
    if (s->usable <= 2 * ENDS) {
        pattern_fill(s->p, s->usable, s->tag);
    } else {
        pattern_fill(s->p, ENDS, s->tag);
        pattern_fill(s->p + s->usable - ENDS, ENDS, s->tag);
    }
}

static void
verify(const struct shadow *s)
{
    if (s->usable <= 2 * ENDS) {
        CHECK_PATTERN(s->p, s->usable, s->tag);
    } else {
        CHECK_PATTERN(s->p, ENDS, s->tag);
        CHECK_PATTERN(s->p + s->usable - ENDS, ENDS, s->tag);
    }
}

static void
forget(struct shadow *s)
{
    live_bytes -= s->usable;
    s->p = NULL;
}

static void
admit(struct shadow *s, void *p, size_t size, size_t alignment)
{
    CHECK(p != NULL, "size %zu alignment %zu", size, alignment);
    CHECK_ALIGNED(p, alignment < 16 ? 16 : alignment);
    s->p = p;
    s->size = size;
    s->alignment = alignment;
    s->usable = t_malloc_usable_size(p);
    CHECK(s->usable >= size, "usable %zu, asked %zu", s->usable, size);
    /* Also a block of no bytes is a place of its own. */
    uintptr_t begin = (uintptr_t)p, end = begin + (s->usable > 0 ? s->usable : 1);
    for (struct shadow *o = slot; o < slot + SLOTS; o++) {
        if (o != s && o->p != NULL) {
            uintptr_t other = (uintptr_t)o->p;
            CHECK(end <= other || begin >= other + (o->usable > 0 ? o->usable : 1),
                  "%p of %zu overlaps %p of %zu", p, s->usable, (void *)o->p, o->usable);
        }
    }
    live_bytes += s->usable;
    fill(s);
}

static void
do_free(struct shadow *s, unsigned how)
{
    verify(s);
    CHECK(t_malloc_usable_size(s->p) == s->usable);
    errno = (int)how + 1;
    if (how % 4 == 0 && s->alignment <= 16) {
        t_free_sized(s->p, s->size);
    } else {
        t_free(s->p);
    }
    CHECK(errno == (int)how + 1, "free changed errno to %d", errno);
    forget(s);
}

static void
do_realloc(struct shadow *s, size_t size)
{
    verify(s);
    size_t kept = s->usable < size ? s->usable : size;
    kept = s->usable <= 2 * ENDS || kept < ENDS ? kept : ENDS;
    uint64_t tag = s->tag;
    unsigned char *p = t_realloc(s->p, size);
    forget(s);
    if (size == 0) {
        CHECK(p == NULL);
        return;
    }
    CHECK(p != NULL, "size %zu", size);
    CHECK_PATTERN(p, kept, tag);
    admit(s, p, size, 16);
}

static void
do_calloc(struct shadow *s, size_t size, unsigned how)
{
    size_t count = how % 16 + 1;
    unsigned char *p = t_calloc(count, size / count);
    size = size / count * count;
    CHECK(p != NULL);
    for (size_t i = 0; i < size; i++) {
        CHECK(p[i] == 0, "calloc: byte %zu of %zu", i, size);
    }
    admit(s, p, size, 16);
}

static void
do_failing_call(struct shadow *s, struct input *in)
{
    size_t huge = too_large(in);
    void *const untouched = (void *)(uintptr_t)0x55;
    void *p = untouched;
    errno = 0;
    switch (take(in) % 8) {
    case 0:
        CHECK(hide(t_malloc(huge)) == NULL && errno == ENOMEM);
        break;
    case 1:
        CHECK(hide(t_calloc(huge, 2)) == NULL && errno == ENOMEM);
        break;
    case 2:
        CHECK(hide(t_realloc(s->p, huge)) == NULL && errno == ENOMEM);
        break;
    case 3:
        CHECK(hide(t_aligned_alloc(take_alignment(in), huge)) == NULL && errno == ENOMEM);
        break;
    case 4:
        CHECK(hide(t_aligned_alloc(hide_size(take(in) * 2 + 3), 8)) == NULL && errno == EINVAL);
        break;
    case 5:
        CHECK(t_posix_memalign(&p, take_alignment(in) * 8, huge) == ENOMEM && p == untouched);
        break;
    case 6:
        CHECK(t_posix_memalign(&p, hide_size(take(in) % 8), 8) == EINVAL && p == untouched);
        break;
    default:
        CHECK(hide(t_memalign(SIZE_MAX - take(in), 8)) == NULL && errno == EINVAL);
        break;
    }
    if (s->p != NULL) {
        verify(s);
        CHECK(t_malloc_usable_size(s->p) == s->usable);
    }
}

static void
one_step(struct input *in)
{
    unsigned op = take(in);
    struct shadow *s = &slot[take(in) % SLOTS];
    size_t size, alignment;
    void *p = NULL;
    if (op % 16 == 15) {
        do_failing_call(s, in);
        return;
    }
    if (op % 16 == 14) {
        if (op >= 240) {
            t_malloc_trim(0);
        }
        t_free(NULL);
        CHECK(t_malloc_usable_size(NULL) == 0);
        return;
    }
    if (s->p != NULL) {
        if (op % 16 < 6) {
            do_realloc(s, take_size(in));
        } else {
            do_free(s, op / 16);
        }
        return;
    }
    size = take_size(in);
    if (live_bytes + size > LIVE_MAX) {
        return;
    }
    switch (op % 16) {
    case 0:
    case 1:
        do_calloc(s, size, op / 16);
        break;
    case 2:
        alignment = take_alignment(in);
        admit(s, t_aligned_alloc(alignment, size), size, alignment);
        break;
    case 3:
        alignment = take_alignment(in);
        CHECK(t_posix_memalign(&p, alignment * 8, size) == 0);
        admit(s, p, size, alignment * 8);
        break;
    case 4:
        alignment = (size_t)1 << (take(in) % 9);
        admit(s, t_memalign(alignment - alignment / 4, size), size, alignment);
        break;
    case 5:
        admit(s, t_realloc(NULL, size), size, 16);
        break;
    default:
        admit(s, t_malloc(size), size, 16);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    while (in.at < in.end) {
        one_step(&in);
    }
    for (struct shadow *s = slot; s < slot + SLOTS; s++) {
        if (s->p != NULL) {
            do_free(s, 1);
        }
    }
    CHECK(live_bytes == 0);
    return 0;
}

#ifdef TIDE_FUZZ_MAIN
static void
replay(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL, "%s: %s", path, strerror(errno));
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    printf("%s: %zu bytes\n", path, n);
    LLVMFuzzerTestOneInput(data, n);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    static uint8_t data[4096];
    uint64_t state = 1;
    for (int i = 0; argc == 1 && i < 300; i++) {
        size_t n = rnd_below(&state, sizeof data);
        for (size_t k = 0; k < n; k++) {
            data[k] = (uint8_t)(rnd(&state) >> 32);
        }
        LLVMFuzzerTestOneInput(data, n);
    }
    return 0;
}
#endif
