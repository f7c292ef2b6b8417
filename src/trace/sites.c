/* SPDX-License-Identifier: MIT */
/*
 * Callers as small numbers, and the files that they are in.
 *
 * The table is looked up without the lock: a slot's number is written before its address (release;
 * acquired by the look-up), and nothing is ever removed. A caller outside all mappings known so far
 * has /proc/self/maps read: no lock of ld.so is taken, which a thread may hold that waits for ours.
 * Known limit: what is loaded where something was unloaded is taken for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "trace/modules.h"
#include "trace/trace.h"

enum { SLOTS_LOG2 = 16, SLOTS = 1 << SLOTS_LOG2, SITES_MAX = SLOTS / 2, PROBES_MAX = 64 };

struct slot {
    uint64_t caller; /* atomic(release): 0: free */
    uint32_t number; /* const: once there is a caller */
};

static struct slot slots[SLOTS];
static uint32_t count;             /* lock: sites */
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

static bool
write_site_locked(uint64_t caller)
{
    uint32_t size = chunk == NULL ? TRACE_PAGE : TRACE_CHUNK_MAX;

    if (chunk != NULL && sizeof *chunk + (in_chunk + 1) * sizeof(uint64_t) > chunk->bytes) {
        trace_chunk_close(chunk, (uint32_t)(in_chunk * sizeof(uint64_t)));
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
    memcpy((unsigned char *)(chunk + 1) + in_chunk * sizeof caller, &caller, sizeof caller);
    in_chunk++;
    return true;
}

/* The slot is free, or was when it was looked at. */
TIDE_COLD static uint32_t
add_site(uint64_t caller, size_t at)
{
    int saved_errno = errno, cancel;
    uint32_t number = 0;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    trace_lock();
    for (unsigned i = 0; i < PROBES_MAX && number == 0; i++, at = (at + 1) % SLOTS) {
        uint64_t there = atomic_load_relaxed(&slots[at].caller);

        if (there == caller) {
            number = slots[at].number;
        } else if (there == 0) {
            if (count < SITES_MAX && write_site_locked(caller)) {
                trace_modules_cover_locked(&known, caller);
                number = slots[at].number = ++count;
                atomic_store_release(&slots[at].caller, caller); /* acquired in trace_site */
            }
            break;
        }
    }
    trace_unlock();
    pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
    return number;
}

uint32_t
trace_site(const void *caller)
{
    uint64_t address = (uintptr_t)caller;
    size_t at = (size_t)(address * 0x9e3779b97f4a7c15u >> (64 - SLOTS_LOG2));

    for (unsigned i = 0; i < PROBES_MAX; i++, at = (at + 1) % SLOTS) {
        uint64_t there = atomic_load_acquire(&slots[at].caller);

        if (likely(there == address)) {
            return slots[at].number;
        }
        if (there == 0) {
            return add_site(address, at);
        }
    }
    return 0;
}
