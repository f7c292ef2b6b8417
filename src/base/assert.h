/* SPDX-License-Identifier: MIT */
/*
 * The check words (see CONTRIBUTING.md). Disabled asserts still compile.
 *   tide_assert           debug >= 1: cheap precondition, lock held, owner thread
 *   tide_assert_internal  debug >= 2: O(1) invariant
 *   tide_assert_full      debug >= 3: walkers and recounts
 * A client's errors are not asserts: they go through api/report.h, always.
 */
#ifndef TIDE_BASE_ASSERT_H
#define TIDE_BASE_ASSERT_H

#include "base/compiler.h"

#ifndef TIDE_DEBUG
#define TIDE_DEBUG 0
#endif

static const int config_debug = TIDE_DEBUG;

/* Prints file:line and the expression with one write(2), then aborts. Async-signal-safe. */
TIDE_COLD void tide_assert_fail(const char *file, int line, const char *expression)
    __attribute__((noreturn));

#define tide_assert_at(level, e)                                                                   \
    do {                                                                                           \
        if (config_debug >= (level) && unlikely(!(e))) {                                           \
            tide_assert_fail(__FILE__, __LINE__, #e);                                              \
        }                                                                                          \
    } while (0)

#define tide_assert(e) tide_assert_at(1, e)
#define tide_assert_internal(e) tide_assert_at(2, e)
#define tide_assert_full(e) tide_assert_at(3, e)

#endif
