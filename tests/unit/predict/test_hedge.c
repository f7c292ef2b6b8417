/* SPDX-License-Identifier: MIT */
/* predict/hedge: known rounds, the invariant under any loss, regret, and changes of the best. */
#include "series.h"

#include "predict/hedge.h"

static void
check_weights(const struct hedge *h)
{
    double sum = 0;

    for (uint32_t i = 0; i < h->experts; i++) {
        require(h->weight[i] >= hedge_floor(h) * (1 - 1e-9));
        sum += h->weight[i];
    }
    require_near(sum, 1, 1e-12);
}

static void
test_one_round_by_hand(void **state)
{
    static const double loss[] = {2, 5, 8};
    struct hedge h;
    double sum = 1 + 0.60653065971263342 + 0.36787944117144233; /* exp of 0, -1/2, -1 */

    (void)state;
    hedge_init(&h, 3, 1);
    hedge_observe(&h, loss);
    require_near(h.weight[0], (1 - HEDGE_SHARE) / sum + HEDGE_SHARE / 3, 1e-11);
    require_near(h.weight[1], (1 - HEDGE_SHARE) * 0.60653065971263342 / sum + HEDGE_SHARE / 3,
                 1e-11);
    require_near(h.weight[2], (1 - HEDGE_SHARE) * 0.36787944117144233 / sum + HEDGE_SHARE / 3,
                 1e-11);
}

static void
test_a_favoured_expert_begins_with_more(void **state)
{
    static const double factor[] = {4, 0.01, 1};
    struct hedge h;

    (void)state;
    for (unsigned i = 0; i < TIDE_ARRAY_LEN(factor); i++) {
        hedge_init(&h, 3, 1);
        hedge_favour(&h, 1, factor[i]);
        check_weights(&h);
        require_near(h.weight[1], factor[i] / (factor[i] + 2), 1e-12);
        require_near(h.weight[0], h.weight[2], 0);
    }
}

/* Eight at a time: three tenths of the rate. */
static void
test_rounds_that_overlap_count_less(void **state)
{
    static const double loss[] = {2, 5, 8};
    struct hedge h;
    double sum = 1 + 0.86070797642505781 + 0.74081822068171788; /* exp of 0, -0.15, -0.3 */

    (void)state;
    hedge_init(&h, 3, 8);
    hedge_observe(&h, loss);
    require_near(h.weight[0], (1 - HEDGE_SHARE) / sum + HEDGE_SHARE / 3, 1e-11);
    require_near(h.weight[2], (1 - HEDGE_SHARE) * 0.74081822068171788 / sum + HEDGE_SHARE / 3,
                 1e-11);
}

static void
test_the_mean_is_by_weight(void **state)
{
    static const double forecast[] = {10, 20, 60};
    struct hedge h;

    (void)state;
    hedge_init(&h, 3, 1);
    require_near(hedge_mean(&h, forecast), 30, 1e-15);
    h.weight[0] = 0.5;
    h.weight[1] = 0.25;
    h.weight[2] = 0.25;
    require_near(hedge_mean(&h, forecast), 25, 1e-15);
}

static void
test_pinball_by_hand(void **state)
{
    (void)state;
    require_near(pinball_loss(0.9, 100, 110), 9, 1e-12);
    require_near(pinball_loss(0.9, 100, 90), 1, 1e-12);
    assert_true(pinball_loss(0.9, 100, 100) == 0);
}

static void
test_equal_losses_teach_nothing(void **state)
{
    static const double loss[] = {5, 5, 5, 5};
    struct hedge h;

    (void)state;
    hedge_init(&h, 4, 1);
    for (unsigned i = 0; i < 1000; i++) {
        hedge_observe(&h, loss);
        check_weights(&h);
    }
    for (unsigned i = 0; i < 4; i++) {
        require_near(h.weight[i], 0.25, 1e-12);
    }
}

static void
test_weights_hold_whatever_the_losses(void **state)
{
    static const double odd[] = {0, -1, 1e-320, 1e-200, 1, 1e9, 1e300, 1.7e308};
    struct unit_random r = {31};

    (void)state;
    for (unsigned run = 0; run < 200; run++) {
        struct hedge h;

        hedge_init(&h, 1 + run % HEDGE_EXPERTS_MAX, 1);
        for (unsigned i = 0; i < 200; i++) {
            double loss[HEDGE_EXPERTS_MAX];

            for (unsigned k = 0; k < HEDGE_EXPERTS_MAX; k++) {
                unsigned at = (unsigned)unit_below(&r, TIDE_ARRAY_LEN(odd) + 3);

                loss[k] = at < TIDE_ARRAY_LEN(odd)        ? odd[at]
                          : at == TIDE_ARRAY_LEN(odd)     ? __builtin_nan("")
                          : at == TIDE_ARRAY_LEN(odd) + 1 ? __builtin_inf()
                                                          : series_uniform(&r);
            }
            hedge_observe(&h, loss);
            check_weights(&h);
        }
    }
}

static void
test_what_is_no_loss_is_none(void **state)
{
    const double odd[] = {__builtin_nan(""), -5, 0, 1};
    struct hedge h;

    (void)state;
    hedge_init(&h, 4, 1);
    hedge_observe(&h, odd);
    require_near(h.weight[0], h.weight[2], 1e-15);
    require_near(h.weight[1], h.weight[2], 1e-15);
    require(h.weight[3] < h.weight[2]);
}

static void
test_units_do_not_matter(void **state)
{
    struct unit_random r = {32};
    struct hedge a;
    struct hedge b;

    (void)state;
    hedge_init(&a, 5, 1);
    hedge_init(&b, 5, 1);
    for (unsigned i = 0; i < 500; i++) {
        double loss[5];
        double bytes[5];

        for (unsigned k = 0; k < 5; k++) {
            loss[k] = series_uniform(&r) * (k + 1);
            bytes[k] = loss[k] * 0x1p40;
        }
        hedge_observe(&a, loss);
        hedge_observe(&b, bytes);
        assert_memory_equal(a.weight, b.weight, sizeof a.weight);
    }
}

/* The loss of the weights' mixture is at most that of the best expert plus ln(experts) / rate and
 * rate / 8 a round, in units of the largest difference, and the share of each round. */
static void
test_regret_is_bounded(void **state)
{
    enum { ROUNDS = 2000, EXPERTS = 8 };

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct unit_random r = {seed};
        struct hedge h;
        double total[EXPERTS] = {0};
        double mixed = 0;
        double best = 1e9;
        double worst = 0;

        hedge_init(&h, EXPERTS, 1);
        for (unsigned i = 0; i < ROUNDS; i++) {
            double loss[EXPERTS];

            for (unsigned k = 0; k < EXPERTS; k++) {
                loss[k] = series_uniform(&r) * (k == seed % EXPERTS ? 0.7 : 1);
                total[k] += loss[k];
            }
            mixed += hedge_mean(&h, loss);
            hedge_observe(&h, loss);
        }
        for (unsigned k = 0; k < EXPERTS; k++) {
            best = total[k] < best ? total[k] : best;
            worst = total[k] > worst ? total[k] : worst;
        }
        require(mixed < best + 2.1 / HEDGE_RATE + ROUNDS * (HEDGE_RATE / 8 + 3 * HEDGE_SHARE));
        require(mixed < (best + worst) / 2);
    }
}

static void
test_another_best_is_followed(void **state)
{
    struct unit_random r = {33};
    struct hedge h;
    double mixed = 0;
    double fixed[2] = {0, 0};

    (void)state;
    hedge_init(&h, 8, 1);
    for (unsigned i = 0; i < 3000; i++) {
        double loss[8];
        unsigned good = i / 500 % 2; /* in turn */

        for (unsigned k = 0; k < 8; k++) {
            loss[k] = (k == good ? 0.1 : 1) + 0.1 * series_uniform(&r);
        }
        if (i % 500 > 20) { /* ln(2000) / rate: from the floor to most */
            require(h.weight[good] > 0.9);
            require(h.weight[1 - good] < 0.1);
        }
        mixed += hedge_mean(&h, loss);
        fixed[0] += loss[0];
        fixed[1] += loss[1];
        hedge_observe(&h, loss);
    }
    require(mixed < 0.5 * fixed[0]);
    require(mixed < 0.5 * fixed[1]);
}

static void
test_a_disaster_does_not_decide_alone(void **state)
{
    static const double usual[] = {1, 2, 2, 2};
    static const double disaster[] = {1e12, 0, 0, 0};
    struct hedge h;

    (void)state;
    hedge_init(&h, 4, 1);
    for (unsigned i = 0; i < 100; i++) {
        hedge_observe(&h, usual);
    }
    hedge_observe(&h, disaster);
    require(h.weight[0] > 0.9); /* exp(-1) of nearly all is still most */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_round_by_hand),
        cmocka_unit_test(test_a_favoured_expert_begins_with_more),
        cmocka_unit_test(test_rounds_that_overlap_count_less),
        cmocka_unit_test(test_the_mean_is_by_weight),
        cmocka_unit_test(test_pinball_by_hand),
        cmocka_unit_test(test_equal_losses_teach_nothing),
        cmocka_unit_test(test_weights_hold_whatever_the_losses),
        cmocka_unit_test(test_what_is_no_loss_is_none),
        cmocka_unit_test(test_units_do_not_matter),
        cmocka_unit_test(test_regret_is_bounded),
        cmocka_unit_test(test_another_best_is_followed),
        cmocka_unit_test(test_a_disaster_does_not_decide_alone),
    };

    return cmocka_run_group_tests_name("predict/hedge", tests, unit_setup, NULL);
}
