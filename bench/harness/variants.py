# SPDX-License-Identifier: MIT
"""What --profile runs: each allocator with its heap profile off and on, and shorter benchmarks.

Data and pure functions; nothing here runs anything. Lengths are divided, never the sizes or the
number of live blocks: a shorter run has the same samples for each byte that it allocates.
"""

from dataclasses import replace

import catalog
from catalog import Benchmark
from peers import Peer

RATE = 1 << 19
# Parameters of the own programs that say how long they work, and nothing else.
LENGTHS = ("ops", "rounds", "gens", "messages", "iters", "waves", "passes", "loops", "throws")
TIMED_PART = 2              # of a benchmark's length: so much shorter when timed
COUNTED_PARTS = (100, 40)   # under callgrind: twice, for the difference
EVERY_PART = 200            # where every allocation is instrumented

THREADED = ("handover", "messages", "exchange", "mixed", "churn", "sharing")
EVERY_PROGRAMS = ("pairs-64", "batch-fifo-32", "live-small", "simple")

TIDE = {False: {"TIDE_CONF": "profile:false"},
        True: {"TIDE_CONF": f"profile:true,profile_rate:{RATE}"}}
JEMALLOC = {False: {"MALLOC_CONF": "prof:false"},
            True: {"MALLOC_CONF": f"prof:true,prof_active:true,lg_prof_sample:"
                                  f"{RATE.bit_length() - 1},prof_final:false"}}
GPERFTOOLS = {False: {"TCMALLOC_SAMPLE_PARAMETER": "0"},
              True: {"TCMALLOC_SAMPLE_PARAMETER": str(RATE)}}
# Its dumps cannot be written: the profile is what is measured, not a file at the end.
GPERFTOOLS_EVERY = {"HEAPPROFILE": "/dev/null/none", "HEAP_PROFILE_ALLOCATION_INTERVAL": "0",
                    "HEAP_PROFILE_INUSE_INTERVAL": "0"}
# name, library, package, variables with the profile off and on
RIVALS = (("jemalloc", "libjemalloc.so.2", "libjemalloc2", JEMALLOC),
          ("gperftools", "libtcmalloc.so.4", "libgoogle-perftools4", GPERFTOOLS))


def subjects(library):
    """The library with its profile off, once more off, and on; each runs on a copy of its own."""
    return [Peer("tide-off", library, TIDE[False]), Peer("tide-twin", library, TIDE[False]),
            Peer("tide-on", library, TIDE[True])]


def rivals(find_library, say):
    found = []
    for name, library, package, variables in RIVALS:
        path = find_library(library)
        if path is None:
            say(f"leaving out {name}: package {package} is not installed")
            continue
        found += [Peer(f"{name}-off", path, variables[False], package),
                  Peer(f"{name}-on", path, variables[True], package)]
    return found


def every_peers(peers):
    """gperftools with nothing profiled, and with every allocation."""
    return [replace(peer, name=name, variables=variables) for peer in peers
            if peer.name == "gperftools-off"
            for name, variables in (("gperftools-off", peer.variables),
                                    ("gperftools-every", GPERFTOOLS_EVERY))]


def shorter_word(word, part):
    name, equals, value = word.partition("=")
    if equals and name in LENGTHS:
        return f"{name}={max(int(value) // part, 1)}"
    return word


def shortened(benchmark, part):
    """The benchmark with a part of its length, and without resting on purpose."""
    command = tuple(shorter_word(word, part) for word in benchmark.command)
    if command[0] in ("burst", "lifetimes"):
        command += ("idle_ms=0",)
    if command == ("redis",):
        command = ("redis-loads",)
    return replace(benchmark, command=command, starts=benchmark.starts // part, idle_gate=False)


def timed_benchmarks():
    return [shortened(b, TIMED_PART) for b in catalog.ALL if b.scored]


def has_one_thread(benchmark):
    words = benchmark.command
    threads = [int(word.partition("=")[2]) for word in words if word.startswith("threads=")]
    return words[0] not in THREADED and all(count == 1 for count in threads)


def counted_commands(benchmark):
    """The commands to count instructions of, shortest first; none when it cannot be counted."""
    if benchmark.kind != "micro" or not has_one_thread(benchmark):
        return []
    commands = [shortened(benchmark, part).command for part in COUNTED_PARTS]
    return [] if commands[0] == commands[1] else commands


# Real programs in a small setting. The whole is counted, the profile's start included.
COUNTED_PROGRAMS = (
    Benchmark("python", "program", ("/usr/bin/python3", "{real}/objects.py", "0.15"), "",
              needs=(("/usr/bin/python3", "python3"),)),
    Benchmark("python-malloc", "program", ("/usr/bin/python3", "{real}/objects.py", "0.15"), "",
              variables={"PYTHONMALLOC": "malloc"}, needs=(("/usr/bin/python3", "python3"),)),
    Benchmark("gcc", "program", ("gcc", "-O2", "-S", "-o", "/dev/null", "{micro}/batch.c"), "",
              needs=(("gcc", "gcc"),)),
)

EXCEPTIONS = tuple(
    Benchmark(f"throws{suffix}-t{threads}", "micro",
              ("throws", f"threads={threads}", f"alloc={alloc}", "throws=10000"),
              f"exceptions, {about}, {threads} thread{'s' if threads > 1 else ''}", busy=True,
              memory_mib=16)
    for alloc, suffix, about in ((0, "", "no block but their own"),
                                 (1, "-alloc", "a string in each frame"))
    for threads in (1, 2))
