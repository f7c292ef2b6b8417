/* SPDX-License-Identifier: MIT */
/*
 * A process to look at. Does what the lines of its standard input say, and answers each with a line
 * that begins with "ok":
 *
 *   hold N          allocates N MiB in blocks of 1 KiB, and keeps them
 *   free            frees all of these
 *   thin            frees 15 of 16 of these
 *   close           closes all files but the first three, as daemons do
 *   take            fills all numbers above with files of its own (LIMIT of them at most)
 *   check           are the files it took still there? "ok N": so many
 *   release         closes those
 *   next            the number that a file gets which is opened now
 *   fork, _Fork     a child that waits to be killed: "ok PID"
 *   grow            the same, but the child allocates 32 MiB first
 *   dump FILE       tide_profile_dump()
 *   stop            kills its children and ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT = 4096, CHILDREN = 16, BLOCK = 1024 };

static int taken[LIMIT], taken_count;
static struct stat null_status;
static pid_t children[CHILDREN];
static int child_count;
static void *volatile keep;

__attribute__((noinline)) static void
hold(long mib)
{
    for (long i = 0; i < mib * (1 << 20) / BLOCK; i++) {
        void **block = malloc(BLOCK);

        memset(block, 1, BLOCK);
        *block = keep;
        keep = block;
    }
}

/* Frees all but every so manieth; 0: all. */
static void
drop(unsigned every)
{
    void **block = keep, *kept = NULL;

    for (unsigned i = 0; block != NULL; i++) {
        void **next = *block;

        if (every != 0 && i % every == 0) {
            *block = kept;
            kept = block;
        } else {
            free(block);
        }
        block = next;
    }
    keep = kept;
}

static void
take(void)
{
    int fd;

    stat("/dev/null", &null_status);
    while (taken_count < LIMIT && (fd = open("/dev/null", O_RDONLY)) >= 0) {
        taken[taken_count++] = fd;
    }
}

static int
check(void)
{
    int good = 0;

    for (int i = 0; i < taken_count; i++) {
        struct stat status;

        good += fstat(taken[i], &status) == 0 && status.st_ino == null_status.st_ino &&
                status.st_dev == null_status.st_dev;
    }
    return good;
}

static int
next(void)
{
    int fd = open("/dev/null", O_RDONLY);

    close(fd);
    return fd;
}

static pid_t
child(int plain, long mib)
{
    pid_t pid = plain ? fork() : _Fork();

    if (pid == 0) {
        hold(mib);
        for (;;) {
            pause();
        }
    }
    children[child_count++] = pid;
    return pid;
}

static long
obey(const char *word, const char *rest)
{
    int (*dump)(const char *);

    if (strcmp(word, "hold") == 0) {
        hold(atol(rest));
    } else if (strcmp(word, "free") == 0) {
        drop(0);
    } else if (strcmp(word, "thin") == 0) {
        drop(16);
    } else if (strcmp(word, "close") == 0) {
        closefrom(3);
    } else if (strcmp(word, "take") == 0) {
        take();
        return taken_count;
    } else if (strcmp(word, "check") == 0) {
        return check();
    } else if (strcmp(word, "release") == 0) {
        while (taken_count > 0) {
            close(taken[--taken_count]);
        }
    } else if (strcmp(word, "next") == 0) {
        return next();
    } else if (strcmp(word, "fork") == 0 || strcmp(word, "_Fork") == 0) {
        return child(word[0] == 'f', 0);
    } else if (strcmp(word, "grow") == 0) {
        return child(1, 32);
    } else if (strcmp(word, "dump") == 0) {
        dump = (int (*)(const char *))dlsym(RTLD_DEFAULT, "tide_profile_dump");
        return dump(rest);
    } else {
        return -1;
    }
    return 0;
}

int
main(void)
{
    char line[256], word[32];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *rest = line + strcspn(line, " \n");

        snprintf(word, sizeof word, "%.*s", (int)(rest - line), line);
        rest += strspn(rest, " ");
        rest[strcspn(rest, "\n")] = '\0';
        if (strcmp(word, "stop") == 0) {
            break;
        }
        printf("ok %ld\n", obey(word, rest));
    }
    for (int i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    return 0;
}
