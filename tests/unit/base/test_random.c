/* SPDX-License-Identifier: MIT */
/* base/random.h: values against libm's to the digits promised, distributions by their moments. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"

static void
test_ln_is_that_of_libm(void **state)
{
    (void)state;
    for (double x = 1e-300; x < 1e300; x *= 1.37) {
        double wanted = log(x);

        assert_true(fabs(random_ln(x) - wanted) <= 1e-12 * fmax(1, fabs(wanted)));
    }
    assert_true(random_ln(1) == 0);
    assert_true(fabs(random_ln(0x1p-54) - log(0x1p-54)) < 1e-11);
}

static void
test_one_minus_exp_is_that_of_libm(void **state)
{
    (void)state;
    for (double x = 1e-12; x < 100; x *= 1.21) {
        assert_true(fabs(random_one_minus_exp(x) / -expm1(-x) - 1) <= 1e-12);
    }
    assert_true(random_one_minus_exp(0) == 0);
}

/* Mean and variance of the exponential distribution are 1, its third central moment is 2; each
 * within five standard errors. */
static void
test_exponential_has_its_moments(void **state)
{
    enum { N = 1000000 };
    uint64_t seed = 42;
    double sum = 0;
    double squares = 0;
    double cubes = 0;
    int above_one = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        double x = random_exponential(&seed);

        assert_true(x > 0 && x < 38);
        sum += x;
        squares += (x - 1) * (x - 1);
        cubes += (x - 1) * (x - 1) * (x - 1);
        above_one += x > 1;
    }
    assert_true(fabs(sum / N - 1) < 5 * sqrt(1.0 / N));
    assert_true(fabs(squares / N - 1) < 5 * sqrt(8.0 / N));
    assert_true(fabs(cubes / N - 2) < 5 * sqrt(261.0 / N));
    assert_true(fabs((double)above_one / N - exp(-1)) < 5 * sqrt(0.24 / N));
}

static void
test_equal_seeds_give_equal_sequences(void **state)
{
    uint64_t a = 7;
    uint64_t b = 7;
    uint64_t c = 8;

    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t x = random_next(&a);

        assert_true(x == random_next(&b));
        assert_true(x != random_next(&c));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ln_is_that_of_libm),
        cmocka_unit_test(test_one_minus_exp_is_that_of_libm),
        cmocka_unit_test(test_exponential_has_its_moments),
        cmocka_unit_test(test_equal_seeds_give_equal_sequences),
    };

    return cmocka_run_group_tests_name("base/random", tests, NULL, NULL);
}
