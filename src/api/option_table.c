/* SPDX-License-Identifier: MIT */
/*
 * api/option_table.c - the options, generated from options.def, and what is written about them:
 * see options.h and option_table.h. No locks, no allocation, no stdio.
 */
#include "api/option_table.h"

#include <string.h>

#define WHEN_RUNTIME true
#define WHEN_STARTUP false
#define STABILITY_STABLE true
#define STABILITY_EXPERIMENTAL false

#define NUMBER_BOOL(def) (def)
#define NUMBER_SIZE(def) (def)
#define NUMBER_INT(def) (def)
#define NUMBER_ENUM(def) (def)
#define NUMBER_STRING(def) 0
#define STRING_BOOL(def) ""
#define STRING_SIZE(def) ""
#define STRING_INT(def) ""
#define STRING_ENUM(def) ""
#define STRING_STRING(def) (def)

/* The defaults are there before any code runs. */
struct tide_options tide_opt = {
#define TIDE_OPTION(name, type, unit, min, max, def, when, stability, brief, text) .name = def,
#include "api/options.def"
#undef TIDE_OPTION
};

TIDE_COLD_DATA const struct option option_table[] = {
#define TIDE_OPTION(tag, kind, units, least, most, def, when, stability, line, text)               \
    {                                                                                              \
        .name = #tag,                                                                              \
        .type = TYPE_##kind,                                                                       \
        .is_runtime = WHEN_##when,                                                                 \
        .is_stable = STABILITY_##stability,                                                        \
        .unit = units,                                                                             \
        .min = least,                                                                              \
        .max = most,                                                                               \
        .number = NUMBER_##kind(def),                                                              \
        .string = STRING_##kind(def),                                                              \
        .offset = offsetof(struct tide_options, tag),                                              \
        .brief = line,                                                                             \
    },
#include "api/options.def"
#undef TIDE_OPTION
};

TIDE_STATIC_ASSERT(TIDE_ARRAY_LEN(option_table) == OPTION_COUNT, "one each");

TIDE_COLD bool
option_text_equals(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

TIDE_COLD const struct option *
option_find(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_text_equals(name, len, option_table[i].name)) {
            return &option_table[i];
        }
    }
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------- */

/* Word number `index` of "first|second|..."; NULL past the last. */
TIDE_COLD const char *
option_enum_word(const char *words, uint64_t index, size_t *len)
{
    for (; index > 0; index--) {
        words = strchr(words, '|');
        if (words == NULL) {
            return NULL;
        }
        words++;
    }
    *len = strcspn(words, "|");
    return words;
}

/* The number of an ENUM, SIZE, INT or BOOL. */
TIDE_COLD uint64_t
option_number(const struct option *option)
{
    switch (option->type) {
    case TYPE_BOOL:
        return atomic_load_relaxed((bool *)option_field(option));
    case TYPE_SIZE:
        return atomic_load_relaxed((size_t *)option_field(option));
    case TYPE_INT:
    case TYPE_ENUM:
        return atomic_load_relaxed((unsigned *)option_field(option));
    case TYPE_STRING:
    default:
        return 0;
    }
}

/* A number as people write it in a setting. */
TIDE_COLD void
option_write_number(const struct option *option, uint64_t number, fmt_t *out)
{
    size_t len;
    const char *word;

    switch (option->type) {
    case TYPE_BOOL:
        fmt_str(out, number != 0 ? "true" : "false");
        break;
    case TYPE_SIZE:
        fmt_size(out, number);
        break;
    case TYPE_ENUM:
        word = option_enum_word(option->unit, number, &len);
        if (word != NULL) {
            fmt_mem(out, word, len);
        }
        break;
    case TYPE_INT:
    case TYPE_STRING:
    default:
        fmt_u64(out, number);
        break;
    }
}

TIDE_COLD void
option_write_value(const struct option *option, fmt_t *out)
{
    if (option->type == TYPE_STRING) {
        fmt_str(out, option_field(option));
    } else {
        option_write_number(option, option_number(option), out);
    }
}

static void
write_default(const struct option *option, fmt_t *out)
{
    if (option->type == TYPE_STRING) {
        fmt_str(out, option->string);
    } else {
        option_write_number(option, option->number, out);
    }
}

static bool
is_changed(const struct option *option)
{
    if (option->type == TYPE_STRING) {
        return strcmp(option_field(option), option->string) != 0;
    }
    return option_number(option) != option->number;
}

/* ---- listings ------------------------------------------------------------------------------ */

static const char *
type_name(enum option_type type)
{
    TIDE_COLD_DATA static const char names[][8] = {"bool", "size", "int", "string", "enum"};

    return names[type];
}

static void
write_help_of(const struct option *option, fmt_t *out)
{
    fmt_printf(out, "  %s:", option->name);
    write_default(option, out);
    if (is_changed(option)) {
        fmt_str(out, "   now ");
        option_write_value(option, out);
    }
    fmt_printf(out, "\n      %s\n      (", option->brief);
    switch (option->type) {
    case TYPE_BOOL:
        fmt_str(out, "true or false");
        break;
    case TYPE_ENUM:
        fmt_str(out, option->unit);
        break;
    case TYPE_STRING:
        fmt_printf(out, "%s", option->unit);
        break;
    case TYPE_SIZE:
    case TYPE_INT:
    default:
        fmt_printf(out, "%s, ", option->unit);
        option_write_number(option, option->min, out);
        fmt_str(out, " to ");
        option_write_number(option, option->max, out);
        break;
    }
    fmt_printf(out, "%s%s)\n", option->is_runtime ? "; at run time too" : "",
               option->is_stable ? "" : "; experimental");
}

TIDE_COLD void
options_write_help(fmt_t *out)
{
    fmt_str(out, "tidemalloc options, with their defaults. Set them by\n"
                 "  " CONF_FILE ", then const char *tide_conf, then the environment,\n"
                 "  " CONF_ENV "=name:value,name:value...; the last one wins.\n\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        write_help_of(&option_table[i], out);
    }
}

TIDE_COLD void
options_print_help(int fd)
{
    char buf[512];
    fmt_t out;

    fmt_init_fd(&out, fd, buf, sizeof buf);
    options_write_help(&out);
    fmt_flush(&out);
}

static void
write_json_number(const struct option *option, uint64_t number, fmt_t *out)
{
    switch (option->type) {
    case TYPE_SIZE:
        fmt_u64(out, number);
        break;
    case TYPE_ENUM:
        fmt_char(out, '"');
        option_write_number(option, number, out);
        fmt_char(out, '"');
        break;
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_STRING:
    default:
        option_write_number(option, number, out);
        break;
    }
}

static void
write_json_value(const struct option *option, fmt_t *out)
{
    if (option->type == TYPE_STRING) {
        fmt_json_str(out, option_field(option));
    } else {
        write_json_number(option, option_number(option), out);
    }
}

static void
write_json_default(const struct option *option, fmt_t *out)
{
    if (option->type == TYPE_STRING) {
        fmt_json_str(out, option->string);
    } else {
        write_json_number(option, option->number, out);
    }
}

TIDE_COLD void
options_write_json(fmt_t *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];

        fmt_printf(out, "%s{\"name\":\"%s\",\"type\":\"%s\",\"unit\":\"%s\"", i == 0 ? "[" : ",\n ",
                   option->name, type_name(option->type), option->unit);
        if (option->type == TYPE_SIZE || option->type == TYPE_INT) {
            fmt_str(out, ",\"min\":");
            fmt_u64(out, option->min);
            fmt_str(out, ",\"max\":");
            fmt_u64(out, option->max);
        }
        fmt_str(out, ",\"default\":");
        write_json_default(option, out);
        fmt_str(out, ",\"value\":");
        write_json_value(option, out);
        fmt_printf(out, ",\"runtime\":%s,\"stable\":%s,\"summary\":",
                   option->is_runtime ? "true" : "false", option->is_stable ? "true" : "false");
        fmt_json_str(out, option->brief);
        fmt_char(out, '}');
    }
    fmt_str(out, "]\n");
}

TIDE_COLD void
options_write_values_json(fmt_t *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        fmt_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", option_table[i].name);
        write_json_value(&option_table[i], out);
    }
    fmt_char(out, '}');
}

TIDE_COLD void
options_write_changed(fmt_t *out)
{
    bool is_first = true;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (is_changed(&option_table[i])) {
            fmt_printf(out, "%s%s:", is_first ? "" : ",", option_table[i].name);
            option_write_value(&option_table[i], out);
            is_first = false;
        }
    }
}
