/* SPDX-License-Identifier: MIT */
/* See price.h. */
#include "predict/price.h"

#define WEIGHT 0.25

static void
note_small(struct price *price, double ns)
{
    price->small_ns =
        price->small_calls == 0 ? ns : price->small_ns + WEIGHT * (ns - price->small_ns);
    price->small_calls += price->small_calls < PRICE_MIN_CALLS;
}

static void
note_huge(struct price *price, uint64_t now_ns, double ns)
{
    double small_ns = price->small_calls == PRICE_MIN_CALLS ? price->small_ns : PRICE_SMALL_NS;

    if (ns <= PRICE_DEAR * small_ns) {
        price->dear_calls = 0;
        price->memory_ns = 0;
        return;
    }
    price->dear_calls++;
    if (price->dear_calls >= PRICE_MIN_CALLS && price->until_ns == 0) {
        price->memory_ns = price->memory_ns == 0                    ? PRICE_MEMORY_NS
                           : price->memory_ns < PRICE_MEMORY_MAX_NS ? 2 * price->memory_ns
                                                                    : PRICE_MEMORY_MAX_NS;
        price->until_ns = now_ns + price->memory_ns;
    }
}

TIDE_COLD void
price_note(struct price *price, bool huge, uint64_t now_ns, uint64_t bytes, uint64_t took_ns)
{
    double ns_a_byte = (double)took_ns / (double)bytes;

    if (huge) {
        note_huge(price, now_ns, ns_a_byte);
    } else {
        note_small(price, ns_a_byte);
    }
}

TIDE_COLD bool
price_huge_is_dear(struct price *price, uint64_t now_ns)
{
    if (price->until_ns != 0 && now_ns >= price->until_ns) {
        price->until_ns = 0;
        price->dear_calls = PRICE_MIN_CALLS - 1; /* one more will do */
    }
    return price->until_ns != 0;
}
