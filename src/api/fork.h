/* SPDX-License-Identifier: MIT */
/* fork: every lock is taken before and released (parent) or reset (child) after. */
#ifndef TIDE_API_FORK_H
#define TIDE_API_FORK_H

void fork_init(void);     /* names the process; at init */
void fork_register(void); /* registers the handlers; once, may allocate */

#endif
