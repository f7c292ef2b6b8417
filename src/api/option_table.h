/* SPDX-License-Identifier: MIT */
/* The table behind options.h, for the files that parse it and list it. */
#ifndef TIDE_API_OPTION_TABLE_H
#define TIDE_API_OPTION_TABLE_H

#include "api/options.h"

#define CONF_FILE "/etc/tidemalloc.conf"
#define CONF_ENV "TIDE_CONF"

enum option_type { TYPE_BOOL, TYPE_SIZE, TYPE_INT, TYPE_STRING, TYPE_ENUM };

struct option {
    char name[32];
    enum option_type type;
    bool is_runtime; /* may be set after start-up */
    bool is_stable;
    char unit[40]; /* ENUM: the words, separated by | */
    uint64_t min;  /* STRING: of the length */
    uint64_t max;
    uint64_t number; /* default of all types but STRING */
    char string[8];  /* default of STRING */
    size_t offset;   /* in tide_opt */
    char brief[80];
};

enum {
#define TIDE_OPTION(name, type, unit, min, max, def, when, stability, brief, text) OPTION_##name,
#include "api/options.def"
#undef TIDE_OPTION
    OPTION_COUNT,
};

extern TIDE_HIDDEN const struct option option_table[];

/* Where the value is. */
static inline void *
option_field(const struct option *option)
{
    return (char *)&tide_opt + option->offset;
}

bool option_text_equals(const char *text, size_t len, const char *word);
/* NULL: there is none of that name. */
const struct option *option_find(const char *name, size_t len);
/* The index-th of the words of an ENUM, or NULL. */
const char *option_enum_word(const char *words, uint64_t index, size_t *len);
/* The present value; of all types but STRING. */
uint64_t option_number(const struct option *option);
/* A number, or the present value, as people write it in a setting. */
void option_write_number(const struct option *option, uint64_t number, fmt_t *out);
void option_write_value(const struct option *option, fmt_t *out);

#endif
