/* SPDX-License-Identifier: MIT */
/*
 * Is what TIDE_CONF is to hold what the library takes? A program that was started with a wrong
 * value runs without it, so it is told before. Calls with an `option`, where the text comes from,
 * end the program with a complaint when not.
 */
#ifndef TIDE_TOOL_CONF_H
#define TIDE_TOOL_CONF_H

#include "tool/tool.h"

/* A value of the option of that name, which there is. */
void conf_check_value(const char *option, const char *name, const char *value);
/* key:value, separated by commas or line ends; comments are up to the end of the line. */
void conf_check(const char *option, const char *text);
/* Does the text, which may be NULL, give a value to the option of that name? */
bool conf_has(const char *text, const char *name);
/* Does the text, which may be NULL, leave the option of that name on? `before` it was. */
bool conf_turns_on(const char *text, const char *name, bool before);
/* A path as a value: without commas, line ends and comments, and not too long. */
#define CONF_PATH_MAX 255u
bool conf_can_hold(const char *path);

#endif
