/* SPDX-License-Identifier: MIT */
/*
 * heap/heap.h as a whole: random operations of several threads, one at a time, after which the
 * counting identity of types.h holds for every span and every heap; then many at once.
 */
#include "audit.h"

#define HELD_MAX 1500u
#define ACTORS 3u
#define CLASSES 8u

static struct held held[HELD_MAX];
static unsigned classes[CLASSES];
static size_t class_count;

/* --- one at a time ---------------------------------------------------------------------------- */

enum op_kind { OP_ALLOC, OP_FREE, OP_FLUSH, OP_LET_GO, OP_KINDS };

struct op {
    enum op_kind kind;
    struct held *h;
    size_t size;
    unsigned char mark;
};

static void
run_op(void *arg)
{
    const struct op *op = arg;

    switch (op->kind) {
    case OP_ALLOC:
        held_alloc(op->h, op->size, op->mark);
        break;
    case OP_FREE:
        held_free(op->h);
        break;
    case OP_FLUSH:
        if (heap_self() != &heap_empty) {
            remote_flush(heap_self());
        }
        break;
    default:
        if (heap_self() != &heap_empty) {
            heap_let_go_all(heap_self());
        }
    }
}

static void
run_by(struct unit_actor *actors, size_t who, struct op *op)
{
    if (who == 0) {
        run_op(op);
    } else {
        unit_actor_do(&actors[who - 1], run_op, op);
    }
}

/* What the keeper, or the end of a thread, does now and then. */
static void
disturb(struct unit_random *r, struct unit_actor *actors)
{
    struct unit_actor *actor = &actors[unit_below(r, ACTORS)];

    switch (unit_below(r, 6)) {
    case 0:
        unit_actor_end(actor);
        require_eq(unit_actor_start(actor), 0);
        break;
    case 1:
        (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
        break;
    case 2:
        (void)heap_dissolve_orphans(unit_now_tick());
        break;
    case 3:
        (void)keeper_trim();
        break;
    case 4: /* younger spans are spared */
        (void)heap_purge_holes(atomic_add_relaxed(&arena_tick, 1), (size_t)1 << 20);
        break;
    default:
        atomic_add_relaxed(&arena_tick, 1);
    }
}

static size_t
size_in_class(struct unit_random *r, unsigned c)
{
    size_t high = size_classes[c].size;
    size_t low = c == 0 ? 1 : size_classes[c - 1].size + 1;

    return low + unit_below(r, high - low + 1);
}

static void
random_operations(uint64_t seed, unsigned steps)
{
    struct unit_actor actors[ACTORS];
    struct unit_random r = {seed};
    size_t favour_free = 5;

    for (size_t i = 0; i < ACTORS; i++) {
        require_eq(unit_actor_start(&actors[i]), 0);
    }
    for (unsigned step = 0; step < steps; step++) {
        struct op op = {OP_ALLOC, &held[unit_below(&r, HELD_MAX)], 0, 0};
        size_t who = unit_below(&r, ACTORS + 1);

        if (step % 2000 == 0) { /* tides */
            favour_free = favour_free == 5 ? 15 : 5;
        }
        for (int tries = 0; tries < 4 && (op.h->p != NULL) != (unit_below(&r, 20) < favour_free);
             tries++) {
            op.h = &held[unit_below(&r, HELD_MAX)];
        }
        if (unit_below(&r, 100) == 0) {
            op.kind = unit_below(&r, 2) == 0 ? OP_FLUSH : OP_LET_GO;
        } else if (op.h->p != NULL) {
            op.kind = OP_FREE;
        } else {
            op.size = size_in_class(&r, classes[unit_below(&r, class_count)]);
            op.mark = (unsigned char)(1 + unit_below(&r, 255));
        }
        run_by(actors, who, &op);
        if (unit_below(&r, 150) == 0) {
            disturb(&r, actors);
        }
        if (step % 100 == 99) {
            audit(held, HELD_MAX);
        }
    }
    for (size_t i = 0; i < HELD_MAX; i++) {
        struct op op = {OP_FREE, &held[i], 0, 0};

        if (held[i].p != NULL) {
            run_by(actors, unit_below(&r, ACTORS + 1), &op);
        }
    }
    audit(held, HELD_MAX);
    for (size_t i = 0; i < ACTORS; i++) {
        unit_actor_end(&actors[i]);
    }
    audit(held, HELD_MAX);
    (void)keeper_trim();
    (void)keeper_trim();               /* orphans sent home what they had of ours */
    require_eq(audit_span_count(), 0); /* the last block freed, the last span gone */
}

static void
test_identity_holds_after_random_operations(void **state)
{
    (void)state;
    class_count = audit_choose_classes(classes, CLASSES, 2);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        random_operations(seed, 6000);
    }
}

static void
test_identity_holds_for_many_blocks_of_one_class(void **state)
{
    (void)state;
    class_count = audit_choose_classes(classes, 1, TIDE_CLASS_COUNT - 12);
    random_operations(77, 6000);
    class_count = audit_choose_classes(classes, 1, 1);
    random_operations(78, 6000);
}

/* --- many at once ----------------------------------------------------------------------------- */

#define SLOTS 600u
#define THREADS 3u

struct parcel {
    size_t size;
    unsigned char mark;
};

static struct parcel *slots[SLOTS]; /* atomic */
static uint32_t threads_done;       /* atomic */
static unsigned rounds;

static struct parcel *
parcel_make(struct unit_random *r)
{
    unsigned c = classes[unit_below(r, class_count)];
    size_t size = size_in_class(r, c);
    struct parcel *parcel = tide_malloc(size);

    require(parcel != NULL);
    require(size > sizeof *parcel);
    parcel->size = size;
    parcel->mark = (unsigned char)unit_below(r, 256);
    memset(parcel + 1, parcel->mark, min_zu(size - sizeof *parcel, 300));
    ((unsigned char *)parcel)[size - 1] = parcel->mark;
    return parcel;
}

static void
parcel_end(struct parcel *parcel)
{
    if (parcel == NULL) {
        return;
    }
    require(unit_is_filled(parcel + 1, parcel->mark, min_zu(parcel->size - sizeof *parcel, 300)));
    require_eq(((unsigned char *)parcel)[parcel->size - 1], parcel->mark);
    tide_free(parcel);
}

static void *
exchange_main(void *arg)
{
    struct unit_random r = {(uintptr_t)arg};

    for (unsigned i = 0; i < rounds; i++) {
        struct parcel *parcel = unit_below(&r, 2) == 0 ? NULL : parcel_make(&r);

        /* Release: its bytes; acquire: the other's. */
        parcel = atomic_exchange_acq_rel(&slots[unit_below(&r, SLOTS)], parcel);
        parcel_end(parcel);
    }
    atomic_add_relaxed(&threads_done, 1);
    return NULL;
}

static void
exchange(uint64_t seed)
{
    pthread_t threads[THREADS];
    struct unit_random r = {seed};

    threads_done = 0;
    for (uintptr_t i = 0; i < THREADS; i++) {
        require_eq(pthread_create(&threads[i], NULL, exchange_main, (void *)(seed * 10 + i)), 0);
    }
    while (atomic_load_relaxed(&threads_done) < THREADS) {
        switch (unit_below(&r, 4)) {
        case 0:
            (void)heap_purge_holes(unit_now_tick(), SIZE_MAX);
            break;
        case 1:
            (void)heap_dissolve_orphans(unit_now_tick());
            break;
        case 2:
            (void)keeper_trim(); /* asks the other heaps as well */
            break;
        default:
            atomic_add_relaxed(&arena_tick, 1);
        }
        usleep(500);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void
test_identity_holds_after_threads_exchanged_blocks(void **state)
{
    (void)state;
    class_count = audit_choose_classes(classes, CLASSES, 3);
    rounds = 30000;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        size_t n = 0;

        exchange(seed);
        for (size_t i = 0; i < SLOTS; i++) {
            struct parcel *parcel = atomic_load_acquire(&slots[i]);

            if (parcel != NULL) {
                held[n++] = (struct held){(unsigned char *)parcel, 1, *(unsigned char *)parcel};
            }
        }
        audit(held, n);
        for (size_t i = 0; i < SLOTS; i++) {
            parcel_end(atomic_exchange_acq_rel(&slots[i], NULL));
        }
        audit(held, 0);
        (void)keeper_trim();
        (void)keeper_trim();
        require_eq(audit_span_count(), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_holds_after_random_operations),
        cmocka_unit_test(test_identity_holds_for_many_blocks_of_one_class),
        cmocka_unit_test(test_identity_holds_after_threads_exchanged_blocks),
    };

    return cmocka_run_group_tests_name("heap", tests, unit_setup, NULL);
}
