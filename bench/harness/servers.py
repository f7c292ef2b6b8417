# SPDX-License-Identifier: MIT
"""Servers under load: each driver starts a server with the given environment in the runner's
scratch directory, drives it over a unix socket with a client that runs on the system's allocator,
and returns a sample.

redis: wall_ns is the time redis-benchmark took for fixed numbers of SET, GET, LPUSH and LRANGE.
Then values of many sizes are stored, nine of ten keys deleted, and the server left alone for 2 s.
memcached: wall_ns is what the client of ours took for its requests.
"""

import os
import random
import socket
import subprocess
import time

START_SECONDS = 10
CLIENT_SECONDS = 120
IDLE_SECONDS = 2

REDIS_TOOL_KEYS = 100000
# name of redis-benchmark's test, requests, options
REDIS_LOADS = (
    ("set", 250000, ("-r", str(REDIS_TOOL_KEYS), "-d", "200")),
    ("get", 250000, ("-r", str(REDIS_TOOL_KEYS), "-d", "200")),
    ("lpush", 250000, ("-d", "200")),
    ("lrange_100", 50000, ()),
)
REDIS_KEYS = 150000
REDIS_GROUP = 500
MEMCACHED_REQUESTS = 500000
MEMCACHED_KEYS = 60000


class ServerError(Exception):
    """What went wrong with a server or its client."""


def status_kib(pid, field):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    raise ServerError(f"the server ended before {field} could be read")


class Server:
    """A server process; ends with the block, however it ends."""

    def __init__(self, command, environment, scratch, ready, **account):
        self.library = environment.get("LD_PRELOAD")
        self.socket = os.path.join(scratch, "socket")
        self.log = os.path.join(scratch, "server.log")
        self.ready = ready
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=scratch, stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                            **account)

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.ready(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise ServerError("the server did not start: " + self.last_line())
            time.sleep(0.02)
        if self.library and not self.has_mapped(self.library):
            self.__exit__()
            raise ServerError(f"the server runs without {self.library}: {self.last_line()}")
        return self

    def has_mapped(self, path):
        """The loader goes on without a library that it cannot read."""
        try:
            with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as maps:
                return os.path.realpath(path) in maps.read()
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_line(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = log.read().strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def cpu_us(self):
        """Processor time so far, to a tick of the kernel's (10 ms as a rule)."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError as error:
            raise ServerError("the server ended before its time could be read") from error
        return (int(fields[11]) + int(fields[12])) * 1000000 // os.sysconf("SC_CLK_TCK")

    def kib(self, field):
        if self.process.poll() is not None:
            raise ServerError(f"the server ended by itself ({self.process.returncode}): "
                              + self.last_line())
        return status_kib(self.process.pid, field)


def answers(request, expected):
    """A test whether the server on a socket answers a request so."""

    def ready(path):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(path)
                connection.sendall(request)
                return connection.recv(100).startswith(expected)
        except OSError:
            return False

    return ready


def run_client(command, **more):
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.PIPE, timeout=CLIENT_SECONDS,
                              universal_newlines=True, **more)
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{command[0]} did not end in {CLIENT_SECONDS} s") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ServerError(f"{command[0]} ended with {done.returncode}: {last}")
    return done.stdout


def redis_load_ns(path, test, requests, options):
    """The time of one test. With lrange the tool reports the filling of its list before it."""
    output = run_client(["redis-benchmark", "-s", path, "-c", "20", "-P", "16", "-n",
                         str(requests), "--csv", "-t", test, *options])
    rate = float(output.strip().splitlines()[-1].split(",")[1].strip('"'))
    return int(requests / rate * 1e9)


def redis_exchange(connection, commands, answer_bytes):
    """Sends commands (lists of bytes) at once and reads answers of so many bytes each."""
    parts = []
    for words in commands:
        parts.append(b"*%d\r\n" % len(words))
        parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    connection.sendall(b"".join(parts))
    left = answer_bytes * len(commands)
    while left > 0:
        data = connection.recv(min(left, 65536))
        if not data or data.startswith(b"-"):
            raise ServerError(f"redis answered {data[:100]!r}")
        left -= len(data)


def groups(items, size):
    for at in range(0, len(items), size):
        yield items[at:at + size]


def redis_fill(connection, draw):
    """Stores values of 32 to 4,095 bytes under many keys, some of them twice."""
    keys = [b"item:%d" % number for number in range(REDIS_KEYS)]
    again = draw.sample(keys, REDIS_KEYS // 4)
    filler = b"x" * 4096
    for part in groups(keys + again, REDIS_GROUP):
        redis_exchange(connection, [
            (b"SET", key, filler[:draw.randrange(1 << shift, 2 << shift)])
            for key, shift in zip(part, draw.choices(range(5, 12), k=len(part)))], 5)
    return keys


def redis_delete(connection, keys, draw):
    """Deletes nine of ten keys, scattered, those of the tool too, and its list."""
    keys = keys + [b"key:%012d" % number for number in range(REDIS_TOOL_KEYS)]
    doomed = draw.sample(keys, len(keys) * 9 // 10)
    for part in groups(doomed, REDIS_GROUP):
        redis_exchange(connection, [(b"DEL", key) for key in part], 4)
    redis_exchange(connection, [(b"DEL", b"mylist")], 4)


def redis_server(environment, scratch):
    path = os.path.join(scratch, "socket")
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly",
               "no", "--daemonize", "no", "--dir", scratch]
    return Server(command, environment, scratch, answers(b"PING\r\n", b"+PONG"))


def redis_loads(server):
    sample = {f"{test}_ns": redis_load_ns(server.socket, test, requests, options)
              for test, requests, options in REDIS_LOADS}
    sample["wall_ns"] = sum(sample.values())
    sample["cpu_us"] = server.cpu_us()
    return sample


def run_redis_loads(environment, runner):
    """What is timed of run_redis, and nothing else."""
    with redis_server(environment, runner.scratch) as server:
        return {**redis_loads(server), "hwm_kib": server.kib("VmHWM")}


def run_redis(environment, runner):
    draw = random.Random(5)
    with redis_server(environment, runner.scratch) as server:
        path = server.socket
        sample = redis_loads(server)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            keys = redis_fill(connection, draw)
            sample["rss_peak_kib"] = server.kib("VmRSS")
            redis_delete(connection, keys, draw)
        time.sleep(IDLE_SECONDS)
        sample["rss_idle_kib"] = server.kib("VmRSS")
        sample["hwm_kib"] = server.kib("VmHWM")
    return sample


def run_memcached(environment, runner):
    path = os.path.join(runner.scratch, "socket")
    command = ["memcached", "-s", path, "-m", "128", "-t", "2"]
    command += ["-u", "root"] if os.geteuid() == 0 else []
    ready = answers(b"version\r\n", b"VERSION")
    with Server(command, environment, runner.scratch, ready) as server:
        output = run_client([runner.tool("mcload"), path, str(MEMCACHED_REQUESTS),
                             str(MEMCACHED_KEYS)])
        values = dict(line.split("=", 1) for line in output.split())
        return {"wall_ns": int(values["busy_ns"]), "checksum": int(values["hits"]),
                "cpu_us": server.cpu_us(), "hwm_kib": server.kib("VmHWM")}


DRIVERS = {"redis": run_redis, "redis-loads": run_redis_loads, "memcached": run_memcached}
