/* SPDX-License-Identifier: MIT */
/*
 * api/options.c - see options.h.
 *
 * One table (option_table.h), generated from options.def, drives everything: parsing, storing,
 * messages, listings.
 * The sources are fed to the parser a byte at a time, so a configuration file of any length needs
 * one small buffer; an entry longer than that is reported and skipped.
 *
 * Start-up code: no locks, no allocation, no stdio; stack use below 2 KiB.
 */
#include "api/option_table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tidemalloc.h"

/* Longer entries are bad entries: the longest option name, a colon, the longest text. */
#define ENTRY_MAX 320
/* A file this long is no configuration file (/dev/zero, a log): the rest is not read. */
#define CONF_FILE_BYTES_MAX 65536
/* Messages about one source; a file of something else altogether must not flood the terminal. */
#define MESSAGES_MAX 16
/* Of foreign text in a message. */
#define QUOTE_MAX 64

static void
option_store(const struct option *option, uint64_t number)
{
    switch (option->type) {
    case TYPE_BOOL:
        atomic_store_relaxed((bool *)option_field(option), number != 0);
        break;
    case TYPE_SIZE:
        atomic_store_relaxed((size_t *)option_field(option), (size_t)number);
        break;
    case TYPE_INT:
    case TYPE_ENUM:
        atomic_store_relaxed((unsigned *)option_field(option), (unsigned)number);
        break;
    case TYPE_STRING:
    default:
        break;
    }
}

static int
parse_bool(const char *text, size_t len, uint64_t *number)
{
    TIDE_COLD_DATA static const char words[][8] = {"false", "true", "no", "yes",
                                                   "off",   "on",   "0",  "1"};

    for (size_t i = 0; i < TIDE_ARRAY_LEN(words); i++) {
        if (option_text_equals(text, len, words[i])) {
            *number = i & 1;
            return 0;
        }
    }
    return EINVAL;
}

static int
find_word(const struct option *option, const char *text, size_t len, uint64_t *number)
{
    size_t word_len;
    const char *word;

    for (uint64_t i = 0; (word = option_enum_word(option->unit, i, &word_len)) != NULL; i++) {
        if (word_len == len && memcmp(word, text, len) == 0) {
            *number = i;
            return 0;
        }
    }
    return EINVAL;
}

/* Who says true or false means on or off, where there is such a word. */
static int
parse_enum(const struct option *option, const char *text, size_t len, uint64_t *number)
{
    uint64_t is_on;

    if (find_word(option, text, len, number) == 0) {
        return 0;
    }
    if (parse_bool(text, len, &is_on) != 0) {
        return EINVAL;
    }
    return is_on != 0 ? find_word(option, "on", 2, number) : find_word(option, "off", 3, number);
}

/* Shift of a size's suffix; 64 when it is none. */
static unsigned
suffix_shift(char c)
{
    switch (c) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    default:
        return 64;
    }
}

/* Digits, and for sizes a suffix. What does not fit 64 bits is out of every option's bounds. */
static int
parse_number(const char *text, size_t len, bool is_size, uint64_t *number)
{
    uint64_t value = 0;
    unsigned shift = 0;
    bool overflow = false;

    if (len > 1 && is_size && suffix_shift(text[len - 1]) < 64) {
        shift = suffix_shift(text[--len]);
    }
    if (len == 0) {
        return EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return EINVAL;
        }
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value);
    }
    *number = value << shift;
    return overflow || *number >> shift != value ? ERANGE : 0;
}

/* Keeps the bounds of a STRING, and out of it what would break a line or end it early. */
static int
check_string(const struct option *option, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return EINVAL;
        }
    }
    return len < option->min || len > option->max ? ERANGE : 0;
}

/* Parses and stores. Returns 0, EINVAL or ERANGE; then nothing is changed. */
static int
option_set(const struct option *option, const char *text, size_t len)
{
    uint64_t number = 0;
    int error = EINVAL;

    switch (option->type) {
    case TYPE_BOOL:
        error = parse_bool(text, len, &number);
        break;
    case TYPE_ENUM:
        error = parse_enum(option, text, len, &number);
        break;
    case TYPE_SIZE:
    case TYPE_INT:
        error = parse_number(text, len, option->type == TYPE_SIZE, &number);
        if (error == 0 && (number < option->min || number > option->max)) {
            error = ERANGE;
        }
        break;
    case TYPE_STRING:
        error = check_string(option, text, len);
        if (error == 0) {
            memcpy(option_field(option), text, len);
            ((char *)option_field(option))[len] = '\0';
        }
        return error;
    default:
        break;
    }
    if (error == 0) {
        option_store(option, number);
    }
    return error;
}

/* ---- the sources --------------------------------------------------------------------------- */

struct parser {
    const char *source; /* its name in messages */
    int fd;             /* where messages go */
    size_t bad;         /* entries refused so far */
    bool in_comment;
    bool is_overlong; /* the entry did not fit; its beginning is kept for the message */
    size_t len;
    char entry[ENTRY_MAX];
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void
trim(const char **text, size_t *len)
{
    while (*len > 0 && is_blank((*text)[0])) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*text)[*len - 1])) {
        (*len)--;
    }
}

/* What is wrong, in words. */
static void
write_complaint(const struct option *option, int error, const char *text, size_t len, fmt_t *out)
{
    if (option->type == TYPE_STRING) {
        fmt_str(out, error == ERANGE ? "the text is too long" : "the text has control characters");
        return;
    }
    fmt_char(out, '\'');
    fmt_printable(out, text, len, QUOTE_MAX);
    fmt_str(out, "' is ");
    if (error == ERANGE) {
        fmt_str(out, "out of bounds, ");
        option_write_number(option, option->min, out);
        fmt_str(out, " to ");
        option_write_number(option, option->max, out);
        return;
    }
    switch (option->type) {
    case TYPE_BOOL:
        fmt_str(out, "not true or false");
        break;
    case TYPE_SIZE:
        fmt_str(out, "not a size such as 4096 or 64M");
        break;
    case TYPE_ENUM:
        fmt_printf(out, "not one of %s", option->unit);
        break;
    case TYPE_INT:
    case TYPE_STRING:
    default:
        fmt_str(out, "not a whole number");
        break;
    }
}

/* The one line about a bad entry: `complaint` if given, else what `error` means for the value. */
static void
complain(struct parser *parser, const char *key, size_t key_len, const struct option *option,
         const char *complaint, int error, const char *value, size_t value_len)
{
    char buf[512];
    fmt_t out;

    parser->bad++;
    if (parser->bad > MESSAGES_MAX) {
        return;
    }
    fmt_init_fd(&out, parser->fd, buf, sizeof buf);
    fmt_printf(&out, "tidemalloc: %s: ", parser->source);
    fmt_printable(&out, key, key_len, QUOTE_MAX);
    fmt_str(&out, ": ");
    if (complaint != NULL) {
        fmt_str(&out, complaint);
    } else {
        write_complaint(option, error, value, value_len, &out);
    }
    if (option == NULL) {
        fmt_str(&out, " (ignored)");
    } else {
        bool is_empty = option->type == TYPE_STRING && *(char *)option_field(option) == '\0';

        fmt_str(&out, is_empty ? " (left empty" : " (kept ");
        option_write_value(option, &out);
        fmt_char(&out, ')');
    }
    if (parser->bad == MESSAGES_MAX) {
        fmt_str(&out, "; more bad entries are not reported");
    }
    fmt_char(&out, '\n');
    fmt_flush(&out);
}

static void
parse_entry(struct parser *parser)
{
    const char *key = parser->entry;
    size_t key_len = parser->len;
    const char *value = memchr(key, ':', key_len);
    size_t value_len = 0;
    const struct option *option;

    if (value != NULL) {
        key_len = (size_t)(value - key);
        value++;
        value_len = parser->len - key_len - 1;
        trim(&value, &value_len);
    }
    trim(&key, &key_len);
    if (key_len == 0 && value == NULL) {
        return; /* an empty line, a comma too many */
    }
    option = option_find(key, key_len);
    if (option == NULL) {
        complain(parser, key, key_len, NULL, "no such option", 0, NULL, 0);
    } else if (value == NULL) {
        complain(parser, key, key_len, option, "no value given, write key:value", 0, NULL, 0);
    } else if (parser->is_overlong) {
        complain(parser, key, key_len, option, "the entry is too long", 0, NULL, 0);
    } else {
        int error = option_set(option, value, value_len);

        if (error != 0) {
            complain(parser, key, key_len, option, NULL, error, value, value_len);
        }
    }
}

TIDE_COLD static void
parser_end_entry(struct parser *parser)
{
    parse_entry(parser);
    parser->len = 0;
    parser->is_overlong = false;
}

TIDE_COLD static void
parser_feed(struct parser *parser, const char *text, size_t len)
{
    for (; len > 0; text++, len--) {
        char c = *text;

        if (c == '\n') {
            parser_end_entry(parser);
            parser->in_comment = false;
        } else if (parser->in_comment) {
            continue;
        } else if (c == ',') {
            parser_end_entry(parser);
        } else if (c == '#' && (parser->len == 0 || is_blank(parser->entry[parser->len - 1]))) {
            parser->in_comment = true; /* a # inside a word belongs to it: file names have them */
        } else if (parser->len < ENTRY_MAX) {
            parser->entry[parser->len++] = c;
        } else {
            parser->is_overlong = true;
        }
    }
}

static void
parser_init(struct parser *parser, const char *source, int fd)
{
    parser->source = source;
    parser->fd = fd;
    parser->bad = 0;
    parser->in_comment = false;
    parser->is_overlong = false;
    parser->len = 0;
}

TIDE_COLD size_t
options_parse(const char *source, const char *text, size_t len, int fd)
{
    struct parser parser;

    parser_init(&parser, source, fd);
    parser_feed(&parser, text, len);
    parser_end_entry(&parser);
    return parser.bad;
}

/* Opens without blocking, whatever kind of file somebody put there. -1 on failure. */
static int
open_for_reading(const char *path)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Bytes read, 0 at the end or on failure. */
static size_t
read_some(int fd, char *buf, size_t cap)
{
    long count;

    do {
        count = syscall(SYS_read, fd, buf, cap);
    } while (count < 0 && errno == EINTR);
    return count > 0 ? (size_t)count : 0;
}

static void
read_conf_file(const char *path)
{
    struct parser parser;
    char buf[256];
    size_t total = 0;
    size_t count;
    int fd = open_for_reading(path);

    if (fd < 0) {
        return;
    }
    parser_init(&parser, path, STDERR_FILENO);
    while (total < CONF_FILE_BYTES_MAX && (count = read_some(fd, buf, sizeof buf)) > 0) {
        parser_feed(&parser, buf, count);
        total += count;
    }
    parser_end_entry(&parser);
    syscall(SYS_close, fd);
}

/*
 * Before libc has set `environ` (an audit library, a resolver of an indirect function) the kernel
 * still shows the initial environment here. Each variable ends in a NUL.
 */
TIDE_COLD static void
read_proc_environ(void)
{
    static const char prefix[] = CONF_ENV "=";
    struct parser parser;
    char buf[256];
    size_t matched = 0; /* bytes of prefix seen in this variable; SIZE_MAX: another variable */
    size_t count;
    int fd = open_for_reading("/proc/self/environ");

    if (fd < 0) {
        return;
    }
    parser_init(&parser, CONF_ENV, STDERR_FILENO);
    while ((count = read_some(fd, buf, sizeof buf)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (buf[i] == '\0') {
                matched = 0;
            } else if (matched == sizeof prefix - 1) {
                parser_feed(&parser, &buf[i], 1);
            } else if (matched != SIZE_MAX) {
                matched = buf[i] == prefix[matched] ? matched + 1 : SIZE_MAX;
            }
        }
    }
    parser_end_entry(&parser);
    syscall(SYS_close, fd);
}

const char *
options_environment(void)
{
    TIDE_WARM_TEXT(prefix, CONF_ENV "=");

    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        size_t same = 0;

        while (same < sizeof prefix - 1 && (*variable)[same] == prefix[same]) {
            same++;
        }
        if (same == sizeof prefix - 1) {
            return *variable + same;
        }
    }
    return NULL;
}

static void
read_environment(void)
{
    const char *text = options_environment();

    if (environ == NULL) {
        read_proc_environ();
    } else if (text != NULL) {
        options_parse(CONF_ENV, text, strlen(text), STDERR_FILENO);
    }
}

bool
options_is_secure(void)
{
    int saved_errno = errno;
    bool is_secure = getauxval(AT_SECURE) != 0;

    errno = saved_errno;
    return is_secure;
}

void
options_init(void)
{
    TIDE_WARM_TEXT(conf_file, CONF_FILE);
    int saved_errno = errno;

    read_conf_file(conf_file);
    if (&tide_conf != NULL && tide_conf != NULL) {
        options_parse("tide_conf", tide_conf, strlen(tide_conf), STDERR_FILENO);
    }
    if (!options_is_secure()) {
        read_environment();
    }
    if (tide_opt.help) {
        options_print_help(STDERR_FILENO);
    }
    errno = saved_errno;
}

/* ---- run time ------------------------------------------------------------------------------ */

TIDE_COLD int
options_set_by_name(const char *name, size_t name_len, const char *value, size_t value_len)
{
    const struct option *option = option_find(name, name_len);
    int error;

    if (option == NULL) {
        return ENOENT;
    }
    if (!option->is_runtime) {
        return EPERM;
    }
    error = option_set(option, value, value_len);
    if (error == 0) {
        options_apply_runtime();
        options_follow();
    }
    return error;
}

TIDE_COLD int
options_get_by_name(const char *name, size_t name_len, fmt_t *out)
{
    const struct option *option = option_find(name, name_len);

    if (option == NULL) {
        return ENOENT;
    }
    option_write_value(option, out);
    return 0;
}
