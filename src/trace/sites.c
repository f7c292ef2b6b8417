/* SPDX-License-Identifier: MIT */
/*
 * Callers as small numbers, and the files that they are in.
 *
 * A caller is a return address and the height of the stack there, so that a function which
 * allocates for everybody is as many callers as it has ways to be reached. Recursion has many: they
 * get half of the table, what comes then counts without its height.
 *
 * The table is looked up without the lock: a slot's other words are written before its address
 * (release; acquired by the look-up), and nothing is ever removed. A caller outside all mappings
 * known so far has /proc/self/maps read: no lock of ld.so is taken, which a thread may hold that
 * waits for ours.
 * Known limit: what is loaded where something was unloaded is taken for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "trace/modules.h"
#include "trace/trace.h"

enum { SLOTS_LOG2 = 16, SLOTS = 1 << SLOTS_LOG2, PROBES_MAX = 64 };
enum { SITES_MAX = SLOTS / 2, HEIGHTS_MAX = SITES_MAX / 2 };
enum { HEIGHT_SHIFT = 4, STACK_MAX = 64 << 20 };

struct slot {
    uint64_t caller; /* atomic(release): 0: free */
    uint32_t height; /* const: once there is a caller */
    uint32_t number; /* const: likewise */
};

/* The C library's: where the first thread's stack begins. */
extern void *__libc_stack_end __attribute__((weak));

static struct slot slots[SLOTS];
static uint32_t count;             /* lock to write, relaxed to read: sites */
static struct trace_chunk *chunk;  /* lock: where their addresses are written */
static uint32_t in_chunk;          /* lock: how many of them */
static struct trace_modules known; /* lock: */

void
trace_sites_forget(void)
{
    memset(slots, 0, sizeof slots);
    count = 0;
    chunk = NULL;
    in_chunk = 0;
    known = (struct trace_modules){0};
}

/* How much of its stack the thread uses. Those that pthread_create makes have their thread data
 * above it; a stack of the program's own (a coroutine's) has no known end. */
static uint32_t
height_of(const void *frame)
{
    uintptr_t bytes = (uintptr_t)__builtin_thread_pointer() - (uintptr_t)frame;

    if (bytes >= STACK_MAX) {
        bytes = &__libc_stack_end == NULL ? 0 : (uintptr_t)__libc_stack_end - (uintptr_t)frame;
    }
    return bytes < STACK_MAX ? (uint32_t)(bytes >> HEIGHT_SHIFT) : 0;
}

static bool
write_site_locked(struct trace_site site)
{
    uint32_t size = chunk == NULL ? TRACE_PAGE : TRACE_CHUNK_MAX;

    if (chunk != NULL && sizeof *chunk + (in_chunk + 1) * sizeof site > chunk->bytes) {
        trace_chunk_close(chunk, (uint32_t)(in_chunk * sizeof site));
        chunk = NULL;
    }
    if (chunk == NULL) {
        chunk = trace_chunk_claim_locked(TRACE_SITES, size);
        in_chunk = 0;
        if (chunk == NULL) {
            return false;
        }
        chunk->first = count + 1;
    }
    memcpy((unsigned char *)(chunk + 1) + in_chunk * sizeof site, &site, sizeof site);
    in_chunk++;
    return true;
}

/* The slot is free, or was when it was looked at. */
TIDE_COLD static uint32_t
add_site(uint64_t caller, uint32_t height, size_t at)
{
    int saved_errno = errno, cancel;
    uint32_t number = 0;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    trace_lock();
    for (unsigned i = 0; i < PROBES_MAX && number == 0; i++, at = (at + 1) % SLOTS) {
        uint64_t there = atomic_load_relaxed(&slots[at].caller);

        if (there == caller && slots[at].height == height) {
            number = slots[at].number;
        } else if (there == 0) {
            if (count < SITES_MAX && write_site_locked((struct trace_site){caller, height, 0})) {
                trace_modules_cover_locked(&known, caller);
                number = slots[at].number = count + 1;
                slots[at].height = height;
                atomic_store_relaxed(&count, number);
                atomic_store_release(&slots[at].caller, caller); /* acquired in find_site */
            }
            break;
        }
    }
    trace_unlock();
    pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
    return number;
}

/* SITES_MAX + 1: it would be one more, and there is no room for that. */
static uint32_t
find_site(uint64_t caller, uint32_t height, uint32_t most)
{
    uint64_t hash = (caller + ((uint64_t)height << 32)) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash >> (64 - SLOTS_LOG2));

    for (unsigned i = 0; i < PROBES_MAX; i++, at = (at + 1) % SLOTS) {
        uint64_t there = atomic_load_acquire(&slots[at].caller);

        if (likely(there == caller && slots[at].height == height)) {
            return slots[at].number;
        }
        if (there == 0) {
            return atomic_load_relaxed(&count) < most ? add_site(caller, height, at)
                                                      : SITES_MAX + 1;
        }
    }
    return SITES_MAX + 1;
}

uint32_t
trace_site(struct trace_caller caller)
{
    uint64_t address = (uintptr_t)caller.address;
    uint32_t number = find_site(address, height_of(caller.frame), HEIGHTS_MAX);

    if (unlikely(number > SITES_MAX)) {
        number = find_site(address, 0, SITES_MAX);
    }
    return number <= SITES_MAX ? number : 0;
}
