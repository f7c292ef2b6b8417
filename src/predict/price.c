/* SPDX-License-Identifier: MIT */
/* See price.h. */
#include "predict/price.h"

#define WEIGHT 0.25

static void
note(struct price_kind *kind, double ns_a_byte)
{
    kind->ns_a_byte =
        kind->calls == 0 ? ns_a_byte : kind->ns_a_byte + WEIGHT * (ns_a_byte - kind->ns_a_byte);
    kind->calls += kind->calls < PRICE_MIN_CALLS;
}

TIDE_COLD void
price_note(struct price *price, bool huge, uint64_t now_ns, uint64_t bytes, uint64_t took_ns)
{
    bool known;

    note(huge ? &price->huge : &price->small, (double)took_ns / (double)bytes);
    known = price->small.calls == PRICE_MIN_CALLS && price->huge.calls == PRICE_MIN_CALLS;
    if (huge && known && price->huge.ns_a_byte > PRICE_DEAR * price->small.ns_a_byte) {
        price->until_ns = now_ns + PRICE_MEMORY_NS;
    }
}

TIDE_COLD bool
price_huge_is_dear(struct price *price, uint64_t now_ns)
{
    if (price->until_ns != 0 && now_ns >= price->until_ns) {
        price->until_ns = 0;
        price->huge = (struct price_kind){.calls = 0};
    }
    return price->until_ns != 0;
}
