/* SPDX-License-Identifier: MIT */
/* See conf.h. The rules are those of api/options.c, the names and bounds those of its table. */
#include "tool/conf.h"

#include <stdlib.h>
#include <string.h>

#include "api/options.h"

#define WORDS_ON "true|on|yes|1"
#define WORDS_OFF "false|off|no|0"

enum type { TYPE_BOOL, TYPE_SIZE, TYPE_INT, TYPE_STRING, TYPE_ENUM };

static const struct known {
    const char *name;
    enum type type;
    const char *unit; /* ENUM: the words, separated by | */
    uint64_t min;     /* STRING: of the length */
    uint64_t max;
} known[] = {
#define TIDE_OPTION(name, type, unit, min, max, def, when, stability, brief, text)                 \
    {#name, TYPE_##type, unit, min, max},
#include "api/options.def"
#undef TIDE_OPTION
};

/* Is it one of the words that | separates? */
static bool
is_one_of(const char *words, const char *value)
{
    size_t length = strlen(value);

    for (const char *word = words; word != NULL; word = strchr(word, '|')) {
        word += *word == '|';
        if (strcspn(word, "|") == length && strncmp(word, value, length) == 0) {
            return true;
        }
    }
    return false;
}

/* true and the like mean on, false and the like off, where there is such a word. */
static bool
is_word_of(const char *words, const char *value)
{
    return is_one_of(words, value) || (is_one_of(WORDS_ON, value) && is_one_of(words, "on")) ||
           (is_one_of(WORDS_OFF, value) && is_one_of(words, "off"));
}

static void
check(const char *option, const struct known *k, const char *value)
{
    switch (k->type) {
    case TYPE_BOOL:
        if (!is_one_of(WORDS_ON "|" WORDS_OFF, value)) {
            tool_misused("%s takes true or false, not '%s'", option, value);
        }
        break;
    case TYPE_SIZE:
        (void)tool_size(option, value, k->min, k->max);
        break;
    case TYPE_INT:
        (void)tool_number(option, value, k->min, k->max);
        break;
    case TYPE_ENUM:
        if (!is_word_of(k->unit, value)) {
            tool_misused("%s takes one of %s, not '%s'", option, k->unit, value);
        }
        break;
    case TYPE_STRING:
    default:
        if (strlen(value) < k->min || strlen(value) > k->max) {
            tool_misused("%s takes a text of at most %llu bytes, not '%s'", option,
                         (unsigned long long)k->max, value);
        }
        break;
    }
}

static const struct known *
find(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

void
conf_check_value(const char *option, const char *name, const char *value)
{
    check(option, find(name), value);
}

/* Without the blanks around it. */
static char *
trim(char *text)
{
    static const char blanks[] = " \t\r";
    size_t length;

    text += strspn(text, blanks);
    for (length = strlen(text); length > 0 && strchr(blanks, text[length - 1]) != NULL; length--) {
    }
    text[length] = '\0';
    return text;
}

/* What is done with each entry: its name and its value, which is NULL where there is no colon. */
typedef void entry_fn(const char *option, const char *name, const char *value, void *context);

static void
check_entry(const char *option, const char *name, const char *value, void *context)
{
    const struct known *k = find(name);
    char *whole;

    (void)context;
    if (k == NULL) {
        tool_misused("%s: there is no option '%s'; `TIDE_CONF=help:true tide run --no-profile true`"
                     " lists them",
                     option, name);
    }
    if (value == NULL) {
        tool_misused("%s: '%s' has no value: write %s:VALUE", option, name, name);
    }
    if (asprintf(&whole, "%s: %s", option, name) < 0) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    check(whole, k, value);
    free(whole);
}

static void
split_entry(const char *option, char *entry, entry_fn *use, void *context)
{
    char *value = strchr(entry, ':');

    if (value != NULL) {
        *value++ = '\0';
    }
    entry = trim(entry);
    if (entry[0] != '\0' || value != NULL) { /* else a comma too many */
        use(option, entry, value == NULL ? NULL : trim(value), context);
    }
}

/* How long the line is before a comment: a # that is not inside a word, as file names have it. */
static size_t
length_without_comment(const char *line)
{
    size_t at = strcspn(line, "#");

    while (at > 0 && line[at] != '\0' && strchr(" \t\r,", line[at - 1]) == NULL) {
        at += 1 + strcspn(line + at + 1, "#");
    }
    return at;
}

static void
split(const char *option, const char *text, entry_fn *use, void *context)
{
    char *copy = strdup(text), *rest = copy, *line, *entry;

    if (copy == NULL) {
        tool_die(TOOL_INPUT, "out of memory");
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        line[length_without_comment(line)] = '\0';
        while ((entry = strsep(&line, ",")) != NULL) {
            split_entry(option, entry, use, context);
        }
    }
    free(copy);
}

void
conf_check(const char *option, const char *text)
{
    split(option, text, check_entry, NULL);
}

struct asked {
    const char *name;
    bool is_there;
    bool is_on;
};

static void
note_entry(const char *option, const char *name, const char *value, void *context)
{
    struct asked *asked = context;

    (void)option;
    if (value != NULL && strcmp(name, asked->name) == 0) {
        asked->is_there = true;
        if (is_one_of(WORDS_ON, value)) {
            asked->is_on = true;
        } else if (is_one_of(WORDS_OFF, value)) {
            asked->is_on = false;
        }
    }
}

static struct asked
ask(const char *text, const char *name, bool before)
{
    struct asked asked = {.name = name, .is_on = before};

    if (text != NULL) {
        split("", text, note_entry, &asked);
    }
    return asked;
}

bool
conf_has(const char *text, const char *name)
{
    return ask(text, name, false).is_there;
}

bool
conf_turns_on(const char *text, const char *name, bool before)
{
    return ask(text, name, before).is_on;
}

bool
conf_can_hold(const char *path)
{
    size_t length = strlen(path);

    return length <= CONF_PATH_MAX && strcspn(path, ",\n") == length &&
           length_without_comment(path) == length;
}
