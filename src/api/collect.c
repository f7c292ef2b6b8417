/* SPDX-License-Identifier: MIT */
/*
 * Fills struct tide_stats from the arena, the heaps and the keeper: the one place that looks
 * at everything. A snapshot taken while other threads go on: each figure is read without tearing,
 * sums may be off by what happened meanwhile. Blocks in other threads' bins count as used.
 */
#include "api/foreign.h"
#include "api/stats.h"
#include "heap/heap.h"
#include "heap/report.h"
#include "keeper/huge.h"
#include "keeper/keeper.h"
#include "keeper/learn.h"
#include "keeper/promise.h"
#include "keeper/rise.h"
#include "os/os.h"

/* Blocks of a bin's list, when it is the caller's to walk. */
static uint32_t
list_length(const block_t *list)
{
    uint32_t n = 0;

    for (const block_t *b = list; !is_list_end(b) && block_is_linked(b); b = b->next) {
        n++;
    }
    return n;
}

/* What the calling thread keeps of a class. */
static uint32_t
own_free_blocks(unsigned c)
{
    const heap_t *heap = heap_self();
    const block_t *aside;

    if (heap == &heap_empty) {
        return 0;
    }
    aside = heap->classes[c].aside;
    return list_length(heap->bins[c].head) + (aside != NULL ? list_length(aside) : 0);
}

static uint64_t
span_live(const span_t *span)
{
    uint64_t word = atomic_load_relaxed(&span->remote);

    switch (remote_state(word)) {
    case SPAN_FULL:
        return span->capacity;
    case SPAN_POOLED:
    case SPAN_COLD:
        return atomic_load_relaxed(&span->pool_live) - remote_count(word);
    default:
        break;
    }
    return span->left + span->live_floor - remote_count(word);
}

static void
collect_span(struct tide_stats *out, const span_t *span)
{
    unsigned size_class = span->size_class; /* of a record that may be changing */
    struct tide_class_stats *cs = &out->classes[size_class < TIDE_CLASS_COUNT ? size_class : 0];
    uint64_t bytes = (uint64_t)span->slice_count << SLICE_SHIFT;

    out->spans++;
    if (span->kind == SPAN_LARGE && atomic_load_relaxed(&span->remote) == LARGE_FREED) {
        out->active_bytes += bytes; /* freed, kept by a heap */
        return;
    }
    if (span->kind == SPAN_LARGE) {
        out->large_blocks++;
        out->large_bytes += span->bytes;
        out->allocated_bytes += span->bytes;
        out->active_bytes += span->bytes;
        return;
    }
    cs->spans++;
    cs->capacity += span->capacity;
    cs->used += span_live(span);
    out->spans_cold += remote_state(atomic_load_relaxed(&span->remote)) == SPAN_COLD;
    out->active_bytes += bytes;
}

static void
collect_spans(struct tide_stats *out)
{
    size_t limit = atomic_load_relaxed(&space.slice_limit);

    for (size_t i = 0; i < limit;) {
        const span_t *span = space_span_of(slice_address(i));
        size_t step = 1;

        if (span->kind != SPAN_NONE && span->slice_count > 0) {
            collect_span(out, span);
            step = span->slice_count;
        }
        i += step;
    }
}

/* Which figure the os pages of a span count for. */
static uint64_t *
resident_figure(struct tide_stats *out, const span_t *span)
{
    if (span->kind == SPAN_NONE || span->slice_count == 0) {
        return &out->resident_free_bytes;
    }
    if (span->kind == SPAN_LARGE) {
        return atomic_load_relaxed(&span->remote) == LARGE_FREED ? &out->resident_waiting_bytes
                                                                 : &out->resident_large_bytes;
    }
    return &out->classes[span->size_class < TIDE_CLASS_COUNT ? span->size_class : 0].resident_bytes;
}

/* Slice by slice: which span it is of, and how many of its os pages are in RAM. */
static void
collect_resident(struct tide_stats *out)
{
    unsigned char pages[CHUNK_BYTES >> OS_PAGE_SHIFT];
    size_t limit = (size_t)atomic_load_relaxed(&space.frontier) * CHUNK_SLICES;
    uint64_t *figure = &out->resident_free_bytes;
    size_t left = 0; /* slices of the span */

    for (size_t i = 0; i < limit; i++) {
        const unsigned char *of_slice = &pages[i % CHUNK_SLICES * (SLICE_BYTES >> OS_PAGE_SHIFT)];

        if (i % CHUNK_SLICES == 0) {
            (void)os_resident_pages(slice_address(i), CHUNK_BYTES, pages);
        }
        if (left == 0) {
            const span_t *span = space_span_of(slice_address(i));

            figure = span == NULL ? &out->resident_free_bytes : resident_figure(out, span);
            left = span == NULL ? 1 : max_zu(span->slice_count, 1);
        }
        for (size_t k = 0; k < SLICE_BYTES >> OS_PAGE_SHIFT; k++) {
            *figure += (of_slice[k] & 1u) << OS_PAGE_SHIFT;
        }
        left--;
    }
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        out->resident_small_bytes += out->classes[c].resident_bytes;
    }
    out->resident_metadata_bytes = meta_resident();
    out->resident_bytes = out->resident_small_bytes + out->resident_large_bytes +
                          out->resident_waiting_bytes + out->resident_free_bytes +
                          out->resident_metadata_bytes;
}

static void
collect_heaps(struct tide_stats *out)
{
    for (const heap_t *h = heap_first(); h != NULL; h = h->next) {
        const heap_counters_t *c = &h->counters;

        uint32_t state = atomic_load_relaxed(&h->state);

        out->heaps_live += state == HEAP_LIVE;
        out->heaps_orphaned += state == HEAP_ORPHAN;
        out->refills += atomic_load_relaxed(&c->refills);
        out->spans_claimed +=
            atomic_load_relaxed(&c->claimed) + atomic_load_relaxed(&c->pool_takes);
        out->spans_released += atomic_load_relaxed(&c->spans_released);
        out->remote_batches += atomic_load_relaxed(&c->remote_batches);
        out->large_allocs += atomic_load_relaxed(&c->large_allocs);
        out->large_frees += atomic_load_relaxed(&c->large_frees);
        out->realloc_in_place += atomic_load_relaxed(&c->realloc_in_place);
        out->realloc_remapped += atomic_load_relaxed(&c->realloc_moved);
        out->realloc_copied += atomic_load_relaxed(&c->realloc_copied);
        out->zeroing_avoided_bytes += atomic_load_relaxed(&c->zeroing_avoided_bytes);
        out->remote_blocks += atomic_load_relaxed(&c->remote_blocks);
    }
}

static void
collect_arena(struct tide_stats *out)
{
    const struct arena_counters *c = &arena_counters;

    out->retained_bytes = (uint64_t)atomic_load_relaxed(&c->free_dirty_slices) << SLICE_SHIFT;
    out->metadata_bytes = meta_bytes();
    out->reserved_bytes = atomic_load_relaxed(&space.reserved_bytes);
    out->committed_bytes =
        ((uint64_t)atomic_load_relaxed(&space.frontier) << CHUNK_SHIFT) + out->metadata_bytes;
    out->chunks = atomic_load_relaxed(&c->frontier_chunks);
    out->huge_bytes = atomic_load_relaxed(&c->huge_chunks) << CHUNK_SHIFT;
    out->purged_bytes = (out->chunks << CHUNK_SHIFT) - out->retained_bytes -
                        ((uint64_t)atomic_load_relaxed(&c->used_slices) << SLICE_SHIFT);
    out->peak_active_bytes = (uint64_t)atomic_load_relaxed(&c->used_highest) << SLICE_SHIFT;
    out->slices_allocated = atomic_load_relaxed(&c->slices_allocated);
    out->slices_freed = atomic_load_relaxed(&c->slices_freed);
    out->commit_calls = atomic_load_relaxed(&c->commit_calls);
    out->purge_calls = atomic_load_relaxed(&c->purge_calls);
    out->purge_bytes = atomic_load_relaxed(&c->purged_bytes);
    out->hole_purge_calls = atomic_load_relaxed(&c->hole_purge_calls);
    out->hole_purge_bytes = atomic_load_relaxed(&c->hole_purged_bytes);
}

static void
collect_classes(struct tide_stats *out)
{
    for (unsigned c = 0; c < TIDE_CLASS_COUNT; c++) {
        uint64_t live;

        out->classes[c].block_bytes = size_classes[c].size;
        out->classes[c].used -= min_zu(out->classes[c].used, own_free_blocks(c));
        out->allocated_bytes += out->classes[c].used * size_classes[c].size;
        pool_counts(c, &out->classes[c].spans_pooled, &live);
        out->spans_pooled += out->classes[c].spans_pooled;
    }
}

static void
collect_keeper(struct tide_stats *out)
{
    const struct keeper_counters *k = &keeper_counters;

    out->keeper_running = keeper_is_running();
    out->keeper_passes = atomic_load_relaxed(&k->passes);
    out->advice_advised = atomic_load_relaxed(&k->advised);
    out->advice_tried = atomic_load_relaxed(&k->tried);
    out->advice_applied = atomic_load_relaxed(&k->applied);
    out->advice_regretted = atomic_load_relaxed(&k->regretted);
    out->rise_advised = atomic_load_relaxed(&rise_counters.advised);
    out->rise_tried = atomic_load_relaxed(&rise_counters.tried);
    out->rise_applied = atomic_load_relaxed(&rise_counters.applied);
    out->rise_woken = atomic_load_relaxed(&rise_counters.woken);
    out->populated_bytes = atomic_load_relaxed(&arena_counters.populated_bytes);
    out->populated_used_bytes = atomic_load_relaxed(&rise_counters.used_bytes);
    out->populated_regretted_bytes = atomic_load_relaxed(&rise_counters.regretted_bytes);
    out->huge_found_dear = atomic_load_relaxed(&huge_found_dear);
    out->learn_known = atomic_load_relaxed(&learn_counters.known);
    out->learn_begun = atomic_load_relaxed(&learn_counters.begun);
    out->learn_forecast = atomic_load_relaxed(&learn_counters.forecast);
    out->learn_saved = atomic_load_relaxed(&learn_counters.saved);
    out->learn_failed = atomic_load_relaxed(&learn_counters.failed);
    out->guaranteed_bytes = promise_guaranteed_bytes();
}

TIDE_COLD void
stats_collect(struct tide_stats *out, enum stats_depth depth)
{
    struct tide_lane_stats *lane = &out->lanes[0];

    if (tide_init_once() != 0) {
        return;
    }
    collect_arena(out);
    collect_heaps(out);
    collect_keeper(out);
    out->page_faults_avoided =
        ((atomic_load_relaxed(&arena_counters.reused_dirty_slices) << SLICE_SHIFT) +
         out->zeroing_avoided_bytes) /
        OS_PAGE;
    out->foreign_frees = foreign_free_count();
    out->errors_reported = report_count();
    if (depth >= STATS_SPANS) {
        collect_spans(out);
        collect_classes(out);
    }
    if (depth >= STATS_ALL) {
        collect_resident(out);
    }
    lane->allocated_bytes = out->allocated_bytes;
    lane->active_bytes = out->active_bytes;
    lane->retained_bytes = out->retained_bytes;
    lane->chunks = out->chunks;
}
