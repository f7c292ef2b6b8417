/* SPDX-License-Identifier: MIT */
/* The page of `tide report --format=html`, which the build makes of html/; @DATA@ is the place for
 * the data. No bytes when the build was without. */
#ifndef TIDE_TOOL_PAGE_H
#define TIDE_TOOL_PAGE_H

#include <stddef.h>

extern const char report_page[];
extern const size_t report_page_bytes;

#endif
