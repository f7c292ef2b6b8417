/* SPDX-License-Identifier: MIT */
/*
 * mcload.c - a load for memcached over a unix socket: pipelined sets, gets and deletes.
 *
 *   mcload SOCKET REQUESTS KEYS
 *
 * Sends the same requests, from one seed, in groups of 32, reads all answers of a group before the
 * next, counts hits and bytes and prints name=value lines. Values are 32 to 8192 bytes.
 * The client holds fixed buffers and allocates nothing in its loop.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { GROUP = 32, MAX_VALUE = 8192, BUFFER = GROUP * (MAX_VALUE + 128) };

static char out[BUFFER];
static char in[BUFFER];

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "mcload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int
connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        die("socket");
    }
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die(path);
    }
    return fd;
}

static size_t
value_size(uint64_t key)
{
    unsigned shift = 5 + (unsigned)(key * 0x9E3779B97F4A7C15u >> 61); /* 32 .. 4096, and a bit */

    return ((size_t)1 << shift) + key % ((size_t)1 << shift);
}

/* Appends one request at `at`; half are sets, three in eight gets, one in eight deletes. */
static size_t
append_request(char *at, uint64_t *random, uint64_t keys)
{
    uint64_t draw = next_random(random);
    uint64_t key = (draw >> 16) % keys;
    size_t length;
    size_t size;

    if (draw % 8 >= 5) {
        return (size_t)sprintf(at, "get key:%llu\r\n", (unsigned long long)key);
    }
    if (draw % 8 == 4) {
        return (size_t)sprintf(at, "delete key:%llu\r\n", (unsigned long long)key);
    }
    size = value_size(key);
    length = (size_t)sprintf(at, "set key:%llu 0 0 %zu\r\n", (unsigned long long)key, size);
    memset(at + length, 'a' + (int)(key % 26), size);
    memcpy(at + length + size, "\r\n", 2);
    return length + size + 2;
}

static void
send_all(int fd, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t sent = send(fd, out + done, length - done, MSG_NOSIGNAL);

        if (sent <= 0) {
            die("send");
        }
        done += (size_t)sent;
    }
}

/*
 * The length of the complete answer at `at`, 0 when more must be read. A hit has a value and an END
 * line; every other answer is one line.
 */
static size_t
answer_length(const char *at, size_t length, uint64_t *hits)
{
    const char *line = memchr(at, '\n', length);
    const char *size;
    size_t total;

    if (line == NULL) {
        return 0;
    }
    total = (size_t)(line - at) + 1;
    if (strncmp(at, "VALUE ", 6) != 0) {
        if (strncmp(at, "STORED", 6) != 0 && strncmp(at, "END", 3) != 0 &&
            strncmp(at, "DELETED", 7) != 0 && strncmp(at, "NOT_FOUND", 9) != 0) {
            fprintf(stderr, "mcload: unexpected answer: %.60s\n", at);
            exit(1);
        }
        return total;
    }
    size = memrchr(at, ' ', total); /* VALUE key flags size */
    total += strtoul(size, NULL, 10) + strlen("\r\nEND\r\n");
    if (total > length) {
        return 0;
    }
    (*hits)++;
    return total;
}

static void
receive_answers(int fd, unsigned count, uint64_t *hits, uint64_t *bytes)
{
    size_t length = 0;
    size_t used = 0;

    while (count > 0) {
        size_t answer = answer_length(in + used, length - used, hits);

        if (answer > 0) {
            used += answer;
            count--;
            continue;
        }
        memmove(in, in + used, length - used);
        length -= used;
        used = 0;
        ssize_t got = recv(fd, in + length, sizeof(in) - 1 - length, 0);
        if (got <= 0) {
            die("receive");
        }
        length += (size_t)got;
        in[length] = '\0';
        *bytes += (uint64_t)got;
    }
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    uint64_t random = 42;
    uint64_t hits = 0;
    uint64_t bytes = 0;
    uint64_t requests = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t keys = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t started;
    int fd;

    if (requests == 0 || keys == 0) {
        fprintf(stderr, "usage: mcload SOCKET REQUESTS KEYS\n");
        return 2;
    }
    fd = connect_to(argv[1]);
    started = now_ns();
    for (uint64_t done = 0; done < requests; done += GROUP) {
        size_t length = 0;

        for (unsigned at = 0; at < GROUP; at++) {
            length += append_request(out + length, &random, keys);
        }
        send_all(fd, length);
        receive_answers(fd, GROUP, &hits, &bytes);
    }
    printf("busy_ns=%llu\nhits=%llu\nbytes=%llu\n", (unsigned long long)(now_ns() - started),
           (unsigned long long)hits, (unsigned long long)bytes);
    return 0;
}
