/* SPDX-License-Identifier: MIT */
/*
 * api/options.h - the options, their values, and where values come from.
 *
 * Owns: tide_opt, the one copy of all option values, generated from options.def; the parser of the
 * three sources (/etc/tidemalloc.conf, the symbol tide_conf, the environment variable TIDE_CONF,
 * later ones winning); messages about bad entries.
 *
 * Refuses to know: what an option does. Includes base headers only, so that any layer may read
 * an option.
 *
 * Invariants: every value lies within its bounds at all times. A bad entry changes nothing.
 * tide_opt holds the defaults before options_init(), so code that runs earlier needs no check.
 */
#ifndef TIDE_API_OPTIONS_H
#define TIDE_API_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/fmt.h"

/* The words of the ENUM options, in the order in which options.def lists them. */
enum tide_purge { TIDE_PURGE_OFF, TIDE_PURGE_PEAK };
enum tide_huge { TIDE_HUGE_AUTO, TIDE_HUGE_NEVER, TIDE_HUGE_ALWAYS };
enum tide_unwind {
    TIDE_UNWIND_AUTO,
    TIDE_UNWIND_LIBUNWIND,
    TIDE_UNWIND_FRAME_POINTER,
    TIDE_UNWIND_LIBGCC,
};
enum tide_page { TIDE_PAGE_OFF, TIDE_PAGE_AUTO, TIDE_PAGE_ON };
enum tide_predict { TIDE_PREDICT_OFF, TIDE_PREDICT_ON };

/* Largest amounts that make sense: what 47 address bits can hold, and half of that reserved. */
#define TIDE_OPTION_SIZE_MAX 140737488355328
#define TIDE_OPTION_RESERVE_MAX 70368744177664

/* The C type of each TYPE of the table. */
#define TIDE_OPTION_FIELD_BOOL(name, max) bool name;
#define TIDE_OPTION_FIELD_SIZE(name, max) size_t name;
#define TIDE_OPTION_FIELD_INT(name, max) unsigned name;
#define TIDE_OPTION_FIELD_ENUM(name, max) unsigned name;
#define TIDE_OPTION_FIELD_STRING(name, max) char name[(max) + 1];

/*
 * One field per option. STARTUP fields are `init:` - read them as they are. RUNTIME fields are
 * `atomic(relaxed):` - tide_ctl() may change them at any time; read them with option_load().
 */
struct tide_options {
#define TIDE_OPTION(name, type, unit, min, max, def, when, stability, brief, text)                 \
    TIDE_OPTION_FIELD_##type(name, max)
#include "api/options.def"
#undef TIDE_OPTION
};

extern struct tide_options tide_opt __attribute__((visibility("hidden")));

/* The value of a RUNTIME option, e.g. option_load(purge_window_ms). */
#define option_load(name) atomic_load_relaxed(&tide_opt.name)

/*
 * Reads the three sources. Needs nothing but system calls: it may run inside the first malloc of
 * ld.so, before libc's constructors, when `environ` is still NULL; TIDE_CONF is then read from
 * /proc. Programs with raised privileges (AT_SECURE) ignore the environment. Prints the list of
 * options if help:true was given.
 *
 * Call once, by one thread, before any other allocates in earnest. Does not change errno.
 */
void options_init(void);

/*
 * Sets one option at run time. Texts need no terminator. Returns 0, ENOENT (no such option), EPERM
 * (it is fixed at start-up), EINVAL (not a value of its type) or ERANGE (out of bounds). Writes
 * nothing. Thread-safe.
 */
int options_set_by_name(const char *name, size_t name_len, const char *value, size_t value_len);

/*
 * Copies the RUNTIME options to the layers that may not read tide_opt. Defined in init.c; called at
 * start-up and after each successful options_set_by_name(). Thread-safe.
 */
void options_apply_runtime(void);

/* Starts or stops what the RUNTIME options want on or off. Defined in init.c; called after each
 * successful options_set_by_name(). Without locks. */
void options_follow(void);

/* Formats the present value of one option. Returns 0 or ENOENT. Thread-safe. */
int options_get_by_name(const char *name, size_t name_len, fmt_t *out);

/* What the environment says (TIDE_CONF), NULL: nothing. Touches no page of libc, as getenv would: a
 * small process has the less of it in RAM. */
const char *options_environment(void);

/* True when the process runs with raised privileges and must not trust its surroundings. */
bool options_is_secure(void);

/* The list people read: TIDE_CONF=help:true. */
void options_print_help(int fd);
void options_write_help(fmt_t *out);

/* The same for programs: a JSON array with one object per option. */
void options_write_json(fmt_t *out);

/* One JSON object {"name":value,...} of the present values. */
void options_write_values_json(fmt_t *out);

/* "name:value,name:value" of the options that differ from their defaults; nothing if none does. */
void options_write_changed(fmt_t *out);

/*
 * Parses text in the syntax of the sources, as options_init() does: entries key:value separated
 * by commas or line ends, comments from # to the end of the line. `source` names it in messages,
 * which go to file descriptor `fd`. Returns the number of bad entries. For start-up, tests and
 * the fuzzer; may set any option.
 */
size_t options_parse(const char *source, const char *text, size_t len, int fd);

#endif
