/* SPDX-License-Identifier: MIT */
/*
 * Is what TIDE_CONF is to hold what the library takes? A program that was started with a wrong
 * value runs without it, so it is told before. Both end the program with a complaint when not;
 * `option` is where the text comes from.
 */
#ifndef TIDE_TOOL_CONF_H
#define TIDE_TOOL_CONF_H

#include "tool/tool.h"

/* A value of the option of that name, which there is. */
void conf_check_value(const char *option, const char *name, const char *value);
/* key:value, separated by commas or line ends, up to the first comment. */
void conf_check(const char *option, const char *text);

#endif
