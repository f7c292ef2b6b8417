/* SPDX-License-Identifier: MIT */
/* What tool.h promises. Memory that cannot be had ends the program: there is nothing to save. */
#include "tool/tool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POOL_CHUNK = 1 << 16, POOL_ALIGNMENT = 8 };
/* Reports may have hundreds of megabytes, which are 95,000 calls of write() by stdio's 4 KiB. */
enum { OUTPUT_BUFFER = 1 << 18 };

struct tool_pool_chunk {
    struct tool_pool_chunk *next;
    uint64_t first[];
};

const struct tool_command *tool_now;

/* The command as people type it. */
static void
put_command(void)
{
    fprintf(stderr, "tide%s%s", tool_now != NULL ? " " : "",
            tool_now != NULL ? tool_now->name : "");
}

static void TIDE_PRINTF(1, 0) complain(const char *format, va_list arguments)
{
    fflush(stdout);
    put_command();
    fputs(": ", stderr);
    vfprintf(stderr, format, arguments);
}

void
tool_warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void
tool_die(enum tool_exit status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit((int)status);
}

void
tool_misused(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fputs("; see '", stderr);
    put_command();
    fputs(" --help'\n", stderr);
    exit(TOOL_USAGE);
}

int
tool_help(void)
{
    fputs(tool_now->help, stdout);
    return TOOL_OK;
}

/* How many options the word --NAME, or the beginning of one, may mean. */
static size_t
count_meant(const char *word, const struct option *options)
{
    size_t count = 0;

    for (; options->name != NULL; options++) {
        count += strncmp(options->name, word + 2, strcspn(word + 2, "=")) == 0;
    }
    return count;
}

int
tool_option(int argc, char **argv, const char *letters, const struct option *options)
{
    int before = optind, option;
    const char *word;

    opterr = 0; /* getopt's own line would name neither the command nor its help */
    option = getopt_long(argc, argv, letters, options, NULL);
    if (option != '?') {
        return option;
    }
    word = argv[optind == before ? optind : optind - 1]; /* letters of it may be left */
    if (strncmp(word, "--", 2) != 0 && optopt != 0 &&
        (strchr(letters, optopt) == NULL || strchr(":+", optopt) != NULL)) {
        tool_misused("there is no option '-%c'", optopt);
    }
    if (strncmp(word, "--", 2) != 0) {
        tool_misused("the option '-%c' needs a value", optopt);
    }
    if (optopt != 0) {
        tool_misused("the option '%s' %s", word,
                     strchr(word, '=') != NULL ? "takes no value" : "needs a value");
    }
    tool_misused(count_meant(word, options) > 1 ? "'%s' may mean several options"
                                                : "there is no option '%s'",
                 word);
}

uint64_t
tool_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        tool_misused("%s takes a whole number from %llu to %llu, not '%s'", option,
                     (unsigned long long)min, (unsigned long long)max, text);
    }
    return value;
}

uint64_t
tool_size(const char *option, const char *text, uint64_t min, uint64_t max)
{
    static const char units[] = "KMGT";
    char *end;
    const char *unit;
    unsigned long long value;
    unsigned shift;

    errno = 0;
    value = strtoull(text, &end, 10);
    unit = *end != '\0' ? strchr(units, toupper((unsigned char)*end)) : NULL;
    shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (!isdigit((unsigned char)text[0]) || end[unit != NULL] != '\0' || errno != 0 ||
        value > max >> shift || value << shift < min) {
        tool_misused("%s takes a number of bytes from %llu to %llu, such as 64K, not '%s'", option,
                     (unsigned long long)min, (unsigned long long)max, text);
    }
    return (uint64_t)value << shift;
}

int
tool_process(const char *word)
{
    if (word[0] == '\0' || word[strspn(word, "0123456789")] != '\0') {
        return 0;
    }
    return (int)tool_number("PID", word, 1, INT_MAX);
}

FILE *
tool_output(const char *path)
{
    FILE *out;

    if (path == NULL || strcmp(path, "-") == 0) {
        return stdout;
    }
    out = fopen(path, "wb");
    if (out == NULL) {
        tool_die(TOOL_INPUT, "%s: cannot be written: %s", path, strerror(errno));
    }
    setvbuf(out, NULL, _IOFBF, OUTPUT_BUFFER);
    return out;
}

void
tool_output_done(FILE *out, const char *path)
{
    int failed;

    errno = 0;
    failed = ferror(out);
    failed |= out == stdout ? fflush(out) : fclose(out);
    if (failed != 0) {
        tool_die(TOOL_INPUT, "%s: not everything could be written: %s",
                 path != NULL ? path : "standard output",
                 errno != 0 ? strerror(errno) : "output error");
    }
}

void *
tool_alloc(size_t bytes)
{
    void *p = calloc(1, bytes + (bytes == 0));

    if (p == NULL) {
        tool_die(TOOL_INPUT, "out of memory (%zu bytes asked for)", bytes);
    }
    return p;
}

void *
tool_grow(void *array, size_t count, size_t *capacity, size_t element_bytes)
{
    size_t wanted = *capacity + *capacity / 2 + 16;
    void *grown;

    if (count < *capacity) {
        return array;
    }
    grown = reallocarray(array, wanted, element_bytes);
    if (grown == NULL) {
        tool_die(TOOL_INPUT, "out of memory (%zu times %zu bytes asked for)", wanted,
                 element_bytes);
    }
    *capacity = wanted;
    return grown;
}

void *
tool_pool_alloc(struct tool_pool *pool, size_t bytes)
{
    struct tool_pool_chunk *chunk;
    void *p;

    /* Nothing has a place of its own, too, so that nobody gets NULL. */
    bytes = (bytes + (bytes == 0) + POOL_ALIGNMENT - 1) & ~(size_t)(POOL_ALIGNMENT - 1);
    if (bytes > pool->left) {
        size_t room = bytes > POOL_CHUNK / 4 ? bytes : POOL_CHUNK;
        chunk = tool_alloc(sizeof *chunk + room);
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        if (room == bytes) {
            return chunk->first;
        }
        pool->at = (unsigned char *)chunk->first;
        pool->left = room;
    }
    p = pool->at;
    pool->at += bytes;
    pool->left -= bytes;
    return p;
}

char *
tool_pool_text(struct tool_pool *pool, const char *text, size_t length)
{
    char *copy = tool_pool_alloc(pool, length + 1);

    if (length > 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

void
tool_pool_free(struct tool_pool *pool)
{
    struct tool_pool_chunk *chunk = pool->chunks;

    while (chunk != NULL) {
        struct tool_pool_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *pool = (struct tool_pool){0};
}

int
tool_open_file(int directory, const char *name, struct stat *status)
{
    int held = openat(directory, name, O_PATH | O_CLOEXEC), fd = -1, error;
    struct stat unused;
    char path[32];

    status = status != NULL ? status : &unused;
    if (held < 0) {
        return -1;
    }
    errno = ENOENT;
    if (fstat(held, status) == 0 && S_ISREG(status->st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", held);
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    error = errno;
    close(held);
    errno = error;
    return fd;
}
