/* SPDX-License-Identifier: MIT */
/*
 * Client errors: one line on stderr, then abort, or (abort:false) the call is ignored.
 * The wording is interface: see tidemalloc(3), DIAGNOSTICS. No allocation, no locks, no stdio.
 */
#ifndef TIDE_HEAP_REPORT_H
#define TIDE_HEAP_REPORT_H

#include "types.h"

/* The call that the client made, for the report. */
extern bool report_aborts; /* init: TIDE_CONF=abort */

/* `span` may be NULL (foreign). Returns only with abort:false. */
TIDE_COLD void report_pointer(const char *function, const char *what, const void *p,
                              const span_t *span);
uint64_t report_count(void);

/* The phrases; compared by address. */
extern const char REPORT_DOUBLE_FREE[];
extern const char REPORT_INTERIOR[];
extern const char REPORT_FOREIGN[];
extern const char REPORT_NOT_ALLOCATED[];
extern const char REPORT_CORRUPTED[];
extern const char REPORT_WRONG_SIZE[];

#endif
