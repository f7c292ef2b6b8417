/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer entry: the input is a .tide file, whose checksums are not looked at, or nothing else would
 * ever be. Whatever comes of it must hold together, must be read again as it was written, and must
 * be able to be merged.
 *
 * Built by run.sh with clang -fsanitize=fuzzer,address,undefined and the reader's sources. With
 * TIDE_FUZZ_MAIN it is a plain program that replays the files named as arguments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tool/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_profile(const struct profile *p)
{
    for (size_t i = 0; i < p->location_count; i++) {
        CHECK(p->locations[i].module <= p->module_count);
    }
    for (size_t i = 0; i < p->module_count; i++) {
        CHECK(p->modules[i].build_id_length <= PROFILE_BUILD_ID_MAX);
        CHECK(strlen(p->modules[i].path) < SIZE_MAX && p->modules[i].is_main == (i == 0));
    }
    for (size_t i = 0; i < p->site_count; i++) {
        CHECK(p->sites[i].frame_count <= PROFILE_FRAMES_MAX);
        for (uint32_t k = 0; k < p->sites[i].frame_count; k++) {
            CHECK(p->sites[i].frames[k] < p->location_count);
        }
        for (size_t k = 0; k < PROFILE_BUCKETS; k++) {
            CHECK(p->sites[i].buckets[k] >= 0);
        }
    }
}

/* Writes the profile; what is read of that is written the same. */
static void
check_again(const struct profile *p)
{
    size_t length, other_length;
    unsigned char *bytes = profile_encode(p, &length), *other;
    struct profile_problem problem;
    struct profile again = {0};

    CHECK(profile_parse(&again, bytes, length, 0, &problem), "%s", problem.text);
    check_profile(&again);
    other = profile_encode(&again, &other_length);
    CHECK(length == other_length && memcmp(bytes, other, length) == 0);
    profile_merge(&again, p);
    check_profile(&again);
    profile_free(&again);
    free(bytes);
    free(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct profile_problem problem = {0};
    struct profile p = {0};

    if (!profile_parse(&p, data, size, PROFILE_ANY_CHECKSUM, &problem)) {
        CHECK(problem.text[0] != '\0' && problem.offset <= size && p.incomplete);
    }
    check_profile(&p);
    check_again(&p);
    profile_free(&p);
    return 0;
}

#ifdef TIDE_FUZZ_MAIN
int
main(int argc, char **argv)
{
    static uint8_t data[1 << 20];

    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        CHECK(f != NULL, "%s: %s", argv[i], strerror(errno));
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        printf("%s: %zu bytes\n", argv[i], n);
        LLVMFuzzerTestOneInput(data, n);
        /* Cut off and changed as well. */
        for (size_t k = 0; k < n; k += n / 200 + 1) {
            LLVMFuzzerTestOneInput(data, k);
            data[k] ^= 0x81;
            LLVMFuzzerTestOneInput(data, n);
            data[k] ^= 0x81;
        }
    }
    return 0;
}
#endif
