/* SPDX-License-Identifier: MIT */
/* See program.h. A guess for a warning: what cannot be found out is taken for a usual program. */
#include "tool/program.h"

#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 4, SCRIPT_LINE = 256 }; /* as deep, and as long a first line, as Linux takes */

static bool
can_be_run(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* As execvp() looks for it; from malloc; NULL: there is none. */
static char *
find(const char *name)
{
    const char *directory = getenv("PATH"), *end;
    char *path = NULL;

    if (strchr(name, '/') != NULL) {
        return strdup(name);
    }
    for (directory = directory != NULL ? directory : "/bin:/usr/bin";; directory = end + 1) {
        end = strchrnul(directory, ':');
        if (asprintf(&path, "%.*s%s%s", (int)(end - directory), directory,
                     end > directory ? "/" : "", name) < 0) {
            return NULL;
        }
        if (can_be_run(path)) {
            return path;
        }
        free(path);
        if (*end == '\0') {
            return NULL;
        }
    }
}

/* The interpreter that the script's first line names, from malloc; NULL: it is no script. */
static char *
interpreter(int fd)
{
    char line[SCRIPT_LINE + 1], *word;
    ssize_t length = pread(fd, line, SCRIPT_LINE, 0);

    if (length < 3 || line[0] != '#' || line[1] != '!') {
        return NULL;
    }
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    word = line + 2 + strspn(line + 2, " \t");
    word[strcspn(word, " \t")] = '\0';
    return strdup(word);
}

/* ld.so has no interpreter either, but it preloads for the program that it is given. */
static bool
is_loader(const char *path)
{
    const char *name = strrchr(path, '/');

    name = name != NULL ? name + 1 : path;
    return strncmp(name, "ld", 2) == 0 && strstr(name, ".so") != NULL;
}

static bool
is_static(int fd)
{
    Elf *elf;
    bool has_headers = false, has_interpreter = false;
    size_t count = 0;

    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    if (elf != NULL && elf_kind(elf) == ELF_K_ELF && elf_getphdrnum(elf, &count) == 0) {
        for (size_t i = 0; i < count && i < INT_MAX; i++) {
            GElf_Phdr header;

            if (gelf_getphdr(elf, (int)i, &header) != NULL) {
                has_headers = true;
                has_interpreter |= header.p_type == PT_INTERP;
            }
        }
    }
    elf_end(elf);
    return has_headers && !has_interpreter;
}

/* By its owner, its group or its capabilities, where the file system and this process let it. */
static bool
gains_rights(const char *path)
{
    struct stat status;
    struct statvfs system;

    if (stat(path, &status) != 0 || statvfs(path, &system) != 0 ||
        (system.f_flag & ST_NOSUID) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
        return false;
    }
    return ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) ||
           ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
            status.st_gid != getgid()) ||
           (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0);
}

enum program_kind
program_kind(const char *name, char **path)
{
    enum program_kind kind = PROGRAM_PRELOADS;
    int fd = -1;

    *path = find(name);
    for (int i = 0; *path != NULL; i++) {
        char *next;

        fd = tool_open_file(AT_FDCWD, *path, NULL);
        next = fd >= 0 && i < SCRIPTS_MAX ? interpreter(fd) : NULL;
        if (next == NULL) {
            break;
        }
        close(fd);
        free(*path);
        *path = next;
    }
    if (*path != NULL && gains_rights(*path)) {
        kind = PROGRAM_PRIVILEGED; /* which often is not to be read */
    } else if (fd >= 0 && !is_loader(*path) && is_static(fd)) {
        kind = PROGRAM_STATIC;
    }
    if (fd >= 0) {
        close(fd);
    }
    return kind;
}
