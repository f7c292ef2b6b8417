/* SPDX-License-Identifier: MIT */
/*
 * measure.c - runs a program and writes what it cost: wall time, processor time, faults, VmHWM.
 *
 *   measure [-o FILE] [-p LIBRARY] [-e NAME=VALUE] [-O FILE] [-E FILE] [-t SECONDS] [-n TIMES] [-x]
 *           [--] PROGRAM [ARGS...]
 *
 *   -o  write name=value lines there (default: standard error)
 *   -p  set LD_PRELOAD for the program only
 *   -e  set another variable for the program only (may be repeated)
 *   -O  send the program's standard output there (default: /dev/null)
 *   -E  send its standard error there (default: as it is)
 *   -t  kill it after so many seconds (default 300)
 *   -n  run it so many times, one after another; times are the median run's
 *   -x  do not trace: no hwm_kib lines, no thread_faults
 *
 * ru_maxrss cannot be used for the peak: a child begins with its parent's peak. The program is
 * therefore traced with stops at its end only (and at fork, to follow children), where
 * /proc/PID/status still tells. Threads are not traced and system calls not stopped at, so tracing
 * costs some tens of microseconds per process, for every allocator alike.
 *
 * Exit status: the program's; 124 when it was killed for its time; 125 for an error of measure's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TIMES = 10000, MAX_VARIABLES = 16, EXIT_TIMEOUT = 124, EXIT_OWN = 125 };

struct options {
    const char *report;
    const char *preload;
    const char *output;
    const char *errors;
    char *variables[MAX_VARIABLES];
    unsigned variable_count;
    unsigned seconds;
    unsigned times;
    bool trace;
    char **command;
};

struct outcome {
    uint64_t wall_ns;
    uint64_t user_us;
    uint64_t system_us;
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t hwm_kib;       /* greatest of all processes */
    uint64_t hwm_main_kib;  /* the program itself */
    uint64_t thread_faults; /* minor, of the first thread of the process with hwm_kib */
    unsigned processes;
    int status; /* as of wait */
};

static volatile sig_atomic_t child_pid;
static volatile sig_atomic_t timed_out;

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
    exit(EXIT_OWN);
}

static void
on_alarm(int signal_number)
{
    (void)signal_number;
    timed_out = 1;
    if (child_pid > 0) {
        kill((pid_t)child_pid, SIGKILL);
    }
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A file below /proc as text; empty when it cannot be read. */
static void
read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);

    text[length > 0 ? length : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

/* VmHWM of a stopped process in KiB, 0 when it has no memory any more. */
static uint64_t
read_hwm_kib(pid_t pid)
{
    char path[64];
    char text[4096];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    read_text(path, text, sizeof(text));
    at = strstr(text, "VmHWM:");
    return at == NULL ? 0 : strtoull(at + 6, NULL, 10);
}

/* Minor faults of a stopped process's first thread alone, not of those that help it. */
static uint64_t
read_thread_faults(pid_t pid)
{
    unsigned long long faults = 0;
    char path[64];
    char text[1024];
    const char *at;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)pid);
    read_text(path, text, sizeof(text));
    at = strrchr(text, ')'); /* of the name; state and six numbers are before the one wanted */
    if (at != NULL) {
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %llu", &faults);
    }
    return faults;
}

static void
redirect(const char *path, int to)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    if (fd < 0 || dup2(fd, to) < 0) {
        die(path);
    }
    close(fd);
}

static _Noreturn void
become_program(const struct options *options)
{
    redirect(options->output, STDOUT_FILENO);
    if (options->errors != NULL) {
        redirect(options->errors, STDERR_FILENO);
    }
    for (unsigned at = 0; at < options->variable_count; at++) {
        putenv(options->variables[at]);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options->preload != NULL && setenv("LD_PRELOAD", options->preload, 1) != 0) {
        die("LD_PRELOAD");
    }
    if (options->trace && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        die("ptrace");
    }
    execvp(options->command[0], options->command);
    die(options->command[0]);
}

/* A stop of a traced process: note what it is about and let it go on. */
static void
handle_stop(pid_t pid, pid_t main_pid, int status, struct outcome *outcome)
{
    int signal_number = WSTOPSIG(status);
    int event = status >> 16;

    if (event == PTRACE_EVENT_EXIT) {
        uint64_t hwm = read_hwm_kib(pid);

        if (hwm >= outcome->hwm_kib) {
            outcome->hwm_kib = hwm;
            outcome->thread_faults = read_thread_faults(pid);
        }
        outcome->hwm_main_kib = pid == main_pid ? hwm : outcome->hwm_main_kib;
        outcome->processes++;
    }
    /* Stops of our making carry SIGTRAP or, for a new child, SIGSTOP; the rest is delivered. */
    if (event != 0 || signal_number == SIGTRAP || (signal_number == SIGSTOP && pid != main_pid)) {
        signal_number = 0;
    }
    ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)signal_number);
}

/* Waits for the first stop, which is at execve, and says which stops are wanted from there on. */
static bool
begin_tracing(pid_t pid, int *status)
{
    const long wanted = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                        PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;

    if (waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status)) {
        return false;
    }
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)wanted) != 0) {
        die("ptrace options");
    }
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    return true;
}

static uint64_t
microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* Until the program itself is gone; usage is its own (and of the children it waited for). */
static void
await_end(pid_t main_pid, const struct options *options, struct outcome *outcome)
{
    struct rusage usage = {0};
    int status = 0;
    pid_t pid;

    if (options->trace && !begin_tracing(main_pid, &status)) {
        outcome->status = status;
        return;
    }
    for (;;) {
        pid = wait4(-1, &status, __WALL, &usage);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid < 0) {
            die("wait");
        }
        if (WIFSTOPPED(status)) {
            handle_stop(pid, main_pid, status, outcome);
        } else if (pid == main_pid) {
            break;
        }
    }
    outcome->status = status;
    outcome->user_us = microseconds(usage.ru_utime);
    outcome->system_us = microseconds(usage.ru_stime);
    outcome->minor_faults = (uint64_t)usage.ru_minflt;
    outcome->major_faults = (uint64_t)usage.ru_majflt;
}

static struct outcome
run_once(const struct options *options)
{
    struct outcome outcome = {0};
    uint64_t started = now_ns();
    pid_t pid = fork();

    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        become_program(options);
    }
    child_pid = pid;
    alarm(options->seconds);
    await_end(pid, options, &outcome);
    outcome.wall_ns = now_ns() - started;
    alarm(0);
    child_pid = 0;
    return outcome;
}

static unsigned
parse_count(const char *text, const char *name, unsigned max)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > max) {
        fprintf(stderr, "measure: %s %s: want 1 to %u\n", name, text, max);
        exit(EXIT_OWN);
    }
    return (unsigned)value;
}

static void
add_variable(struct options *options, char *variable)
{
    if (strchr(variable, '=') == NULL || options->variable_count == MAX_VARIABLES) {
        fprintf(stderr, "measure: -e %s: want NAME=VALUE, at most %d times\n", variable,
                MAX_VARIABLES);
        exit(EXIT_OWN);
    }
    options->variables[options->variable_count++] = variable;
}

static struct options
parse_options(int argc, char **argv)
{
    struct options options = {.output = "/dev/null", .seconds = 300, .times = 1, .trace = true};
    int option;

    while ((option = getopt(argc, argv, "+o:p:e:O:E:t:n:x")) != -1) {
        switch (option) {
        case 'o':
            options.report = optarg;
            break;
        case 'p':
            options.preload = optarg[0] != '\0' ? optarg : NULL;
            break;
        case 'e':
            add_variable(&options, optarg);
            break;
        case 'E':
            options.errors = optarg;
            break;
        case 'O':
            options.output = optarg;
            break;
        case 't':
            options.seconds = parse_count(optarg, "-t", 100000);
            break;
        case 'n':
            options.times = parse_count(optarg, "-n", MAX_TIMES);
            break;
        case 'x':
            options.trace = false;
            break;
        default:
            exit(EXIT_OWN);
        }
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: measure [-o FILE] [-p LIBRARY] [-e NAME=VALUE] [-O FILE] [-E FILE] "
                        "[-t SECONDS] [-n TIMES] [-x] [--] PROGRAM [ARGS...]\n");
        exit(EXIT_OWN);
    }
    options.command = argv + optind;
    return options;
}

static int
compare_wall(const void *left, const void *right)
{
    uint64_t a = ((const struct outcome *)left)->wall_ns;
    uint64_t b = ((const struct outcome *)right)->wall_ns;

    return a < b ? -1 : a > b;
}

static int
exit_status(const struct outcome *outcome)
{
    if (timed_out) {
        return EXIT_TIMEOUT;
    }
    return WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status)
                                      : 128 + WTERMSIG(outcome->status);
}

static void
write_report(const struct options *options, const struct outcome *median)
{
    FILE *file = options->report != NULL ? fopen(options->report, "we") : stderr;

    if (file == NULL) {
        die(options->report);
    }
    fprintf(file, "wall_ns=%llu\n", (unsigned long long)median->wall_ns);
    fprintf(file, "user_us=%llu\n", (unsigned long long)median->user_us);
    fprintf(file, "system_us=%llu\n", (unsigned long long)median->system_us);
    fprintf(file, "minor_faults=%llu\n", (unsigned long long)median->minor_faults);
    fprintf(file, "major_faults=%llu\n", (unsigned long long)median->major_faults);
    if (options->trace) {
        fprintf(file, "hwm_kib=%llu\n", (unsigned long long)median->hwm_kib);
        fprintf(file, "hwm_main_kib=%llu\n", (unsigned long long)median->hwm_main_kib);
        fprintf(file, "thread_faults=%llu\n", (unsigned long long)median->thread_faults);
        fprintf(file, "processes=%u\n", median->processes);
    }
    fprintf(file, "exit=%d\n", exit_status(median));
    if (file != stderr && fclose(file) != 0) {
        die(options->report);
    }
}

int
main(int argc, char **argv)
{
    static struct outcome outcomes[MAX_TIMES];
    struct options options = parse_options(argc, argv);
    struct sigaction action = {.sa_handler = on_alarm};
    unsigned done = 0;

    sigaction(SIGALRM, &action, NULL);
    while (done < options.times) {
        outcomes[done++] = run_once(&options);
        if (exit_status(&outcomes[done - 1]) != 0) {
            outcomes[0] = outcomes[done - 1];
            done = 1;
            break;
        }
    }
    qsort(outcomes, done, sizeof(outcomes[0]), compare_wall);
    write_report(&options, &outcomes[done / 2]);
    return exit_status(&outcomes[done / 2]);
}
