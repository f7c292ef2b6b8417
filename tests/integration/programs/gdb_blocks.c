/* SPDX-License-Identifier: MIT */
/*
 * For gdb.sh: blocks in every state that gdb is asked about, in global variables, at stop_here.
 * 2,500 bytes are a class of 2,560, of which 12 blocks go into a span; nothing else here is of it,
 * nor of that of 3,000 bytes.
 */
#include "check.h"
#include <pthread.h>

enum { CLASS_BYTES = 2560, CLASS_BLOCKS = 12, KEPT_BLOCKS = 40 };

char *small_live;
char *small_free;
char *inside;
char *never;
char *tail;
char *in_bin;
char *passed;
char *large;
char *large_inside;
char *large_kept;
char *large_gone;
char *span_kept;
char *sampled;
char *sampled_large;
char *sampled_deep;
char on_data[64];

__attribute__((noinline)) void
stop_here(void)
{
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static char *
site_of_sampled(size_t size)
{
    return hide(malloc(size));
}

/* More frames than a site has of its own. */
__attribute__((noinline)) static char *
descend(unsigned depth)
{
    return hide(depth == 0 ? malloc(400000) : descend(depth - 1));
}

/* Ends with its heap an orphan, and a block that another thread will free. */
static void *
other(void *arg)
{
    passed = hide(malloc(3000));
    *(char **)arg = hide(malloc(3000));
    return NULL;
}

int
main(void)
{
    pthread_t thread;
    char *beside;
    char *first;
    char *kept[KEPT_BLOCKS];

    CHECK(pthread_create(&thread, NULL, other, &beside) == 0);
    pthread_join(thread, NULL);
    free(passed);
    first = hide(malloc(2500));
    for (int i = 1; i < CLASS_BLOCKS; i++) {
        CHECK(hide(malloc(2500)) != NULL);
    }
    small_live = hide(malloc(2500)); /* of the next span */
    memset(small_live, 1, 2500);
    inside = small_live + 15;
    never = small_live + (CLASS_BLOCKS - 1) * CLASS_BYTES;
    tail = small_live + CLASS_BLOCKS * CLASS_BYTES;
    in_bin = first; /* a used up span's blocks go to the bin */
    free(in_bin);
    small_free = hide(malloc(700));
    free(small_free);
    for (int i = 0; i < KEPT_BLOCKS; i++) {
        kept[i] = hide(malloc(6000)); /* five to a span */
    }
    span_kept = kept[KEPT_BLOCKS / 2];
    for (int i = 0; i < KEPT_BLOCKS; i++) {
        free(kept[i]);
    }
    large = hide(malloc(1000000));
    large_inside = large + 123456;
    large_kept = hide(malloc(100000));
    free(large_kept);
    large_gone = hide(malloc(3000000));
    free(large_gone);
    sampled = site_of_sampled(30000);
    sampled_large = site_of_sampled(5000000);
    sampled_deep = descend(29);
    stop_here();
    return 0;
}
